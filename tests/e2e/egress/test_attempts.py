"""A sandbox with a few allowed names tries to reach others, by every way that its authors could think of."""

import pytest

from e2e.egress.grounds import GRANTED, KINDS, NEIGHBOURS, OF_IPV6, Grounds, group_of
from e2e.egress.internet import ALLOWED, FORBIDDEN, OTHERS
from e2e.escape.inside.kit import THROUGH
from e2e.escape.ledger import Ledger, Row

GROUPS = ("straight", "names", "tls", "web")
ATTEMPTS = [(name, what) for name in GROUPS for what in group_of(name).attempts]


@pytest.mark.parametrize(("group", "what"), ATTEMPTS)
def test_no_way_leads_past_the_gateway(grounds: Grounds, ledger: Ledger, group: str, what: str) -> None:
    attempt = group_of(group).attempts[what]
    seen = grounds.outcomes(group, "sandbox")[what]
    control = grounds.outcomes(group, attempt.control)[what] if attempt.control else ""

    row = ledger.enter(Row("sandbox", f"{group}: {what}", attempt.expected, seen, control, attempt.note))

    assert row.closed, row
    assert control.startswith(THROUGH) or not attempt.control, row


def test_there_are_enough_of_them() -> None:
    assert len(ATTEMPTS) >= 60


def test_nobody_outside_saw_anything_of_it(grounds: Grounds) -> None:
    for group in GROUPS:
        grounds.outcomes(group, "sandbox")
    sandbox = grounds.addresses["sandbox"]
    seen = grounds.internet.seen()
    granted = {name.removesuffix(":22").removesuffix(":5432") for name in (*GRANTED, *NEIGHBOURS, "setup.example")}

    questions = {each["name"] for each in seen if each["what"] == "dns" and each["source"] != grounds.addresses["open"]}
    reached = [each for each in seen if each.get("address") in {FORBIDDEN, OTHERS} and each["source"] == sandbox]
    asked = [each for each in seen if each["what"] == "request" and each["address"] == ALLOWED]

    assert {name for name in questions if name not in granted and not name.endswith(".wild.example")} == set()
    assert reached == []
    assert {each["host"] for each in asked if not each.get("sni")} <= {
        "allowed.example",
        "mixed.example",
        "git.example",
    }


def test_an_address_that_is_not_to_be_reached_is_said_to_be_one(grounds: Grounds) -> None:
    grounds.outcomes("tls", "sandbox")

    told = {
        each["domain"]: each["reason"]
        for each in grounds.audit(kind="tls")
        if each["domain"].removesuffix(".example") in KINDS
    }

    assert told.keys() == {f"{kind}.example" for kind in KINDS}
    assert {told[f"{kind}.example"] for kind in KINDS.keys() - OF_IPV6} == {"forbidden-address"}
    assert {told[f"{kind}.example"] for kind in OF_IPV6} <= {"forbidden-address", "unresolvable"}
