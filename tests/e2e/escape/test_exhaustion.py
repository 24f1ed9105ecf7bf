"""A sandbox takes all that it can get; it is stopped at its limits, and the neighbour goes on working."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.escape.grounds import IMAGE, Grounds
from e2e.escape.inside import exhaustion, pulse
from e2e.escape.ledger import Ledger, Row
from e2e.operator.sandboxes import eventually

LIMITS = {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}
REQUESTS = {"cpu": "20m", "memory": "64Mi"}
LITTLE_DISK = {
    "limits": {**LIMITS, "ephemeral-storage": "64Mi"},
    "requests": {**REQUESTS, "ephemeral-storage": "1Mi"},
}
WRITES_FILES = "head -c 200000000 /dev/zero > /workspace/filling; sleep 100000"
WRITES_LOG = "head -c 200000000 /dev/zero | tr '\\0' '\\n'; sleep 100000"
FILLERS = {
    "writes 200 MB to its disk, with a limit of 64Mi": ("filler", WRITES_FILES),
    "writes 200 MB to its log, with a limit of 64Mi": ("chatterer", WRITES_LOG),
}


@pytest.fixture(scope="module", autouse=True)
def greedy(grounds: Grounds) -> Iterator[None]:
    """Sandboxes that take; the kubelet needs a while to measure disks, so that those begin at once."""
    for name, script in FILLERS.values():
        grounds.abroad.apply(name, image=IMAGE, command=["sh", "-c", script], resources=LITTLE_DISK)
    grounds.add_sandbox("greedy", resources={"limits": LIMITS, "requests": REQUESTS})
    yield
    grounds.abroad.kubectl("delete", "sandbox", "filler", "chatterer", "--wait=false")
    grounds.abroad.kubectl("delete", "sandbox", "greedy", "--wait=false")


def made(grounds: Grounds, what: str) -> str:
    """Make one attempt; where the kernel ends a whole container for one process, the words are lost with it."""
    try:
        seen: dict[str, str] = grounds.program("greedy", "", "exhaustion", attempts=[what])
        return seen[what]
    except AssertionError as error:
        if "exit code 137" not in str(error):
            raise
        return exhaustion.KILLED


@pytest.mark.parametrize("what", exhaustion.GROUP.attempts)
def test_one_takes_all(grounds: Grounds, ledger: Ledger, what: str) -> None:
    attempt = exhaustion.GROUP.attempts[what]
    grounds.supply("greedy")

    with ThreadPoolExecutor() as beside:
        seen = beside.submit(made, grounds, what)
        answers = beside.submit(grounds.program, "watchtower", ".pulse", "neighbour")

    told = f"the neighbour answers {answers.result()} of {pulse.TIMES} times"
    row = ledger.enter(Row("sandbox", what, attempt.expected, seen.result(), told, attempt.note))
    assert row.closed, row
    assert answers.result() == pulse.TIMES
    assert grounds.run("neighbour", "sh", "-c", "echo goes on > /workspace/work && cat /workspace/work") == "goes on\n"


@pytest.mark.parametrize("what", FILLERS)
def test_one_fills_the_disk(grounds: Grounds, ledger: Ledger, what: str) -> None:
    name, _ = FILLERS[what]

    def evictions() -> list[str]:
        events = json.loads(grounds.abroad.kubectl("get", "events", "-o", "json"))["items"]
        of_it = [each for each in events if each["involvedObject"]["name"] == f"sbx-{name}"]
        return [each["message"] for each in of_it if each["reason"] == "Evicted"]

    words = eventually(evictions, bool, 150)[0]

    seen = "evicted" if "ephemeral" in words else words
    row = ledger.enter(Row("sandbox", what, ("evicted",), seen, note="the kubelet measures every 10 to 60 seconds"))
    assert row.closed, words
    assert grounds.program("watchtower", ".pulse", "neighbour") == pulse.TIMES
