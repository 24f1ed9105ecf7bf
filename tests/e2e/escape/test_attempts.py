"""Root in a sandbox tries to get out, and the same where nothing is in the way shows that it was well tried."""

import pytest

from e2e.escape.grounds import Grounds, group_of
from e2e.escape.inside import network
from e2e.escape.inside.kit import NO_ANSWER, THROUGH
from e2e.escape.ledger import Ledger, Row

GROUPS = ("network", "services", "wire", "mounts", "kernel", "namespaces", "files")
ATTEMPTS = [(name, what) for name in GROUPS for what in group_of(name).attempts]
CAGED = [(name, what) for name in GROUPS for what, attempt in group_of(name).attempts.items() if attempt.caged]


@pytest.mark.parametrize(("group", "what"), ATTEMPTS)
def test_root_in_a_sandbox(grounds: Grounds, ledger: Ledger, group: str, what: str) -> None:
    attempt = group_of(group).attempts[what]
    seen = grounds.outcomes(group, "sandbox")[what]
    control = grounds.outcomes(group, attempt.control)[what] if attempt.control else ""

    row = ledger.enter(Row("sandbox", what, attempt.expected, seen, control, attempt.note))

    assert row.closed, row
    assert control.startswith(THROUGH) or not attempt.control, row


INGRESS = [what for what in network.GROUP.attempts if what.endswith(("the neighbour, a sandbox of its namespace",
                                                                     "a sandbox of another namespace"))]  # fmt: skip


@pytest.mark.parametrize("who", ["bystander", "outsider"])
def test_ordinary_pods_towards_sandboxes(grounds: Grounds, ledger: Ledger, who: str) -> None:
    declared = [what for what in network.GROUP.attempts if "declared" in what and who == "outsider"]

    seen = grounds.attempt("network", who, [*INGRESS, *declared])

    nodes = grounds.outcomes("network", "watchtower")
    rows = [Row(who, what, (NO_ANSWER,), words, nodes[what], network.FENCED) for what, words in seen.items()]
    assert [row for row in map(ledger.enter, rows) if not row.closed] == []
    assert all(words.startswith(THROUGH) for words in nodes.values())


@pytest.mark.parametrize(("group", "what"), CAGED)
def test_root_with_raw_sockets_in_a_pod_under_a_closed_policy(
    grounds: Grounds, ledger: Ledger, group: str, what: str
) -> None:
    attempt = group_of(group).attempts[what]

    row = ledger.enter(Row("caged pod", what, attempt.caged, grounds.outcomes(group, "caged")[what], note=attempt.note))

    assert row.closed, row
