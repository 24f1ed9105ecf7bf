"""A sandbox of a template: what it gets of it, when a change is taken, and what becomes of it without the template."""

from typing import Any

import orjson
import pytest

from sandkeeper.api.names import EGRESS_ANNOTATION
from sandkeeper.api.sandbox import Sandbox
from sandkeeper.plan.captured import capture
from sandkeeper.plan.sandbox import Plan
from sandkeeper.plan.writes import Create, Delete, Pack, Patch
from unit.fakes.objects import Json, claim_of, plan, sandbox, told
from unit.fakes.templates import base, made_from, template

V1 = template(image="python:3.13", env=[{"name": "A", "value": "1"}], resources={"limits": {"cpu": "1"}})
V2 = template(generation=2, image="python:3.14", env=[{"name": "A", "value": "2"}], resources={"limits": {"cpu": "1"}})
LARGER = template(
    generation=2, image="python:3.13", env=[{"name": "A", "value": "1"}], resources={"limits": {"cpu": "3"}}
)
NOTE = "sandkeeper.dev/base"
EPHEMERAL = {"workspace": {"type": "Ephemeral"}}


def of_template(rollout: str | None = None, name: str = "python", **spec: Any) -> Sandbox:
    """Make a sandbox of a template, on no volume unless its workspace is given."""
    reference = {"name": name} | ({"rollout": rollout} if rollout else {})
    return sandbox(**{**EPHEMERAL, "templateRef": reference, **spec})


def seen(owner: Sandbox, pod: Json | None, now: Json | None, **known: Any) -> Plan:
    """Decide on a sandbox whose pod is given, while its template is as given now."""
    return plan(owner, pod=pod, base=base(owner, pod, now), **{"claim": None, **known})


def pod_in(plan: Plan) -> Json:
    """Return the pod that a plan makes."""
    (made,) = (each.obj for each in plan.writes if isinstance(each, Create) and each.obj["kind"] == "Pod")
    return made


def up_to_date(plan: Plan) -> Json:
    (found,) = (each for each in plan.status["conditions"] if each["type"] == "UpToDate")
    return {name: found[name] for name in ("status", "reason", "message")}


def test_a_sandbox_gets_what_its_template_gives_and_its_own_words_count_before_it() -> None:
    made = pod_in(seen(of_template(env=[{"name": "B", "value": "own"}], image="mine:1"), None, V1))

    container = made["spec"]["containers"][0]
    assert container["image"] == "mine:1"
    assert container["env"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "own"}]
    assert container["resources"]["limits"] == {"cpu": "1", "memory": "4Gi", "ephemeral-storage": "10Gi"}


def test_a_template_gives_nothing_but_an_environment() -> None:
    odd = template(
        image="python:3.13",
        git={"repository": "https://git.example.com/app", "branch": "theirs"},
        lifecycle={"ttl": "1s", "state": "Sleeping"},
        source={"snapshotRef": {"name": "x"}},
        snapshots={"schedule": "@daily"},
        templateRef={"name": "another"},
    )

    layer = base(of_template(), None, odd).latest.layers[0]

    assert layer.to_json() == {"image": "python:3.13", "git": {"repository": "https://git.example.com/app"}}


def test_the_status_says_of_which_generation_the_environment_is() -> None:
    owner = of_template()
    running = seen(owner, made_from(owner, V1), V1)

    assert running.status["template"] == {"name": "python", "generation": 1}
    assert running.status["effective"]["image"] == "python:3.13"
    assert told(running)["UpToDate"] == ("True", "UpToDate")


def test_a_change_waits_until_the_pod_is_started_anew_and_is_told_field_by_field() -> None:
    owner = of_template()
    waiting = seen(owner, made_from(owner, V1), V2)

    assert waiting.writes == ()
    assert told(waiting)["Ready"] == ("True", "Running")
    assert up_to_date(waiting) == {
        "status": "False",
        "reason": "TemplateChanged",
        "message": "SandboxTemplate python changed in image, env: the pod was made from generation 1 and takes "
        "generation 2 at its next start.",
    }
    assert waiting.status["template"]["generation"] == 1
    assert pod_in(seen(owner, None, V2))["spec"]["containers"][0]["image"] == "python:3.14"


def test_a_change_that_the_sandbox_overrides_is_none() -> None:
    owner = of_template(image="mine:1", env=[{"name": "A", "value": "own"}])

    assert told(seen(owner, made_from(owner, V1), V2))["UpToDate"] == ("True", "UpToDate")


def test_what_could_change_in_place_waits_too() -> None:
    owner = of_template()
    waiting = seen(owner, made_from(owner, V1), LARGER)

    assert waiting.writes == ()
    assert up_to_date(waiting)["message"].startswith("SandboxTemplate python changed in resources: ")


def test_what_the_sandbox_itself_changes_is_done_at_once_whatever_of_the_template_waits() -> None:
    before = made_from(of_template(), V1)
    owner = of_template(resources={"limits": {"memory": "2Gi"}})

    (resized,) = seen(owner, before, V2).writes

    assert isinstance(resized, Patch)
    assert resized.patch["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "1", "memory": "2Gi"}


def test_immediate_takes_a_change_at_once() -> None:
    owner = of_template("Immediate")
    pod = made_from(owner, V1)

    replaced = seen(owner, pod, V2)

    assert replaced.writes == (Delete(pod),)
    assert replaced.state.message == "The pod is being replaced: the environment changed."


def test_immediate_packs_first_what_changed_in_the_pod() -> None:
    owner = sandbox(templateRef={"name": "python", "rollout": "Immediate"})
    more = template(generation=2, image="python:3.13", env=[{"name": "A", "value": "2"}])
    pod = made_from(owner, V1)
    pod["status"]["containerStatuses"] = [{"state": {"running": {}}, "started": True}]

    assert seen(owner, pod, more, claim=claim_of(owner)).writes == (Pack(pod),)


def test_immediate_changes_in_place_what_can_and_the_pod_remembers_it() -> None:
    owner = of_template("Immediate")
    pod = made_from(owner, V1)

    (resized,) = seen(owner, pod, LARGER).writes
    assert isinstance(resized, Patch)
    assert resized.subresource == "resize"

    pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "3"
    pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "750m"
    (noted,) = seen(owner, pod, LARGER).writes
    assert isinstance(noted, Patch)
    remembered = orjson.loads(noted.patch["metadata"]["annotations"][NOTE])
    assert remembered["template"]["generation"] == 2
    pod["metadata"]["annotations"] |= noted.patch["metadata"]["annotations"]
    assert seen(owner, pod, LARGER).writes == ()


def test_domains_of_a_template_are_added_as_it_is_rolled_out_and_no_pod_is_replaced_for_them() -> None:
    opened = template(
        generation=2, image="python:3.13", env=[{"name": "A", "value": "1"}], resources={"limits": {"cpu": "1"}},
        egress={"domains": ["shared.example"]},
    )  # fmt: skip
    own = {"domains": ["own.example"]}
    waits, takes = of_template(egress=own), of_template("Immediate", egress=own)

    waiting, taking = (seen(each, made_from(each, V1), opened) for each in (waits, takes))

    assert waiting.writes == ()
    assert up_to_date(waiting)["reason"] == "TemplateChanged"
    assert "changed in egress: " in up_to_date(waiting)["message"]
    (granted,) = taking.writes
    assert isinstance(granted, Patch)
    grant = orjson.loads(granted.patch["metadata"]["annotations"][EGRESS_ANNOTATION])
    assert grant["domains"] == ["shared.example", "own.example"]


def test_another_template_is_the_sandboxs_own_change_and_taken_at_once() -> None:
    pod = made_from(of_template(), V1)

    assert seen(of_template(name="node"), pod, template("node", image="node:22")).writes == (Delete(pod),)
    assert seen(sandbox(workspace={"type": "Ephemeral"}), pod, None).writes == (Delete(pod),)


def test_a_template_that_is_not_there_is_waited_for_and_nothing_is_made() -> None:
    absent = seen(of_template(), None, None)

    assert absent.writes == ()
    assert told(absent)["Ready"] == ("False", "TemplateNotFound")
    assert absent.state.message == (
        "spec.templateRef.name: SandboxTemplate python is not there; the start goes on once it is."
    )
    assert "effective" not in absent.status


def test_a_template_that_goes_takes_nothing_from_what_runs() -> None:
    owner = of_template(ports=[{"name": "web", "port": 8080}])
    pod = made_from(owner, V1)

    orphan = seen(owner, pod, None)

    assert not any(isinstance(each, Delete) for each in orphan.writes)
    assert told(orphan)["Ready"] == ("True", "Running")
    assert up_to_date(orphan) == {
        "status": "False",
        "reason": "TemplateNotFound",
        "message": "SandboxTemplate python is not there any more; the pod goes on with what it was made from, "
        "and another one is made only once the template is there.",
    }
    assert orphan.status["effective"]["image"] == "python:3.13"


@pytest.mark.parametrize("rollout", ["OnRestart", "Immediate"])
def test_a_failed_pod_of_a_template_that_is_gone_is_removed_and_the_next_one_waits(rollout: str) -> None:
    owner = of_template(rollout)
    pod = made_from(owner, V1, {"phase": "Failed", "reason": "Evicted"})

    assert seen(owner, pod, None).writes == (Delete(pod),)
    assert seen(owner, None, None).state.reason == "TemplateNotFound"


def test_one_that_sleeps_needs_no_template_until_it_wakes() -> None:
    asleep = of_template(lifecycle={"state": "Sleeping"})

    assert seen(asleep, None, None).state.reason == "Sleeping"


def test_what_a_template_said_of_a_claim_stands_while_the_template_is_not_there() -> None:
    owner = sandbox(templateRef={"name": "python"})
    retained = claim_of(owner)
    retained["metadata"] |= {"labels": {**retained["metadata"]["labels"], "sandkeeper.dev/retained": "true"}}
    retained["metadata"]["ownerReferences"] = []
    ended = sandbox(templateRef={"name": "python"}, lifecycle={"ttl": "1s"})

    assert seen(owner, None, None, claim=retained).writes == ()
    assert seen(ended, None, None, claim=retained).writes == ()


def test_a_workspace_on_a_volume_can_not_be_made_ephemeral_by_another_template() -> None:
    owner = sandbox(templateRef={"name": "python"})

    held = seen(owner, None, template(workspace={"type": "Ephemeral"}), claim=claim_of(owner))

    assert held.state.reason == "Conflict"
    assert held.state.message.startswith(
        "spec.workspace.type: the workspace is on PersistentVolumeClaim sbx-a and can't"
    )


def test_a_snapshot_captures_what_the_template_gave() -> None:
    owner = sandbox(templateRef={"name": "python", "rollout": "Immediate"}, image="mine:1")
    layer = capture(owner, claim_of(owner), base(owner, None, V1).used.layers)

    assert (layer.image, layer.template_ref) == ("mine:1", None)
    assert [each.to_json() for each in layer.env or ()] == [{"name": "A", "value": "1"}]


def test_login_and_ref_of_a_templates_repository_go_to_no_other_one() -> None:
    theirs = template(
        git={"repository": "https://a.example/app", "ref": "v1", "credentialsSecret": "login"}, image="python:3.13"
    )
    owner = of_template(git={"repository": "https://b.example/other"})

    made = pod_in(seen(owner, None, theirs))

    assert "login" not in orjson.dumps(made["spec"]).decode()
    assert "https://b.example/other" in orjson.dumps(made["spec"]).decode()


@pytest.mark.parametrize("note", ["", "nonsense", "[]", "{}", '{"template":{}}', '{"template":{"name":"python"}}'])
def test_a_pod_whose_note_can_not_be_read_is_one_that_was_made_from_nothing(note: str) -> None:
    owner = of_template()
    pod = made_from(owner, V1)
    pod["metadata"]["annotations"][NOTE] = note

    assert base(owner, pod, V1).used == base(owner, None, V1).latest
