"""An address is a sandbox's while exactly one living pod has it, whatever came before and in whatever order."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.api.names import EGRESS_ANNOTATION, GATEWAY_SLOT_LABEL, ROLE_LABEL
from sandkeeper.gateway.rules import Verdict
from sandkeeper.gateway.view import View, rules_of, slim_pod, slots_of
from sandkeeper.runtime.resource import Json
from unit.gateway.pods import pod, slim


def owners(view: View) -> dict[str, str]:
    return {entry.address: entry.pod_uid for entry in view}


def test_a_pod_with_an_address_is_known_by_it() -> None:
    view = View()

    change = view.change(None, slim("one", "10.0.0.1", domains=("example.com",)), at=7.0)

    assert change is not None
    (entry,) = change.entries
    assert (entry.address, entry.namespace, entry.name, entry.uid) == ("10.0.0.1", "team", "one", "uid-one")
    assert (entry.pod_uid, change.at, change.gone) == ("pod-one", 7.0, ())
    assert rules_of(entry.grant).verdict("example.com", 443, 0.0) == Verdict("example.com")


def test_a_pod_without_an_address_is_nobody_yet() -> None:
    assert View().change(None, slim("one")) is None


@pytest.mark.parametrize("end", [{"phase": "Failed"}, {"phase": "Succeeded"}, {"deletionTimestamp": "2026-01-01"}])
def test_a_pod_that_ends_has_no_address_any_more(end: dict[str, str]) -> None:
    view, lives = View(), slim("one", "10.0.0.1")
    view.change(None, lives)

    change = view.change(lives, slim("one", "10.0.0.1", **end))

    assert change is not None
    assert change.gone == ("10.0.0.1",)
    assert owners(view) == {}


def test_an_address_that_two_claim_is_nobodys_until_one_of_them_is_gone() -> None:
    view, first, second = View(), slim("one", "10.0.0.1"), slim("two", "10.0.0.1")
    view.change(None, first)

    claimed = view.change(None, second)
    left = view.change(first, None)

    assert claimed is not None
    assert claimed.gone == ("10.0.0.1",)
    assert left is not None
    assert [entry.pod_uid for entry in left.entries] == ["pod-two"]


def test_a_pod_made_anew_under_its_name_is_another_one() -> None:
    view, before = View(), slim("one", "10.0.0.1", domains=("example.com",))
    view.change(None, before)

    change = view.change(before, slim("one", "10.0.0.1", uid="again"))

    assert change is not None
    assert [(entry.pod_uid, entry.grant) for entry in change.entries] == [("again", '{"domains":[]}')]


def test_what_says_nothing_new_is_no_change() -> None:
    view, before = View(), slim("one", "10.0.0.1")
    view.change(None, before)

    assert view.change(before, slim("one", "10.0.0.1")) is None


def test_both_families_are_one_pods_in_their_usual_form() -> None:
    view, both = View(), pod("one", "10.0.0.1")
    both["status"]["podIPs"].append({"ip": "FD00:0::0007"})

    view.change(None, slim_pod(both))

    assert owners(view) == {"10.0.0.1": "pod-one", "fd00::7": "pod-one"}


def test_only_what_the_operator_made_for_a_sandbox_is_one() -> None:
    view, forged, ownerless = View(), pod("one", "10.0.0.1"), pod("two", "10.0.0.2", ownerReferences=[])
    forged["metadata"]["labels"].pop(ROLE_LABEL)

    view.change(None, slim_pod(forged))
    view.change(None, slim_pod(ownerless))

    assert owners(view) == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"domains":["*"]}', '{"cidrs":[{"cidr":"10.0.0.300/8"}]}'])
def test_a_grant_that_cannot_be_read_grants_nothing(text: str) -> None:
    view, odd = View(), pod("one", "10.0.0.1", domains=("example.com",))
    odd["metadata"]["annotations"][EGRESS_ANNOTATION] = text

    view.change(None, slim_pod(odd))

    (entry,) = view
    assert not rules_of(entry.grant).resolves("example.com", 0.0)


def test_services_give_the_addresses_of_their_slots() -> None:
    def service(slot: str, *addresses: str) -> Json:
        spec = {"clusterIP": addresses[0], "clusterIPs": list(addresses)}
        return {"metadata": {"labels": {GATEWAY_SLOT_LABEL: slot}}, "spec": spec}

    services = [
        service("0", "10.96.0.1", "fd00::1"),
        service("2", "10.96.0.2"),
        service("3", "None"),
        service("x", "1"),
    ]

    assert slots_of(services) == {0: ("10.96.0.1", "fd00::1"), 2: ("10.96.0.2",), 3: ()}


NAMES, ADDRESSES = ("a", "b", "c"), ("10.0.0.1", "10.0.0.2")
STATES = st.one_of(
    st.none(),
    st.tuples(
        st.sampled_from(["1", "2"]), st.sampled_from(["", *ADDRESSES]), st.sampled_from(["Running", "Failed"]),
        st.booleans(), st.sampled_from([(), ("example.com",)]),
    ),
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(NAMES), STATES), max_size=30))
def test_no_order_of_events_lets_a_recycled_address_speak_for_its_old_owner(
    events: list[tuple[str, tuple[str, str, str, bool, tuple[str, ...]] | None]],
) -> None:
    view = View()
    told: dict[str, str] = {}
    present: dict[str, Json | None] = dict.fromkeys(NAMES)
    for name, state in events:
        after = None
        if state:
            uid, address, phase, deleting, domains = state
            more = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleting else {}
            after = slim(name, address, uid=name + uid, domains=domains, phase=phase, **more)
        change = view.change(present[name], after)
        present[name] = after
        if change:
            for address in change.gone:
                told.pop(address, None)
            told |= {entry.address: entry.pod_uid for entry in change.entries}
        claims = defaultdict(list)
        for each in filter(None, present.values()):
            for address in each["addresses"] if each["lives"] else ():
                claims[address].append(each["metadata"]["uid"])
        expected = {address: uids[0] for address, uids in claims.items() if len(uids) == 1}
        assert owners(view) == expected
        # Whoever follows the changes alone knows the same.
        assert told == expected
