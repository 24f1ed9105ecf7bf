"""A sandbox is parsed once a version, however many passes look at it, and what is kept of that is bounded."""

from typing import Any

from sandkeeper.controllers.parsed import ParsedSandboxes, parsed_source
from sandkeeper.plan.made_from import source_key
from sandkeeper.runtime.resource import Json


def raw(name: str = "a", version: int = 1, **spec: Any) -> Json:
    return {"metadata": {"name": name, "namespace": "team", "uid": f"uid-{name}", "resourceVersion": str(version)},
            "spec": spec}  # fmt: skip


def test_a_version_that_is_known_is_not_parsed_again_and_a_new_one_is() -> None:
    parsed = ParsedSandboxes()

    first = parsed.of(raw(image="debian:12"))

    assert parsed.of(raw(image="debian:12")) is first
    assert parsed.of(raw(version=2, image="fedora:42")).spec.image == "fedora:42"


def test_one_that_is_made_anew_under_its_name_is_another_one() -> None:
    parsed = ParsedSandboxes()
    former, heir = raw(image="debian:12"), raw(image="fedora:42")
    heir["metadata"]["uid"] = "uid-heir"

    assert (parsed.of(former).spec.image, parsed.of(heir).spec.image) == ("debian:12", "fedora:42")


def test_what_was_looked_at_last_stays_and_the_others_go() -> None:
    parsed = ParsedSandboxes()
    first, second = parsed.of(raw("first")), parsed.of(raw("second"))
    for number in range(255):
        parsed.of(raw(f"other-{number}"))
        assert parsed.of(raw("first")) is first

    assert parsed.of(raw("second")) is not second


def test_a_source_is_the_same_however_its_fields_are_ordered() -> None:
    one = parsed_source({"snapshotRef": {"name": "good"}, "revision": "1"})
    other = parsed_source({"revision": "1", "snapshotRef": {"name": "good"}})

    assert source_key(one) == source_key(other)
    assert parsed_source({"snapshotRef": {"name": "good"}, "revision": "1"}) is one
