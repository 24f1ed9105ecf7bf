"""What a sandbox leaves behind, seen from the node: nobody's files, nobody's processes."""

import json

import pytest

from e2e.escape.grounds import Grounds
from e2e.escape.ledger import Ledger, Row

FIRST_USER_OF_SANDBOXES = 65536
LOOK = """
import json, os, sys
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        words = open(f"/proc/{pid}/cmdline").read().split("\\0")
    except OSError:
        continue
    if sys.argv[1] in words and "inside.listener" in words:
        owner = {path: os.stat(f"/proc/{pid}/root/workspace/{path}").st_uid for path in ("made", "given")}
        owner["process"] = os.stat(f"/proc/{pid}").st_uid
        print(json.dumps(owner))
        break
"""
LEFT = {
    "made": "leaves a setuid program of root in its workspace",
    "given": "gives a setuid program to root by chown",
    "process": "runs a process as root",
}
MAKE = "cd /workspace && cp /bin/true made && cp /bin/true given && chown 0:0 given && chmod 4755 made given"


@pytest.fixture(scope="module")
def owners(grounds: Grounds) -> dict[str, int]:
    """Users of the node to whom the neighbour's things belong."""
    grounds.run("neighbour", "sh", "-ec", MAKE)
    found: dict[str, int] = json.loads(grounds.run("watchtower", "python3", "-c", LOOK, grounds.listener("neighbour")))
    return found


@pytest.mark.parametrize("thing", LEFT)
def test_root_of_a_sandbox_is_nobody_to_the_node(owners: dict[str, int], ledger: Ledger, thing: str) -> None:
    owner = owners[thing]

    seen = "a user of no rights" if owner >= FIRST_USER_OF_SANDBOXES else f"user {owner} of the node"
    note = "by the user namespace; status.userNamespace tells where there is none"
    assert ledger.enter(Row("sandbox", LEFT[thing], ("a user of no rights",), seen, note=note)).closed
