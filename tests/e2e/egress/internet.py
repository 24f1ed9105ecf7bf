"""The world outside of the cluster, as far as these tests go: a network namespace beside the node's, linked to it.

Its addresses are of the amateur radio network's part for tests: public by their numbers, so that the gateway dials
them. Nothing leaves this machine: neither the node nor this namespace has a way further.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localcluster.commands import run
from localcluster.identity import ProcessIdentity
from localcluster.native.driver import NativeDriver
from localcluster.pki import Authority
from localcluster.process import wait_until
from localcluster.selection import choose

NODE_END = "44.128.0.1"
RESOLVER = "44.128.0.53"
ALLOWED = "44.128.0.10"
FORBIDDEN = "44.128.0.20"
OTHERS = "44.128.0.30"
METADATA = "169.254.169.254"
SITES = (ALLOWED, FORBIDDEN, OTHERS, METADATA)
INTERFACE = "outside"
SERVE = Path(__file__).parent / "outside" / "serve.py"


class Internet:
    """Sites and a name server that writes down what it is asked.

    Parameters
    ----------
    folder
        Where they keep what they need and what they saw.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Make the namespace, link it to the node and serve."""
        driver = choose()
        assert isinstance(driver, NativeDriver), "no other cluster's node can be linked to a namespace"
        authority = Authority.new("egress-tests")
        certificate, key = authority.server("site", ["allowed.example", *SITES]).write(self._folder, "site")
        settings = {"certificate": str(certificate), "key": str(key), "sites": SITES, "resolver": RESOLVER}
        (self._folder / "settings.json").write_text(json.dumps(settings))
        self.names({})
        command = ["unshare", "--net", sys.executable, "-c", _WAIT, str(SERVE), str(self._folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._says("separate")
        node = ProcessIdentity.load(driver._plan().process_record)
        assert node
        self._link(node.pid)
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._says("serving")

    def stop(self) -> None:
        """End it; the link goes with the namespace."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def names(self, zone: dict[str, list[Any]]) -> None:
        """Set what names stand for: addresses, or lists of them that are told one after the other."""
        temporary = self._folder / "zone.json.new"
        temporary.write_text(json.dumps(zone))
        temporary.rename(self._folder / "zone.json")

    def seen(self) -> list[dict[str, Any]]:
        """Return all that arrived so far."""
        file = self._folder / "seen.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @contextmanager
    def watched(self) -> Iterator[list[dict[str, Any]]]:
        """Give a list that holds, in the end, what arrived meanwhile."""
        before, arrived = len(self.seen()), list[dict[str, Any]]()
        yield arrived
        arrived += self.seen()[before:]

    def _says(self, word: str) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == word

    def _link(self, node: int) -> None:
        assert self._process is not None
        own = str(self._process.pid)
        run("ip", "link", "add", INTERFACE, "netns", str(node), "type", "veth", "peer", "name", "node", "netns", own)
        inside_node, outside = (["nsenter", "--net", "--target", each, "ip"] for each in (str(node), own))
        run(*inside_node, "address", "add", f"{NODE_END}/24", "dev", INTERFACE)
        run(*inside_node, "link", "set", INTERFACE, "up")
        # Where a cloud has its metadata, so that there would be something to be reached.
        run(*inside_node, "route", "replace", METADATA, "dev", INTERFACE)
        run(*outside, "link", "set", "lo", "up")
        for address in (RESOLVER, *SITES):
            run(*outside, "address", "add", f"{address}/24", "dev", "node")
        run(*outside, "link", "set", "node", "up")
        run(*outside, "route", "add", "default", "via", NODE_END)
        wait_until(lambda: "LOWER_UP" in run(*outside, "link", "show", "node"), "the link", 10.0)


_WAIT = """
import runpy, sys
print("separate", flush=True)
sys.stdin.readline()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
