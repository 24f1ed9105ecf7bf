"""All that happens to the objects of a namespace, by watches.

Of kinds whose CustomResourceDefinition changes meanwhile, versions may be missed in that moment: the apiserver ends
their watches and begins none from before. What conditions went through meanwhile, their times of transition tell.
"""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from api.kubectl import Kubectl
from e2e.operator.sandboxes import eventually

Json = dict[str, Any]
PATHS = {
    "pods": "/api/v1/namespaces/{}/pods",
    "persistentvolumeclaims": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "networkpolicies": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "sandboxes": "/apis/sandkeeper.dev/v1alpha1/namespaces/{}/sandboxes",
    "sandboxsnapshots": "/apis/sandkeeper.dev/v1alpha1/namespaces/{}/sandboxsnapshots",
}


def named(version: Json) -> tuple[str, str]:
    """Name an object's version."""
    return version["metadata"]["name"], version["metadata"]["resourceVersion"]


@dataclass
class Kind:
    """What was seen of a kind: every version of every object, from those that were there when it began."""

    versions: dict[str, list[Json]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    last: str = ""

    def known(self) -> set[tuple[str, str]]:
        """Names and versions that were seen."""
        return {
            (name, each["metadata"]["resourceVersion"])
            for name, all_ in list(self.versions.items())
            for each in list(all_)
        }

    def take(self, what: str, seen: Json) -> None:
        """Take in an event."""
        self.last = seen["metadata"]["resourceVersion"]
        if what != "BOOKMARK":
            self._add(seen, deleted=what == "DELETED")

    def take_all(self, listed: Json) -> None:
        """Take in all objects that there are, and which are no more."""
        there = {each["metadata"]["name"]: each for each in listed["items"]}
        for name, seen in list(self.versions.items()):
            if name not in there and name not in self.deleted:
                self._add(seen[-1], deleted=True)
        for each in there.values():
            if named(each) not in self.known():
                self._add(each, deleted=False)
        self.last = listed["metadata"]["resourceVersion"]

    def _add(self, seen: Json, *, deleted: bool) -> None:
        self.versions.setdefault(seen["metadata"]["name"], []).append(seen)
        if deleted:
            self.deleted.add(seen["metadata"]["name"])


class History:
    """Watches of a namespace.

    Parameters
    ----------
    kubectl
        As the cluster's administrator.
    namespace
        Whose objects.
    """

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._kubectl, self._paths = kubectl, {kind: path.format(namespace) for kind, path in PATHS.items()}
        self._watches: dict[str, subprocess.Popen[str]] = {}
        self._ended = threading.Event()
        self.kinds = {kind: Kind() for kind in PATHS}
        self.begun_anew: list[str] = []
        """Kinds whose watch could not go on where it was."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Watch, from what is there now until the end."""
        for kind in self.kinds:
            self.kinds[kind].take_all(self._list(kind))
        threads = [threading.Thread(target=self._follow, args=(kind,)) for kind in self.kinds]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for watch in self._watches.values():
                watch.kill()
            for thread in threads:
                thread.join()

    def versions(self, kind: str, name: str) -> list[Json]:
        """Every version of an object that was seen."""
        return list(self.kinds[kind].versions[name])

    def catch_up(self) -> None:
        """Wait until everything has been seen that is there now."""
        for kind in self.kinds:
            eventually(partial(self._unseen, kind), lambda unseen: not unseen)

    def _unseen(self, kind: str) -> set[tuple[str, str]]:
        return {named(each) for each in self._list(kind)["items"]} - self.kinds[kind].known()

    def _list(self, kind: str) -> Json:
        listed: Json = json.loads(self._kubectl("get", "--raw", self._paths[kind]))
        return listed

    def _follow(self, kind: str) -> None:
        while not self._ended.wait(0.05):
            query = f"watch=1&allowWatchBookmarks=true&resourceVersion={self.kinds[kind].last}"
            command = [*self._kubectl.command, "get", "--raw", f"{self._paths[kind]}?{query}"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as watch:
                self._watches[kind] = watch
                if self._ended.is_set():
                    watch.kill()
                for line in watch.stdout or ():
                    self._take(kind, line)
            if watch.returncode and not self._ended.is_set():
                self._begin_anew(kind)

    def _take(self, kind: str, line: str) -> None:
        if not line.endswith("\n"):  # cut off with the watch
            return
        event = json.loads(line)
        if event["type"] == "ERROR":
            self._begin_anew(kind)
        else:
            self.kinds[kind].take(event["type"], event["object"])

    def _begin_anew(self, kind: str) -> None:
        # A kind that is just being changed may not be served for a moment.
        with suppress(AssertionError):
            self.kinds[kind].take_all(self._list(kind))
            self.begun_anew.append(kind)
