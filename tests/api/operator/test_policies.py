"""What a SandboxPolicy forbids is refused where it is written, and not started where a sandbox only resolves to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.operator.conftest import INSTALLED
from api.operator.kubernetes_api import NAMESPACES, Api, Json, RefusedError
from api.operator.operator_process import OperatorProcess
from api.operator.policies import ready, rule
from api.operator.team import IMAGE, Team, condition
from api.operator.waiting import eventually
from localcluster.controlplane import ControlPlane
from sandkeeper.api.domains import within
from sandkeeper.api.images import allows
from sandkeeper.controllers.cluster import SANDBOXES
from sandkeeper.controllers.policies import POLICIES
from sandkeeper.controllers.templates import TEMPLATES
from sandkeeper.runtime.resource import PODS, Resource
from unit.chart.rendering import Helm, objects
from unit.fakes import domains, images

ALLOWED = ["ubuntu:*", "docker.io/library/*", "registry.example/agent*", "registry.example.com/agents/*"]
EPHEMERAL = {"type": "Ephemeral"}
DOMAINS = ["api.openai.com", "*.supabase.co", "github.com:22"]
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")


def refused(team: Team, spec: Json, *, kind: Any = SANDBOXES) -> str:
    """Create an object, and return why that was refused; empty where it was not."""
    try:
        team.api.create(kind, team.namespace, {"metadata": {"name": "asked"}, "spec": spec})
    except RefusedError as error:
        return str(error)
    team.api.delete(kind, team.namespace, "asked")
    return ""


def await_guard(team: Team, spec: Json) -> None:
    """Wait until the apiserver judges by a policy: it hears of one a moment after it was written."""
    eventually(lambda: "SandboxPolicy default" in refused(team, spec), "policy in force at admission")


@pytest.fixture
def guarded(operator: OperatorProcess, team: Team) -> Team:
    """A namespace with a policy."""
    rule(
        team,
        allowedImages=ALLOWED,
        allowedDomains=DOMAINS,
        allowedRuntimeClasses=["", "gvisor", "kata"],
        allowedPodTemplateFields=["nodeSelector"],
        maxTTL="720h",
        maxResources={"cpu": "2", "memory": "2Gi", "nvidia.com/gpu": 0},
    )
    await_guard(team, {"image": "quay.io/evil:1"})
    return team


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"image": "ubuntu:5000/evil"}, "spec.image: ubuntu:5000/evil is not allowed by SandboxPolicy default of"),
        ({"image": "docker.io/evil/ubuntu:22.04"}, "allowed: ubuntu:*, docker.io/library/*, registry.example/agent*"),
        ({"image": "registry.example.com/agents/deeper/x"}, "spec.image: registry.example.com/agents/deeper/x is not"),
        ({"image": "Registry.example.com/agents/x"}, "spec.image: Registry.example.com/agents/x is not allowed"),
        ({"image": "registry.example.com:443/agents/x"}, "spec.image: registry.example.com:443/agents/x is not"),
        ({"image": f"evil.example/ubuntu@sha256:{'a' * 64}"}, "spec.image: evil.example/ubuntu@sha256:"),
        ({"security": {"runtimeClassName": "runc"}}, 'allowed: "", gvisor, kata'),
        (
            {"podTemplate": {"spec": {"tolerations": [{"operator": "Exists"}]}}},
            "spec.podTemplate.spec: tolerations is not allowed by SandboxPolicy default of namespace",
        ),
        (
            {"egress": {"domains": ["api.openai.com", "*.co"]}},
            "spec.egress.domains: *.co is not allowed by SandboxPolicy default of namespace",
        ),
        ({"egress": {"domains": ["api.openai.com:22"]}}, "allowed: api.openai.com, *.supabase.co, github.com:22"),
        (
            {"egress": {"cidrs": [{"cidr": "10.20.0.0/16"}]}},
            "spec.egress.cidrs: 10.20.0.0/16 is not allowed by SandboxPolicy default of namespace",
        ),
        ({"lifecycle": {"ttl": "721h"}}, "spec.lifecycle.ttl: 721h is above 720h, the most that SandboxPolicy default"),
        ({"resources": {"limits": {"cpu": "2001m"}}}, "spec.resources.limits.cpu: 2001m is above 2, the most that"),
        ({"resources": {"limits": {"cpu": "2.0001"}}}, "spec.resources.limits.cpu: 2.0001 is above 2, the most that"),
        ({"resources": {"limits": {"memory": "2049Mi"}}}, "spec.resources.limits.memory: 2049Mi is above 2Gi"),
        ({"resources": {"limits": {"memory": "3e9"}}}, "spec.resources.limits.memory: 3e9 is above 2Gi"),
        ({"resources": {"limits": {"nvidia.com/gpu": 1}}}, "spec.resources.limits.nvidia.com/gpu: 1 is above 0, the"),
        ({"resources": {"requests": {"cpu": 3}}}, "spec.resources.requests.cpu: 3 is above 2"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_what_is_written_and_forbidden_is_refused_with_field_and_allowed_values(
    guarded: Team, spec: Json, sentence: str
) -> None:
    assert sentence in refused(guarded, spec)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"image": "ubuntu"},
        {"image": "docker.io/library/ubuntu:22.04"},
        {"image": "index.docker.io/library/python:3.13"},
        {"image": f"ubuntu@sha256:{'a' * 64}"},
        {"image": "python:3.13"},
        {"image": "registry.example.com/agents/x:1"},
        {"resources": {"limits": {"cpu": "2000m", "memory": "2048Mi"}}},
        {"resources": {"limits": {"cpu": "0.5", "memory": "1e9"}}},
        {"lifecycle": {"ttl": "43200m"}},
        {"egress": {"domains": ["api.openai.com:443", "*.eu.supabase.co", "db.supabase.co", "github.com:22"]}},
        {"security": {"runtimeClassName": "gvisor"}},
        {"podTemplate": {"spec": {"nodeSelector": {"a": "b"}}}},
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_allowed_is_let_in_however_it_is_spelled(guarded: Team, spec: Json) -> None:
    assert refused(guarded, spec) == ""


def test_templates_are_held_to_the_policy_where_they_are_written(guarded: Team) -> None:
    assert "spec.image: quay.io/evil:1 is not allowed" in refused(guarded, {"image": "quay.io/evil:1"}, kind=TEMPLATES)


def test_what_a_template_brings_is_never_started_and_heals_with_the_policy(
    operator: OperatorProcess, team: Team
) -> None:
    team.api.create(TEMPLATES, team.namespace, {"metadata": {"name": "old"}, "spec": {"image": "quay.io/evil:1"}})
    rule(team, allowedImages=ALLOWED)
    own = {"templateRef": {"name": "old"}, "workspace": EPHEMERAL}
    team.api.create(SANDBOXES, team.namespace, {"metadata": {"name": "agent"}, "spec": own})

    told = condition(team.await_reason("PolicyDenied"), "Ready")["message"]

    assert told == f"image: quay.io/evil:1 is not allowed by SandboxPolicy default; allowed: {', '.join(ALLOWED)}."
    assert team.names(PODS) == []
    rule(team, allowedImages=[*ALLOWED, "quay.io/evil"])
    team.await_running()


def test_a_tightened_policy_is_told_leaves_what_runs_and_starts_it_no_more(
    operator: OperatorProcess, team: Team
) -> None:
    rule(team, allowedImages=ALLOWED)
    team.create()
    team.await_running()
    first = team.pod()["metadata"]["uid"]

    rule(team, allowedImages=["ubuntu"])

    denied = team.await_reason("PolicyDenied")
    assert condition(denied, "Running")["status"] == "True"
    assert team.pod()["metadata"]["uid"] == first
    await_guard(team, {"image": IMAGE})
    team.change(lifecycle={"state": "Sleeping"})
    team.await_reason("Sleeping")
    team.change(lifecycle={"state": "Running"})
    team.await_reason("PolicyDenied")
    assert team.names(PODS) == []
    team.api.delete(POLICIES, team.namespace, "default")
    team.await_running()


def test_who_sets_no_ttl_expires_all_the_same(operator: OperatorProcess, team: Team) -> None:
    rule(team, maxTTL="3s")
    team.create()

    team.await_reason("Expired")

    assert team.names(PODS) == []


def test_defaults_count_below_all_that_is_written(operator: OperatorProcess, team: Team) -> None:
    rule(team, maxResources={"cpu": "1"}, defaults={"image": IMAGE, "env": [{"name": "A", "value": "policy"}]})
    own = {"env": [{"name": "B", "value": "own"}], "workspace": EPHEMERAL}
    team.api.create(SANDBOXES, team.namespace, {"metadata": {"name": "agent"}, "spec": own})

    team.await_running()

    (container,) = team.pod()["spec"]["containers"]
    assert container["image"] == IMAGE
    assert [each["name"] for each in container["env"] if each["name"] in "AB"] == ["A", "B"]
    assert container["resources"]["limits"]["cpu"] == "1"
    uid = team.pod()["metadata"]["uid"]
    rule(team, defaults={"image": "registry.example/agent:2"})
    eventually(lambda: team.condition("UpToDate").get("reason") == "PolicyChanged", "told what waits")
    assert team.pod()["metadata"]["uid"] == uid


def test_only_the_policy_named_default_has_an_effect_and_the_others_say_so(
    operator: OperatorProcess, team: Team
) -> None:
    rule(team, "strict", allowedImages=["nothing"], quota={"running": 0})
    team.create()

    team.await_running()

    assert ready(team, "strict")["reason"] == "NoEffect"
    assert "only the one named default is in force" in ready(team, "strict")["message"]


def image_spec(image: str) -> Json:
    return {"image": image}


def domain_spec(domain: str) -> Json:
    return {"egress": {"domains": [domain]}}


def reaches(pattern: str, asked: str) -> bool:
    return within((asked,), (pattern,)) != ()


@pytest.mark.parametrize(
    ("field", "cases", "nowhere", "spec_of", "judge"),
    [
        ("allowedImages", [*images.ALLOWED, *images.REFUSED], "nowhere.example/none", image_spec, allows),
        ("allowedDomains", [*domains.ALLOWED, *domains.REFUSED], "nowhere.invalid", domain_spec, reaches),
    ],
    ids=["images", "domains"],
)
def test_admission_and_operator_judge_alike(
    operator: OperatorProcess,
    api: Api,
    field: str,
    cases: list[tuple[str, str]],
    nowhere: str,
    spec_of: Callable[[str], Json],
    judge: Callable[[str, str], bool],
) -> None:
    made = {pattern: api.create(NAMESPACES, "", {"metadata": {"generateName": "judged-"}}) for pattern, _ in cases}
    teams = {pattern: Team(api, each["metadata"]["name"]) for pattern, each in made.items()}
    try:
        for pattern, each in teams.items():
            api.create(POLICIES, each.namespace, {"metadata": {"name": "default"}, "spec": {field: [pattern]}})
        for each in teams.values():
            await_guard(each, spec_of(nowhere))

        wrong = [
            (pattern, asked)
            for pattern, asked in cases
            if _lets_in(teams[pattern], spec_of(asked)) != judge(pattern, asked)
        ]

        assert wrong == []
    finally:
        for each in teams.values():
            api.delete(NAMESPACES, "", each.namespace)


def _lets_in(team: Team, spec: Json) -> bool:
    return refused(team, {**spec, "workspace": EPHEMERAL, "lifecycle": {"state": "Sleeping"}}) == ""


def test_the_longest_lists_of_domains_are_judged_too(operator: OperatorProcess, team: Team) -> None:
    allowed = [f"*.{'a' * 40}-{n}.example" for n in range(256)]
    rule(team, allowedDomains=allowed)
    await_guard(team, domain_spec("nowhere.invalid"))
    most = [f"{'b' * 40}-{n}.{allowed[-1].removeprefix('*.')}:443" for n in range(128)]

    assert refused(team, {"egress": {"domains": most}}) == ""
    assert "spec.egress.domains: nowhere.invalid is not" in refused(
        team, {"egress": {"domains": [*most[1:], "nowhere.invalid"]}}
    )


def test_what_was_reached_before_a_policy_bounds_domains_is_not_refused_a_change_of_something_else(
    operator: OperatorProcess, team: Team
) -> None:
    before = {"domains": ["old.example"], "cidrs": [{"cidr": "10.20.0.0/16", "ports": [443]}]}
    team.create(egress=before)
    rule(team, allowedDomains=["new.example"])
    await_guard(team, domain_spec("nowhere.invalid"))

    team.change(lifecycle={"state": "Sleeping"})
    team.change(egress={"domains": ["old.example", "new.example"]})

    for wider in ({"domains": ["old.example", "other.example"]}, {"cidrs": [{"cidr": "10.20.0.0/16"}]}):
        with pytest.raises(RefusedError, match="not allowed by SandboxPolicy default"):
            team.change(egress=wider)


def test_a_tenant_writes_templates_reads_policies_and_writes_neither_those_nor_what_is_said(
    operator: OperatorProcess, team: Team, apiserver: ControlPlane
) -> None:
    rule(team, allowedImages=ALLOWED)
    team.create()
    team.await_running()
    binding = {
        "metadata": {"name": "tenants"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "tenant"}],
    }
    team.api.create(ROLE_BINDINGS, team.namespace, binding)
    tenant = Team(Api(apiserver.credentials("tenant")), team.namespace)

    eventually(lambda: not refused(tenant, {"image": "ubuntu"}, kind=TEMPLATES), "template of the tenant's")
    assert tenant.get(POLICIES, "default")["spec"]["allowedImages"] == ALLOWED
    for attempt in (
        lambda: tenant.api.merge(POLICIES, team.namespace, "default", {"spec": {"allowedImages": None}}),
        lambda: tenant.api.merge(POLICIES, team.namespace, "default", {"status": {}}, sub="status"),
        lambda: tenant.api.merge(SANDBOXES, team.namespace, "agent", {"status": {}}, sub="status"),
        lambda: tenant.api.create(POLICIES, team.namespace, {"metadata": {"name": "mine"}, "spec": {}}),
        lambda: tenant.api.delete(POLICIES, team.namespace, "default"),
    ):
        with pytest.raises(RefusedError, match='User "tenant" cannot'):
            attempt()


@pytest.fixture
def required(api: Api, team: Team, tmp_path: Path) -> Iterator[None]:
    """What the chart adds where every namespace is to have a policy, for the team's namespace alone."""
    only = {"matchLabels": {"kubernetes.io/metadata.name": team.namespace}}
    rendered = Helm(tmp_path).rendered({"requirePolicy": True, "admissionPolicies": {"namespaceSelector": only}})
    kinds = [resource for resource in INSTALLED if resource.kind.startswith("ValidatingAdmissionPolicy")]
    added = [
        (resource, each)
        for resource in kinds
        for each in objects(rendered, resource.kind)
        if each["metadata"]["name"] == "sandkeeper-require-policy"
    ]
    for resource, each in added:
        api.create(resource, "", each)
    yield
    for resource, each in added:
        api.delete(resource, "", each["metadata"]["name"])


@pytest.mark.usefixtures("required")
def test_no_sandbox_begins_without_a_policy_where_one_is_required(operator: OperatorProcess, team: Team) -> None:
    eventually(lambda: "no params found" in refused(team, {}), "refusal of a sandbox without a policy")
    assert refused(team, {"image": "ubuntu"}, kind=TEMPLATES) == ""

    rule(team)

    eventually(lambda: refused(team, {}) == "", "sandbox under a policy")
