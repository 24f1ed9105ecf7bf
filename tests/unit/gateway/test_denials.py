"""What was refused is told to users in a few Events that count, whatever a sandbox asks for."""

import asyncio

from sandkeeper.gateway.denial_events import AGAIN_SECONDS, FORGOTTEN_SECONDS, MOST_TARGETS, DenialEvents
from sandkeeper.gateway.denials import OTHER_TARGETS, Denials
from sandkeeper.gateway.wire import Denial
from sandkeeper.runtime.resource import CORE_EVENTS, Json
from unit.fakes.apiserver import FakeApiServer
from unit.fakes.client import FakeClient, Faults
from unit.gateway.records import allowed, question, refused


class Lab:
    """Events of one replica, on a clock of the test's own."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.now = 1000.0
        self.server, self.faults = FakeApiServer(), faults or Faults()
        self.events = DenialEvents(FakeClient(self.server, self.faults), "gateway-0", lambda: self.now)

    def refuse(self, target: str = "api.github.com:443", count: int = 1, name: str = "one") -> None:
        self.events.add([Denial("team", name, f"uid-{name}", target, "domain-not-allowed", count)])

    def written(self) -> list[Json]:
        asyncio.run(self.events.write())
        return self.server.all(CORE_EVENTS)

    def notes(self) -> list[str]:
        return sorted(each["message"] for each in self.written())


def test_refusals_are_counted_by_sandbox_and_target() -> None:
    denials = Denials()
    for record in (refused(), refused(), question("evil.example"), allowed(), refused("bad-client-hello")):
        denials.add(record)

    found = denials.take()

    assert [(each.name, each.target, each.count) for each in found] == [
        ("one", "evil.example:443", 2), ("one", "evil.example", 1),
    ]  # fmt: skip
    assert denials.take() == ()


def test_refusals_between_two_reports_are_bounded() -> None:
    denials = Denials()
    for number in range(5000):
        denials.add(question(f"n{number}.example"))

    found = denials.take()

    assert len(found) == 2001
    assert (found[-1].target, found[-1].count) == (OTHER_TARGETS, 3000)


def test_what_a_name_holds_cannot_forge_an_event() -> None:
    denials = Denials()
    denials.add(question("a.example\n(12 times): all is well\u202e"))

    assert denials.take()[0].target == "a.example?(12 times): all is well?"


def test_the_first_refusal_is_told_at_once_on_the_sandbox() -> None:
    lab = Lab()

    lab.refuse(count=12)

    (event,) = lab.written()
    assert event["message"] == "Denied api.github.com:443 (12 times): not in spec.egress.domains."
    assert (event["type"], event["reason"], event["count"]) == ("Warning", "Denied", 12)
    assert event["involvedObject"] == {
        "apiVersion": "sandkeeper.dev/v1alpha1", "kind": "Sandbox", "namespace": "team", "name": "one",
        "uid": "uid-one",
    }  # fmt: skip


def test_what_follows_is_counted_in_the_same_event_now_and_then() -> None:
    lab = Lab()
    lab.refuse()
    assert lab.notes() == ["Denied api.github.com:443 (once): not in spec.egress.domains."]

    lab.refuse(count=5)
    lab.now += AGAIN_SECONDS - 1
    assert lab.notes() == ["Denied api.github.com:443 (once): not in spec.egress.domains."]
    lab.now += 2

    assert lab.notes() == ["Denied api.github.com:443 (6 times): not in spec.egress.domains."]


def test_a_scan_is_one_event_beside_a_few() -> None:
    lab = Lab()
    for number in range(300):
        lab.refuse(f"n{number}.example")

    notes = lab.notes()

    assert len(notes) == MOST_TARGETS + 1
    assert f"Denied {300 - MOST_TARGETS} other names ({300 - MOST_TARGETS} times): not in spec.egress.domains." in notes


def test_sandboxes_do_not_share_what_is_told() -> None:
    lab = Lab()
    for number in range(300):
        lab.refuse(f"n{number}.example", name="scanner")
    lab.refuse(name="honest")

    told = [each["message"] for each in lab.written() if each["involvedObject"]["name"] == "honest"]

    assert told == ["Denied api.github.com:443 (once): not in spec.egress.domains."]


def test_what_has_not_come_again_for_long_is_forgotten() -> None:
    lab = Lab()
    lab.refuse()
    lab.written()
    lab.now += FORGOTTEN_SECONDS + 1
    lab.written()

    lab.refuse()

    assert lab.notes() == ["Denied api.github.com:443 (once): not in spec.egress.domains."] * 2


def test_what_the_api_server_does_not_take_is_not_tried_for_ever() -> None:
    lab = Lab(Faults(rate=1.0))
    lab.refuse()
    assert lab.written() == []
    lab.now += FORGOTTEN_SECONDS + 1
    lab.written()

    lab.faults.rate = 0.0
    lab.now += AGAIN_SECONDS + 1

    assert lab.written() == []


def test_an_event_that_has_expired_is_written_anew() -> None:
    lab = Lab()
    lab.refuse()
    (event,) = lab.written()
    lab.server.delete(CORE_EVENTS, "team", event["metadata"]["name"])

    lab.refuse()
    lab.now += AGAIN_SECONDS + 1
    assert lab.written() == []
    lab.now += AGAIN_SECONDS + 1

    assert lab.notes() == ["Denied api.github.com:443 (2 times): not in spec.egress.domains."]
