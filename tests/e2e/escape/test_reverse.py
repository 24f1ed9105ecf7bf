"""What is allowed in one direction opens nothing in the other."""

from concurrent.futures import ThreadPoolExecutor

from e2e.escape.grounds import Grounds
from e2e.escape.inside.kit import NO_ANSWER
from e2e.escape.ledger import Ledger, Row


def test_an_allowed_connection_cannot_be_begun_again_in_reverse(grounds: Grounds, ledger: Ledger) -> None:
    with ThreadPoolExecutor() as beside:
        attacker = beside.submit(grounds.program, "sandbox", ".reopening", "attacker", "bystander")
        client = beside.submit(grounds.program, "bystander", ".reopening", "client", "sandbox")

    row = ledger.enter(
        Row("sandbox", "begins a connection to whoever just connected to its port, in reverse", (NO_ANSWER,),
            attacker.result(), client.result(), "by connection tracking: the reply direction alone is let through")
    )  # fmt: skip

    assert row.closed, row
    assert client.result() == "answered b'welcome', nobody came back"


def test_nothing_of_the_sandbox_arrived_anywhere(grounds: Grounds, ledger: Ledger) -> None:
    """Whatever the other tests tried: who watches every target saw replies to allowed connections at most."""
    for group in ("network", "services", "wire"):
        for who in ("sandbox", "caged", "open"):
            grounds.outcomes(group, who)
    arrivals = grounds.arrivals()
    fenced = {grounds.address("sandbox"), grounds.address("caged")}
    tokens = ("sk-escape/sandbox/", "sk-escape/caged/")
    carried = {each["place"] for each in arrivals if each["token"].startswith(tokens)}
    # The bystander may connect to the sandbox's port, and is answered.
    strange = {each["place"] for each in arrivals if each["source"] in fenced} - {"bystander"}
    places = sorted(carried | strange)

    row = ledger.enter(Row("sandbox", "any packet whatever, of all attempts", ("none arrived",),
                           f"arrived at {places}" if places else "none arrived"))  # fmt: skip

    assert row.closed, row
    assert any(each["token"].startswith("sk-escape/open/") for each in arrivals)
