"""The part of an API server that an operator can tell from a real one: versions, conflicts, watches, graceful ends.

Everything is synchronous and happens at once; latency, lost answers and other faults are the client's part.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandkeeper.runtime.errors import ApiError, where
from sandkeeper.runtime.resource import PODS, Json, Key, Resource, key_of
from unit.fakes.merge import apply_merge_patch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_CONDITIONED = frozenset({"Sandbox", "SandboxSnapshot"})
_WITH_STATUS = _CONDITIONED | {"Pod", "Node", "PersistentVolumeClaim"}
_PENDING = {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "Pending", "message": ""}]}


@dataclass(frozen=True)
class Change:
    """One revision: what was, and what is; None where absent."""

    version: int
    resource: Resource
    before: Json | None
    after: Json | None

    def event(self, selected: Callable[[Json], bool]) -> Json | None:
        """Give the watch event that a watcher of selected objects sees."""
        was = self.before is not None and selected(self.before)
        if self.after is not None and selected(self.after):
            return {"type": "MODIFIED" if was else "ADDED", "object": self.after}
        if not was or self.before is None:
            return None
        gone = copy.deepcopy(self.after or self.before)
        gone["metadata"]["resourceVersion"] = str(self.version)
        return {"type": "DELETED", "object": gone}


class FakeApiServer:
    """Objects by kind and key, and the history of their changes.

    Parameters
    ----------
    clock
        Seconds since the start.
    """

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        self._clock = clock
        self._objects: dict[tuple[Resource, Key], Json] = {}
        self._uids = itertools.count(1)
        self.version = 1
        self.history: list[Change] = []
        self.compacted = 0
        """Watches of this version or an older one have expired."""
        self._changed = asyncio.Event()

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """Read an object."""
        found = self._objects.get((resource, Key(namespace, name)))
        if found is None:
            raise _error("get", resource, namespace, name, 404, "NotFound", "not found")
        return found

    def find(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Read an object that may not be there."""
        return self._objects.get((resource, Key(namespace, name)))

    def all(self, resource: Resource, selected: Callable[[Json], bool] = lambda _: True) -> list[Json]:
        """Read all objects of a kind, in the order of their keys."""
        items = sorted((key, obj) for (kind, key), obj in self._objects.items() if kind == resource)
        return [obj for _, obj in items if selected(obj)]

    def __iter__(self) -> Iterator[tuple[Resource, Json]]:
        """Go over all objects of all kinds."""
        return iter([(resource, obj) for (resource, _), obj in self._objects.items()])

    def create(self, resource: Resource, namespace: str, obj: Json) -> Json:
        """Create an object."""
        made = copy.deepcopy(obj)
        name = made["metadata"]["name"]
        if (resource, Key(namespace, name)) in self._objects:
            raise _error("create", resource, namespace, name, 409, "AlreadyExists", f"{name} already exists")
        made["metadata"] |= {
            "namespace": namespace,
            "uid": f"uid-{next(self._uids)}",
            "generation": 1,
            "creationTimestamp": self._time(),
        }
        made |= {"apiVersion": resource.api_version, "kind": resource.kind}
        if resource.kind in _WITH_STATUS:
            conditioned = resource.kind in _CONDITIONED
            made.setdefault("status", copy.deepcopy(_PENDING) if conditioned else {"phase": "Pending"})
        return self._store(resource, made)

    def patch(self, resource: Resource, namespace: str, name: str, patch: Json, subresource: str = "") -> Json:
        """Apply a merge patch, or for ``resize`` a strategic one, to the part that a subresource stands for."""
        before = self.get(resource, namespace, name)
        asked = patch.get("metadata", {}).get("resourceVersion", before["metadata"]["resourceVersion"])
        if asked != before["metadata"]["resourceVersion"]:
            message = f'Operation cannot be fulfilled on {resource.plural} "{name}": the object has been modified'
            raise _error("patch", resource, namespace, name, 409, "Conflict", message)
        after: Json = copy.deepcopy(before)
        if subresource == "resize":
            _resize(after, patch)
        elif subresource == "status":
            after["status"] = apply_merge_patch(before.get("status", {}), patch["status"])
        else:
            kept = before.get("status")
            after = apply_merge_patch(after, patch)
            if resource.kind in _WITH_STATUS:
                after["status"] = kept
        if "deletionTimestamp" in after["metadata"] and before["metadata"].get("finalizers") and not _held(after):
            self.remove(resource, before)
            return after
        return self._update(resource, before, after)

    def delete(
        self, resource: Resource, namespace: str, name: str, uid: str = "", grace: int = 30, version: str = ""
    ) -> Json:
        """Delete an object, or for a pod that runs ask its kubelet to end it."""
        found = self.get(resource, namespace, name)
        if uid and found["metadata"]["uid"] != uid:
            message = (
                f'Operation cannot be fulfilled on {resource.plural} "{name}": Precondition failed: '
                f"UID in precondition: {uid}, UID in object meta: {found['metadata']['uid']}"
            )
            raise _error("delete", resource, namespace, name, 409, "Conflict", message)
        if version and found["metadata"]["resourceVersion"] != version:
            message = "Precondition failed: ResourceVersion in precondition differs"
            raise _error("delete", resource, namespace, name, 409, "Conflict", message)
        terminal = found.get("status", {}).get("phase") in {"Failed", "Succeeded"}
        if resource == PODS and found["spec"].get("nodeName") and not terminal and grace:
            if "deletionTimestamp" in found["metadata"]:
                return found
            going = copy.deepcopy(found)
            going["metadata"] |= {"deletionTimestamp": self._time(grace), "deletionGracePeriodSeconds": grace}
            return self._update(resource, found, going)
        if found["metadata"].get("finalizers"):
            if "deletionTimestamp" in found["metadata"]:
                return found
            going = copy.deepcopy(found)
            going["metadata"] |= {"deletionTimestamp": self._time(), "deletionGracePeriodSeconds": 0}
            return self._update(resource, found, going)
        self.remove(resource, found)
        return {**found, "metadata": {**found["metadata"], "deletionGracePeriodSeconds": 0}}

    def remove(self, resource: Resource, obj: Json) -> None:
        """Take an object away at once."""
        del self._objects[resource, key_of(obj)]
        self._record(resource, obj, None)

    def replace_status(self, resource: Resource, obj: Json, status: Json, spec: Json | None = None) -> Json:
        """Write as kubelet, scheduler and others do who know the object; ``spec`` is merged."""
        after = {**copy.deepcopy(obj), "status": copy.deepcopy(status)}
        after["spec"] = after.get("spec", {}) | (spec or {})
        return self._update(resource, obj, after)

    def collect_garbage(self) -> None:
        """Delete what the owner of is gone."""
        uids = {obj["metadata"]["uid"] for _, obj in self}
        for resource, obj in self:
            owners = obj["metadata"].get("ownerReferences") or ()
            if owners and not any(owner["uid"] in uids for owner in owners):
                self.delete(resource, obj["metadata"]["namespace"], obj["metadata"]["name"])

    def compact(self) -> None:
        """Forget the history, as etcd does after five minutes."""
        self.compacted = self.version

    def since(self, version: int) -> list[Change]:
        """Changes after a version."""
        return self.history[max(0, version - 1) :]

    async def change(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    def _store(self, resource: Resource, obj: Json) -> Json:
        key = key_of(obj)
        before = self._objects.get((resource, key))
        obj["metadata"]["resourceVersion"] = str(self.version + 1)
        self._objects[resource, key] = obj
        self._record(resource, before, obj)
        return obj

    def _update(self, resource: Resource, before: Json, after: Json) -> Json:
        if after == before:
            return before
        if after.get("spec") != before.get("spec"):
            after["metadata"]["generation"] = before["metadata"]["generation"] + 1
        return self._store(resource, after)

    def _record(self, resource: Resource, before: Json | None, after: Json | None) -> None:
        self.version += 1
        self.history.append(Change(self.version, resource, before, after))
        self._changed.set()
        self._changed = asyncio.Event()

    def _time(self, later: float = 0.0) -> str:
        return (_START + timedelta(seconds=int(self._clock() + later))).strftime("%Y-%m-%dT%H:%M:%SZ")


def _held(obj: Json) -> bool:
    return bool(obj["metadata"].get("finalizers"))


def _resize(pod: Json, patch: Json) -> None:
    for change in patch["spec"]["containers"]:
        (container,) = (each for each in pod["spec"]["containers"] if each["name"] == change["name"])
        container["resources"] = {
            kind: container["resources"].get(kind, {}) | change["resources"].get(kind, {})
            for kind in ("limits", "requests")
        }


def _error(verb: str, resource: Resource, namespace: str, name: str, status: int, reason: str, message: str) -> Any:
    return ApiError(verb, where(resource, namespace, name), status, {"reason": reason, "message": message})
