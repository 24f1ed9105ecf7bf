"""Which layer wins, and what a sandbox gets where nothing was written."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandkeeper.api.egress import fault
from sandkeeper.api.git import EffectiveGit
from sandkeeper.api.quantities import parsed
from sandkeeper.api.resolve import BUILT_IN, captured_layer, merge, resolve, resolve_lifecycle
from sandkeeper.api.sandbox import SandboxSpec


def spec(**fields: Any) -> SandboxSpec:
    """A layer as it comes from the apiserver."""
    return SandboxSpec.model_validate(fields)


def resources(limits: dict[str, Any] | None = None, requests: dict[str, Any] | None = None) -> SandboxSpec:
    return spec(resources={"limits": limits, "requests": requests})


VOLUME = {
    "path": "/workspace",
    "type": "Persistent",
    "size": "10Gi",
    "keepPackages": True,
    "reclaimPolicy": "Delete",
}


def test_an_empty_spec_gets_every_built_in_value() -> None:
    environment = resolve(BUILT_IN, spec())

    assert environment.image == "ubuntu:22.04"
    assert (environment.command, environment.args) == (None, None)
    assert environment.working_dir == "/workspace"
    assert (environment.env, environment.ports) == ((), ())
    assert environment.resources.limits == {"cpu": "2", "memory": "4Gi", "ephemeral-storage": "10Gi"}
    assert environment.resources.requests == {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "2560Mi"}
    assert environment.workspace.to_json() == VOLUME
    assert environment.security.to_json() == {"root": True, "userNamespace": "Auto"}
    assert environment.pod_template.metadata.labels == {}
    assert environment.pod_template.metadata.annotations == {}
    assert environment.pod_template.spec.to_json() == {}


def test_the_built_in_layer_lies_below_all_whether_it_is_given_or_not() -> None:
    assert resolve(BUILT_IN, spec(image="python:3.13")) == resolve(spec(image="python:3.13"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image", "python:3.13"),
        ("command", ("python", "-m", "agent")),
        ("args", ("--verbose",)),
        ("working_dir", "/srv"),
    ],
)
def test_the_highest_layer_that_wrote_a_field_wins(field: str, value: object) -> None:
    template = SandboxSpec.model_validate({field: value})
    other = {"image": "debian:12", "command": ("sh",), "args": ("x",), "working_dir": "/"}[field]

    assert getattr(resolve(template, spec()), field) == value
    assert getattr(resolve(SandboxSpec.model_validate({field: other}), template), field) == value


def test_objects_merge_field_by_field() -> None:
    template = spec(workspace={"path": "/data", "size": "20Gi"}, podTemplate={"spec": {"nodeSelector": {"a": "b"}}})
    own = spec(workspace={"size": "1Gi"}, podTemplate={"metadata": {"labels": {"team": "leads"}}})

    environment = resolve(template, own)

    assert environment.workspace.to_json() == VOLUME | {"path": "/data", "size": "1Gi"}
    assert environment.pod_template.spec.node_selector == {"a": "b"}
    assert environment.pod_template.metadata.labels == {"team": "leads"}


def test_a_repository_is_merged_field_by_field_and_a_branch_alone_is_none() -> None:
    template = spec(git={"repository": "https://git.example.com/app", "ref": "v1", "credentialsSecret": "github"})

    git = resolve(template, spec(git={"ref": "v2", "branch": "mine"})).git

    assert git == EffectiveGit(
        repository="https://git.example.com/app", ref="v2", branch="mine", credentials_secret="github"
    )
    assert git.branch_of("agent") == "mine"
    assert resolve(spec(git={"branch": "mine"})).git is None
    assert resolve().git is None


def test_work_is_on_a_branch_of_the_sandboxs_name_unless_it_names_one() -> None:
    git = resolve(spec(git={"repository": "https://git.example.com/app"})).git

    assert git is not None
    assert git.branch_of("agent") == "sandbox/agent"


def test_a_layer_can_close_and_open_what_one_below_it_left() -> None:
    template = spec(security={"runtimeClassName": "gvisor", "root": False, "writablePaths": ["/srv", "/opt/a"]})

    same = resolve(template, spec(security={"userNamespace": "Required"})).security
    other = resolve(template, spec(security={"root": True, "writablePaths": []})).security

    assert (same.runtime_class_name, same.root, same.user_namespace) == ("gvisor", False, "Required")
    assert same.writable_paths == ("/opt/a", "/srv")
    assert (other.runtime_class_name, other.root, other.writable_paths) == ("gvisor", True, ())


def test_the_working_directory_follows_the_workspace() -> None:
    assert resolve(spec(workspace={"path": "/data"})).working_dir == "/data"


def test_variables_merge_by_name_in_the_order_of_their_first_mention() -> None:
    template = spec(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}])
    own = spec(
        env=[{"name": "C", "value": "3"}, {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    )

    env = resolve(template, own).env

    assert [variable.name for variable in env] == ["A", "B", "C"]
    assert env[0].value is None
    assert env[0].value_from is not None


def test_ports_merge_by_name() -> None:
    template = spec(ports=[{"name": "web", "port": 80}, {"name": "api", "port": 81}])

    ports = resolve(template, spec(ports=[{"name": "web", "port": 8080}])).ports

    assert [(port.name, port.port) for port in ports] == [("web", 8080), ("api", 81)]


def test_plain_lists_and_maps_are_replaced_so_that_a_layer_can_take_away() -> None:
    template = spec(
        args=["--slow", "--quiet"],
        podTemplate={"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"tolerations": [{"operator": "Exists"}]}},
    )
    own = spec(args=[], podTemplate={"metadata": {"labels": {"a": "1"}}, "spec": {"tolerations": []}})

    environment = resolve(template, own)

    assert environment.args == ()
    assert environment.pod_template.metadata.labels == {"a": "1"}
    assert environment.pod_template.spec.tolerations == ()


@pytest.mark.parametrize(
    ("layers", "limits", "requests"),
    [
        pytest.param(
            [resources(limits={"cpu": 1})], {"cpu": "1", "memory": "4Gi"}, {"cpu": "250m", "memory": "1Gi"},
            id="a limit leaves the others at their defaults",
        ),
        pytest.param(
            [resources(limits={"cpu": "10m", "memory": "5"})], {"cpu": "10m"}, {"cpu": "3m", "memory": "2"},
            id="a quarter is rounded up to what can be counted",
        ),
        pytest.param(
            [resources(limits={"memory": "1.5Gi"})], {"memory": "1536Mi"}, {"memory": "384Mi"},
            id="quantities come out as the apiserver writes them",
        ),
        pytest.param(
            [resources(limits={"memory": "4G"})], {"memory": "4G"}, {"memory": "1G"},
            id="decimal memory stays decimal",
        ),
        pytest.param(
            [resources(requests={"cpu": "100m"})], {"cpu": "2"}, {"cpu": "100m", "memory": "1Gi"},
            id="a request is kept",
        ),
        pytest.param(
            [resources(requests={"cpu": 16})], {"cpu": "16"}, {"cpu": "16"},
            id="a request above a limit from below raises it",
        ),
        pytest.param(
            [resources(requests={"cpu": "1"}), resources(limits={"cpu": "500m"})], {"cpu": "500m"}, {"cpu": "125m"},
            id="who sets a limit speaks for the request too",
        ),
        pytest.param(
            [resources(limits={"cpu": "500m"}), resources(requests={"cpu": "1"})], {"cpu": "1"}, {"cpu": "1"},
            id="an upper request raises a lower layer's limit",
        ),
        pytest.param(
            [resources(limits={"nvidia.com/gpu": 2})], {"nvidia.com/gpu": "2"}, {"nvidia.com/gpu": "2"},
            id="devices can't be overcommitted",
        ),
        pytest.param(
            [resources(requests={"nvidia.com/gpu": 1})], {"nvidia.com/gpu": "1"}, {"nvidia.com/gpu": "1"},
            id="devices that are only requested are limited too",
        ),
        pytest.param(
            [resources(limits={"nvidia.com/gpu": 2}), resources(requests={"nvidia.com/gpu": 1})],
            {"nvidia.com/gpu": "1"}, {"nvidia.com/gpu": "1"},
            id="who requests devices speaks for their limit",
        ),
    ],
)  # fmt: skip
def test_resources(layers: list[SandboxSpec], limits: dict[str, str], requests: dict[str, str]) -> None:
    resolved = resolve(*layers).resources

    assert resolved.limits.items() >= limits.items()
    assert resolved.requests.items() >= requests.items()
    assert resolved.requests.keys() == resolved.limits.keys() >= {"cpu", "memory", "ephemeral-storage"}


def test_the_status_shows_the_main_fields() -> None:
    shown = resolve(spec(image="python:3.13", security={"runtimeClassName": "gvisor"})).status().to_json()

    assert shown == {
        "image": "python:3.13",
        "resources": {
            "limits": {"cpu": "2", "memory": "4Gi", "ephemeral-storage": "10Gi"},
            "requests": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "2560Mi"},
        },
        "workspace": VOLUME,
        "runtimeClassName": "gvisor",
    }


def _maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any choice of the fields, in the way of a user who writes some and leaves others out."""
    return st.fixed_dictionaries({}, optional=fields)


def _named(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """A list of items of which no two have the same name."""
    item = st.fixed_dictionaries({"name": st.sampled_from(["x", "y", "z"]), **fields})
    return st.lists(item, max_size=3, unique_by=lambda given: str(given["name"]))


_text = st.sampled_from(["a", "b", "c"])
_quantities = st.dictionaries(
    st.sampled_from(["cpu", "memory", "nvidia.com/gpu"]), st.sampled_from(["1", "2", "3", "1k", "4Ki"]), max_size=3
)
_admissible_resources = st.one_of(
    _maybe(limits=_quantities),
    _maybe(requests=_quantities),
    _quantities.map(lambda same: {"limits": same, "requests": same}),
)
_labels = st.dictionaries(_text, _text, max_size=2)
_layers = _maybe(
    image=_text,
    command=st.lists(_text, min_size=1, max_size=2),
    args=st.lists(_text, max_size=2),
    workingDir=_text,
    env=_named(value=_text),
    ports=_named(port=st.integers(1, 9)),
    egress=_maybe(
        domains=st.lists(st.sampled_from(["a.example", "*.b.example", "c.example:22"]), max_size=3, unique=True),
        cidrs=st.lists(st.builds(dict, cidr=st.just("10.1.0.0/16")), max_size=1),
    ),
    resources=_admissible_resources,
    workspace=_maybe(
        path=_text,
        type=st.sampled_from(["Persistent", "Ephemeral"]),
        size=st.sampled_from(["1Gi", "2Gi"]),
        storageClassName=_text,
        keepPackages=st.booleans(),
        reclaimPolicy=st.sampled_from(["Delete", "Retain"]),
    ),
    lifecycle=_maybe(
        state=st.sampled_from(["Running", "Sleeping"]),
        idleTimeout=st.sampled_from(["0s", "15m", "1h"]),
        ttl=st.sampled_from(["1h", "24h"]),
        expiryPolicy=st.sampled_from(["Retain", "Delete"]),
    ),
    security=_maybe(
        runtimeClassName=_text,
        root=st.booleans(),
        userNamespace=st.sampled_from(["Auto", "Required", "Never"]),
        writablePaths=st.lists(_text, max_size=2, unique=True),
    ),
    podTemplate=_maybe(
        metadata=_maybe(labels=_labels, annotations=_labels),
        spec=_maybe(nodeSelector=_labels, tolerations=st.lists(_maybe(key=_text), max_size=2)),
    ),
).map(SandboxSpec.model_validate)


@given(_layers, _layers, _layers)
def test_layers_can_be_merged_in_any_grouping(low: SandboxSpec, middle: SandboxSpec, high: SandboxSpec) -> None:
    expected = resolve(low, middle, high)

    assert resolve(merge(low, middle), high) == expected
    assert resolve(low, merge(middle, high)) == expected


@given(_layers, _layers)
def test_a_lifecycle_is_that_of_the_layers_merged_as_a_whole(low: SandboxSpec, high: SandboxSpec) -> None:
    assert resolve_lifecycle(low, high) == resolve_lifecycle(merge(low, high))


@given(_layers, _layers)
def test_a_layer_that_is_given_twice_changes_nothing(low: SandboxSpec, high: SandboxSpec) -> None:
    assert resolve(low, high, high) == resolve(low, high)
    assert resolve(low, SandboxSpec(), high) == resolve(low, high)


@given(st.lists(_layers, max_size=4))
def test_whatever_is_written_nothing_is_left_open_and_requests_stay_within_limits(layers: list[SandboxSpec]) -> None:
    environment = resolve(*layers)

    assert environment.image
    assert environment.working_dir
    assert environment.resources.requests.keys() == environment.resources.limits.keys()
    for name, request in environment.resources.requests.items():
        assert 0 < parsed(request) <= parsed(environment.resources.limits[name])
        assert name != "nvidia.com/gpu" or request == environment.resources.limits[name]


def test_domains_add_up_over_the_layers_and_networks_are_replaced() -> None:
    below = spec(egress={"domains": ["a.example", "b.example"], "cidrs": [{"cidr": "10.1.0.0/16"}]})
    own = spec(egress={"domains": ["c.example", "a.example"]})

    egress = resolve(below, own).egress

    assert egress.domains == ("a.example", "b.example", "c.example")
    assert [each.cidr for each in egress.cidrs] == ["10.1.0.0/16"]
    assert resolve(below, spec(egress={"cidrs": []})).egress.cidrs == ()
    assert resolve(below, spec(egress={"domains": []})).egress.domains == ("a.example", "b.example")
    captured = captured_layer(below, own).egress
    assert captured
    assert captured.to_json() == egress.to_json()


@pytest.mark.parametrize(
    ("egress", "field"),
    [
        ({"domains": ["*.example.com", "a.example:22"], "cidrs": [{"cidr": "10.0.0.0/8", "ports": [1]}]}, ""),
        ({"domains": ["10.0.0.7"]}, "egress.domains"),
        ({"domains": ["*.example.com:22"]}, "egress.domains"),
        ({"domains": [f"a{n}.example" for n in range(129)]}, "egress.domains"),
        ({"cidrs": [{"cidr": "10.0.0.1/8"}]}, "egress.cidrs"),
        ({"cidrs": [{"cidr": "10.0.0.7"}]}, "egress.cidrs"),
        ({"cidrs": [{"cidr": "0.0.0.0/0"}]}, "egress.cidrs"),
        ({"cidrs": [{"cidr": "fd00:ec2::254/128"}]}, "egress.cidrs"),
        ({"cidrs": [{"cidr": "10.0.0.0/8", "ports": [70000]}]}, "egress.cidrs"),
    ],
)
def test_what_no_apiserver_has_judged_is_judged_alike(egress: dict[str, Any], field: str) -> None:
    written = spec(egress=egress).egress

    assert written
    assert fault(written) == field


def test_the_hash_of_an_egress_goes_by_what_can_be_reached() -> None:
    one, other = (
        spec(egress={"domains": ["a.example", "b.example"]}),
        spec(egress={"domains": ["b.example", "a.example"]}),
    )

    assert resolve(one).egress.digest() == resolve(other).egress.digest() != resolve(spec()).egress.digest()
