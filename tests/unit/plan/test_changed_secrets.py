"""A changed Secret and a pod that is to be replaced for it: when it goes, and what is said where nobody may look."""

import orjson
import pytest

from sandkeeper.api.resolve import resolve
from sandkeeper.api.sandbox import Sandbox
from sandkeeper.plan.observed import Settings
from sandkeeper.plan.pod import sandbox_pod
from sandkeeper.plan.slim import slim_secret
from sandkeeper.plan.writes import Create, Delete, Pack
from unit.fakes.objects import Json, plan, pod_of, sandbox, told

WATCHED = Settings(secrets_watched=True)
SECRETS = [{"name": "openai", "onChange": "Restart"}, {"name": "smtp"}]
OWNER = sandbox(secrets=SECRETS, workspace={"type": "Ephemeral"})
NOTE = "sandkeeper.dev/secrets"


def started_with(versions: Json, owner: Sandbox = OWNER) -> Json:
    """Pod that was made when Secrets were at these versions."""
    made = sandbox_pod(owner, resolve(owner.spec), WATCHED, user_namespace=False, secrets=versions)
    return pod_of(owner, settings=WATCHED, annotations=made["metadata"]["annotations"])


def test_a_pod_remembers_the_secrets_that_it_is_replaced_for_and_no_others() -> None:
    (made,) = (
        each.obj
        for each in plan(OWNER, settings=WATCHED, secrets={"openai": "v1", "smtp": "v7", "other": "v9"}).writes
        if isinstance(each, Create) and each.obj["kind"] == "Pod"
    )

    assert orjson.loads(made["metadata"]["annotations"][NOTE]) == {"openai": "v1"}
    assert NOTE not in started_with({}, sandbox(secrets=[{"name": "smtp"}]))["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("before", "after", "replaced"),
    [
        ({"openai": "v1"}, {"openai": "v1"}, False),
        ({"openai": "v1"}, {"openai": "v2"}, True),
        ({"openai": "v1", "smtp": "v1"}, {"openai": "v1", "smtp": "v2"}, False),
        ({"openai": "v1"}, {}, False),
        ({}, {"openai": "v1"}, True),
    ],
    ids=["the same", "changed", "another changed", "gone", "come"],
)
def test_a_changed_secret_replaces_the_pod(before: Json, after: Json, replaced: bool) -> None:
    pod = started_with(before)

    seen = plan(OWNER, settings=WATCHED, pod=pod, secrets=after)

    assert seen.writes == ((Delete(pod),) if replaced else ())
    if replaced:
        assert seen.state.message == "The pod is being replaced: Secret openai changed."


def test_what_changed_in_the_pod_is_packed_first() -> None:
    owner = sandbox(secrets=SECRETS)
    pod = started_with({"openai": "v1"}, owner)
    pod["status"]["containerStatuses"] = [{"state": {"running": {}}, "started": True}]

    seen = plan(owner, settings=WATCHED, pod=pod, secrets={"openai": "v2"})

    assert seen.writes == (Pack(pod),)
    assert seen.state.message == (
        "The pod is to be replaced: Secret openai changed. What changed in it is being packed first."
    )


@pytest.mark.parametrize("note", ["no JSON", "[]", "7"])
def test_a_note_that_somebody_broke_costs_a_pod_and_no_more(note: str) -> None:
    pod = started_with({"openai": "v1"})
    pod["metadata"]["annotations"][NOTE] = note

    assert plan(OWNER, settings=WATCHED, pod=pod, secrets={"openai": "v1"}).writes == (Delete(pod),)


def test_where_nobody_may_look_a_sandbox_that_asks_for_it_is_not_started_and_told_what_is_missing() -> None:
    seen = plan(OWNER)

    assert told(seen)["Ready"] == ("False", "PolicyDenied")
    assert told(seen)["Stalled"] == ("True", "PolicyDenied")
    assert not any(isinstance(each, Create) and each.obj["kind"] == "Pod" for each in seen.writes)
    assert seen.state.message == (
        "spec.secrets: onChange of openai can't be Restart, since the operator of this installation may not see "
        "changes of Secrets (secrets.restartOnChange of its chart is false); Ignore is allowed."
    )


def test_one_that_runs_already_runs_on() -> None:
    seen = plan(OWNER, pod=started_with({"openai": "v1"}))

    assert seen.writes == ()
    assert told(seen)["Running"] == ("True", "Running")
    assert told(seen)["Ready"] == ("False", "PolicyDenied")


def test_a_secret_in_the_way_of_another_mount_is_told_before_a_pod_is_made() -> None:
    owner = sandbox(secrets=[{"name": "a", "as": "Files", "mountPath": "/data/a"}], workspace={"path": "/data"})

    seen = plan(owner)

    assert told(seen)["Ready"] == ("False", "Failed")
    assert seen.state.message == "spec.secrets: Secret a can't be mounted at /data/a, since /data is mounted too."


def test_nothing_that_a_secret_holds_is_kept() -> None:
    metadata = {"name": "openai", "namespace": "team", "uid": "u", "resourceVersion": "7"}
    noted = {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{hunter2}"}}

    kept = slim_secret({"kind": "Secret", "metadata": metadata | noted, "data": {"KEY": "aHVudGVyMg=="}})

    assert kept == {"kind": "Secret", "metadata": metadata}
