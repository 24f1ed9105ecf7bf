"""A new pod because somebody asked for one: once for each word, and never for a word that was taken back."""

from typing import Any

import pytest

from sandkeeper.api.sandbox import Sandbox
from sandkeeper.plan.slim import slim_sandbox
from sandkeeper.plan.writes import Create, Delete, Pack
from unit.fakes.objects import Json, plan, pod_of, sandbox

NOTE = "sandkeeper.dev/restart"
EPHEMERAL = {"type": "Ephemeral"}


def asked(word: str | None, **spec: Any) -> Sandbox:
    """Make a sandbox whose annotation has a word; None for no annotation."""
    made = sandbox(**spec or {"workspace": EPHEMERAL})
    noted = made.metadata.model_copy(update={"annotations": {} if word is None else {NOTE: word}})
    return made.model_copy(update={"metadata": noted})


def started(word: str | None, **spec: Any) -> Json:
    """Pod that was made when the annotation had a word."""
    return pod_of(asked(word, **spec))


@pytest.mark.parametrize(
    ("before", "after", "replaced"),
    [
        (None, None, False),
        (None, "one", True),
        ("one", "one", False),
        ("one", "two", True),
        ("one", None, False),
        ("one", "", False),
        ("x" * 64, "x" * 65, False),
    ],
    ids=["never", "first", "the same", "another", "taken back", "empty", "beyond what counts"],
)
def test_another_word_replaces_the_pod(before: str | None, after: str | None, replaced: bool) -> None:
    pod = started(before)

    seen = plan(asked(after), pod=pod)

    assert seen.writes == ((Delete(pod),) if replaced else ())
    if replaced:
        assert seen.state.message == "The pod is being replaced: a restart was asked for."


def test_the_new_pod_remembers_what_it_was_made_for() -> None:
    (made,) = (each.obj for each in plan(asked("one")).writes if isinstance(each, Create) and each.obj["kind"] == "Pod")

    assert made["metadata"]["annotations"][NOTE] == "one"


def test_what_changed_in_the_pod_is_packed_first() -> None:
    pod = started("one", image="ubuntu:22.04")
    pod["status"]["containerStatuses"] = [{"state": {"running": {}}, "started": True}]

    assert plan(asked("two", image="ubuntu:22.04"), pod=pod).writes == (Pack(pod),)


def test_one_that_sleeps_stays_asleep() -> None:
    owner = asked("one", workspace=EPHEMERAL, lifecycle={"state": "Sleeping"})

    assert not any(isinstance(each, Create) for each in plan(owner).writes)


def test_the_word_is_kept_of_what_the_api_server_sends() -> None:
    metadata = {"name": "a", "namespace": "team", "annotations": {NOTE: "one", "example.com/other": "word"}}

    assert slim_sandbox({"metadata": metadata, "spec": {}})["metadata"]["annotations"] == {NOTE: "one"}
