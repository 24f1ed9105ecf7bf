"""What a policy forbids, whichever layer brings it, and what it gives and bounds."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from sandkeeper.api.names import EGRESS_ANNOTATION
from sandkeeper.api.policy import SandboxPolicySpec
from sandkeeper.api.sandbox import Sandbox
from sandkeeper.plan.lifecycle import Phase, life_of
from sandkeeper.plan.observed import Settings
from sandkeeper.plan.policy import default_layer, policy_in
from sandkeeper.plan.sandbox import Plan
from sandkeeper.plan.slim import slim_policy
from sandkeeper.plan.writes import Create, Pack
from unit.fakes.copies import captured, made_claim, source
from unit.fakes.objects import CREATED, NOW, Json, observe, plan, pod_of, sandbox, stored, told
from unit.fakes.templates import base, template

NAMED = Settings(priority_class="sandkeeper-sandbox")


def policy(**spec: Any) -> Json:
    """Make the SandboxPolicy of namespace ``team``, as the store keeps it."""
    return slim_policy(stored({"metadata": {"name": "default", "namespace": "team"}, "spec": spec}, uid="uid-policy"))


def rules(**spec: Any) -> SandboxPolicySpec:
    return policy_in(policy(**spec)["rules"])


def seen(owner: Sandbox, given: Json, of: Json | None = None, **known: Any) -> Plan:
    """Decide on a sandbox under a policy, and of a template."""
    lower = base(owner, known.get("pod"), of, given["layer"])
    return plan(owner, policy=policy_in(given["rules"]), base=lower, **{"settings": NAMED, **known})


def pods(plan: Plan) -> list[Json]:
    return [each.obj for each in plan.writes if isinstance(each, Create) and each.obj["kind"] == "Pod"]


@pytest.mark.parametrize(
    ("spec", "given", "sentence"),
    [
        (
            {"image": "ubuntu:5000/evil"},
            {"allowedImages": ["ubuntu:*", "docker.io/library/*"]},
            "image: ubuntu:5000/evil is not allowed by SandboxPolicy default; allowed: ubuntu:*, docker.io/library/*.",
        ),
        ({}, {"allowedImages": []}, "image: ubuntu:22.04 is not allowed by SandboxPolicy default; allowed: none."),
        (
            {"security": {"runtimeClassName": "runc"}},
            {"allowedRuntimeClasses": ["gvisor", "kata"]},
            "security.runtimeClassName: runc is not allowed by SandboxPolicy default; allowed: gvisor, kata.",
        ),
        (
            {},
            {"allowedRuntimeClasses": ["gvisor", "kata"]},
            "security.runtimeClassName: none, the container runtime's own, is not allowed by SandboxPolicy default; "
            "allowed: gvisor, kata.",
        ),
        (
            {"podTemplate": {"spec": {"tolerations": [{"operator": "Exists"}]}}},
            {"allowedPodTemplateFields": ["nodeSelector"]},
            "podTemplate.spec: tolerations is not allowed by SandboxPolicy default; allowed: nodeSelector.",
        ),
        (
            {"resources": {"limits": {"memory": "2049Mi"}}},
            {"maxResources": {"memory": "2Gi"}},
            "resources.limits.memory: 2049Mi is above 2Gi, the most that is allowed by SandboxPolicy default.",
        ),
        (
            {"resources": {"requests": {"cpu": "3"}}},
            {"maxResources": {"cpu": "2500m"}},
            "resources.limits.cpu: 3 is above 2500m, the most that is allowed by SandboxPolicy default.",
        ),
        (
            {"resources": {"limits": {"nvidia.com/gpu": "2"}}},
            {"maxResources": {"nvidia.com/gpu": 1}},
            "resources.limits.nvidia.com/gpu: 2 is above 1, the most that is allowed by SandboxPolicy default.",
        ),
        (
            {"resources": {"limits": {"nvidia.com/gpu": "1"}}},
            {"maxResources": {"nvidia.com/gpu": 0}},
            "resources.limits.nvidia.com/gpu: 1 is above 0, the most that is allowed by SandboxPolicy default.",
        ),
        (
            {"egress": {"domains": ["api.openai.com", "*.co"]}},
            {"allowedDomains": ["api.openai.com", "*.supabase.co"]},
            "egress.domains: *.co is not allowed by SandboxPolicy default; allowed: api.openai.com, *.supabase.co.",
        ),
        (
            {"egress": {"domains": ["github.com"], "cidrs": [{"cidr": "140.82.112.0/20"}]}},
            {"allowedDomains": ["github.com"]},
            "egress.cidrs: 140.82.112.0/20 is not allowed by SandboxPolicy default, since it bounds domains; allowed: "
            "none.",
        ),
        (
            {"egress": {"domains": ["github.com"]}},
            {"allowedDomains": []},
            "egress.domains: github.com is not allowed by SandboxPolicy default; allowed: none.",
        ),
        (
            {"podTemplate": {"spec": {"priorityClassName": "sandkeeper-other"}}},
            {"quota": {"running": 3}},
            "podTemplate.spec.priorityClassName: sandkeeper-other is not counted by the quota of SandboxPolicy "
            "default; allowed: sandkeeper-sandbox.",
        ),
    ],
)
def test_what_is_forbidden_is_told_with_field_and_allowed_values_and_never_started(
    spec: Json, given: Json, sentence: str
) -> None:
    denied = seen(sandbox(**spec), policy(**given))

    assert told(denied)["Ready"] == ("False", "PolicyDenied")
    assert denied.state.message == sentence
    assert pods(denied) == []


@pytest.mark.parametrize(
    ("spec", "given"),
    [
        ({"image": "docker.io/library/ubuntu"}, {"allowedImages": ["ubuntu:*"]}),
        ({}, {"allowedRuntimeClasses": ["gvisor", ""]}),
        ({"resources": {"limits": {"memory": "2048Mi"}}}, {"maxResources": {"memory": "2Gi"}}),
        ({"resources": {"limits": {"memory": "2147483648"}}}, {"maxResources": {"memory": "2Gi"}}),
        ({"resources": {"limits": {"cpu": "0.5"}}}, {"maxResources": {"cpu": "500m"}}),
        ({"resources": {"limits": {"cpu": "1e-1"}}}, {"maxResources": {"cpu": "100m"}}),
        ({}, {"maxResources": {"cpu": "1", "memory": "512Mi"}}),
        ({"egress": {"domains": ["*.eu.supabase.co"]}}, {"allowedDomains": ["*.supabase.co"]}),
        ({"egress": {"cidrs": [{"cidr": "140.82.112.0/20"}]}}, {"allowedImages": ["ubuntu"]}),
        ({"podTemplate": {"spec": {"priorityClassName": "sandkeeper-sandbox"}}}, {"quota": {"running": 3}}),
        ({"podTemplate": {"spec": {"priorityClassName": "sandkeeper-other"}}}, {"quota": {"sandboxes": 3}}),
    ],
)
def test_what_is_within_all_bounds_starts(spec: Json, given: Json) -> None:
    assert len(pods(seen(sandbox(**spec), policy(**given)))) == 1


def test_where_no_priority_class_is_counted_none_may_be_named() -> None:
    owner = sandbox(podTemplate={"spec": {"priorityClassName": "sandkeeper-other"}})

    denied = seen(owner, policy(quota={"running": 3}), settings=Settings())

    assert denied.state.message.endswith("is not counted by the quota of SandboxPolicy default; allowed: none.")


def test_where_a_policy_is_required_none_starts_without_and_what_runs_goes_on() -> None:
    owner, required = sandbox(), replace(NAMED, require_policy=True)

    denied = plan(owner, settings=required)
    running = plan(owner, settings=required, pod=pod_of(owner))

    assert denied.state.message.startswith("metadata.namespace: team has no SandboxPolicy named default, without which")
    assert pods(denied) == []
    assert (told(running)["Ready"][1], told(running)["Running"][0], running.writes) == ("PolicyDenied", "True", ())
    assert len(pods(seen(owner, policy(), settings=required))) == 1


def test_what_a_template_brings_is_judged() -> None:
    owner = sandbox(templateRef={"name": "python"})

    denied = seen(owner, policy(allowedImages=["ubuntu"]), template(image="quay.io/evil"))

    assert denied.state.message.startswith("image: quay.io/evil is not allowed")


def test_domains_of_all_layers_add_up_and_each_is_judged() -> None:
    owner = sandbox(templateRef={"name": "python"}, egress={"domains": ["own.example"]})
    bounded = {
        "allowedDomains": ["own.example", "*.policy.example"],
        "defaults": {"egress": {"domains": ["a.policy.example"]}},
    }
    shared = template(egress={"domains": ["template.example"]})

    denied = seen(owner, policy(**bounded), shared)
    (pod,) = pods(seen(owner, policy(**bounded | {"allowedDomains": None}), shared))

    assert denied.state.message.startswith("egress.domains: template.example is not allowed")
    reached = orjson.loads(pod["metadata"]["annotations"][EGRESS_ANNOTATION])["domains"]
    assert reached == ["a.policy.example", "template.example", "own.example"]


def test_what_a_snapshot_brings_is_judged() -> None:
    owner = sandbox(source={"snapshotRef": {"name": "good"}})
    brought = source(text=captured(image="quay.io/evil"))

    first = seen(owner, policy(allowedImages=["ubuntu"]), source=brought, claims=(), claim=None)
    later = seen(owner, policy(allowedImages=["ubuntu"]), claim=made_claim(owner, brought))

    for denied in (first, later):
        assert denied.state.message.startswith("image: quay.io/evil is not allowed")
        assert not any(isinstance(each, Create) for each in denied.writes)


@pytest.mark.parametrize(("odd", "denied"), [("3e3m", True), ("1e3m", False), ("2.0000001", True), ("1e400", True)])
def test_an_odd_amount_that_only_a_snapshot_can_bring_is_judged_as_the_pod_has_it(odd: str, denied: bool) -> None:
    owner = sandbox(source={"snapshotRef": {"name": "good"}})
    brought = source(text=captured(resources={"limits": {"cpu": odd}}))

    judged = seen(owner, policy(maxResources={"cpu": "2"}), source=brought, claims=(), claim=None)

    assert (pods(judged) == []) == denied
    for made in pods(judged):
        assert made["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "1"


def test_a_policy_that_is_tightened_leaves_what_runs_and_says_so() -> None:
    owner = sandbox()

    denied = seen(owner, policy(allowedImages=["debian"]), pod=pod_of(owner))

    assert told(denied)["Ready"] == ("False", "PolicyDenied")
    assert told(denied)["Running"] == ("True", "Running")
    assert denied.writes == ()


def test_what_is_forbidden_can_still_fall_asleep() -> None:
    owner = sandbox(lifecycle={"state": "Sleeping"})
    pod = pod_of(owner)
    pod["status"]["containerStatuses"] = [{"state": {"running": {}}, "started": True}]

    going = seen(owner, policy(allowedImages=["debian"]), pod=pod)

    assert going.writes == (Pack(pod),)
    assert seen(owner, policy(allowedImages=["debian"])).state.reason == "Sleeping"


@pytest.mark.parametrize(("ttl", "expires"), [(None, 7), ("1h", 1), ("8h", 7), ("420m", 7)])
def test_nobody_lives_longer_than_the_policy_says(ttl: str | None, expires: int) -> None:
    owner = sandbox(lifecycle={"ttl": ttl} if ttl else {})

    life = life_of(observe(owner, policy=rules(maxTTL="7h")), NOW)

    assert life.expires_at == CREATED + timedelta(hours=expires)
    assert life.phase is Phase.AWAKE


def test_a_lifecycle_by_default_counts_below_the_sandboxs_own() -> None:
    given = rules(defaults={"lifecycle": {"ttl": "2h", "expiryPolicy": "Delete"}})

    default, own = (life_of(observe(each, policy=given), NOW) for each in (sandbox(), sandbox(lifecycle={"ttl": "3h"})))

    assert default.expires_at == CREATED + timedelta(hours=2)
    assert own.expires_at == CREATED + timedelta(hours=3)


def test_defaults_lie_below_the_template_and_wait_for_the_next_start() -> None:
    owner = sandbox(templateRef={"name": "python"})
    given = policy(defaults={"image": "debian:12", "env": [{"name": "A", "value": "policy"}]})

    (made,) = pods(seen(owner, given, template(image="python:3.13")))

    container = made["spec"]["containers"][0]
    assert (container["image"], container["env"]) == ("python:3.13", [{"name": "A", "value": "policy"}])
    waiting = seen(sandbox(), given, pod=pod_of(sandbox()))
    assert waiting.writes == ()
    assert told(waiting)["UpToDate"] == ("False", "PolicyChanged")


def test_built_in_limits_give_way_to_what_one_sandbox_may_use() -> None:
    assert orjson.loads(default_layer({"maxResources": {"cpu": 1, "memory": "8Gi"}})) == {
        "resources": {"limits": {"cpu": "1"}}
    }
    written = {"maxResources": {"cpu": "1"}, "defaults": {"resources": {"limits": {"cpu": "500m"}}}}
    assert orjson.loads(default_layer(written)) == {"resources": {"limits": {"cpu": "500m"}}}
    assert default_layer({"defaults": {"lifecycle": {"ttl": "1h"}}}) == ""
