"""What a sandbox may reach stands on its pod, follows its spec at once, and what can't be had is said."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from sandkeeper.api.names import EGRESS_ANNOTATION
from sandkeeper.api.policy import SandboxPolicySpec
from sandkeeper.api.resolve import resolve
from sandkeeper.plan.egress import unavailable
from sandkeeper.plan.fence import fence_policy, ports_policy
from sandkeeper.plan.observed import EgressGateway, GuestSettings, Settings
from sandkeeper.plan.pod import sandbox_pod
from sandkeeper.plan.sandbox import Plan
from sandkeeper.plan.slim import slim_network_policy, slim_pod
from sandkeeper.plan.writes import Create, Delete, Patch
from unit.fakes.objects import NOW, RUNNING, Json, claim_of, fence, plan, pod_of, sandbox, stored, told

GATEWAY = EgressGateway("sandkeeper-system", {"app.kubernetes.io/component": "gateway"}, (22, 5432))
SETTINGS = Settings(gateway=GATEWAY)
OPENS = replace(
    SETTINGS,
    gateway=replace(GATEWAY, setup_domains=("packages.example.com",)),
    guest=GuestSettings(install_timeout=timedelta(minutes=30)),
)
ADDRESSES = ("10.96.0.53",)
FENCE = slim_network_policy(stored(fence_policy("team", GATEWAY)))
INSTALLS: Json = {"packages": {"pip": ["httpx"]}}


def decided(owner: Any, *, settings: Settings = SETTINGS, now: datetime = NOW, **known: Any) -> Plan:
    return plan(owner, now, settings=settings, gateway=ADDRESSES, fence=FENCE, **known)


def made(owner: Any, **known: Any) -> Json:
    """The pod that is made for a sandbox, as the API server keeps it."""
    (pod,) = (
        each.obj for each in decided(owner, **known).writes if isinstance(each, Create) and each.obj["kind"] == "Pod"
    )
    return stored(pod)


def lives(pod: Json, status: Json | None = None) -> Json:
    return slim_pod({**pod, "spec": {**pod["spec"], "nodeName": "n1"}, "status": status or RUNNING})


def only(*domains: str) -> SandboxPolicySpec:
    """Rules of a policy that bounds domains."""
    return SandboxPolicySpec(allowed_domains=domains)


def grant(pod: Json) -> Json:
    return dict(orjson.loads(pod["metadata"]["annotations"].get(EGRESS_ANNOTATION, "{}")))


def regrants(decision: Plan) -> list[Json]:
    patches = [each.patch for each in decision.writes if isinstance(each, Patch) and each.child["kind"] == "Pod"]
    return [each["metadata"]["annotations"] for each in patches if EGRESS_ANNOTATION in each["metadata"]["annotations"]]


def test_a_new_pod_says_what_it_may_reach_and_asks_the_gateway_for_names() -> None:
    cidrs = [{"cidr": "10.1.0.0/16", "ports": [1]}]

    pod = made(sandbox(egress={"domains": ["a.example", "git.example:22"], "cidrs": cidrs}))

    assert grant(pod) == {"domains": ["a.example", "git.example:22"], "cidrs": [{"cidr": "10.1.0.0/16", "ports": [1]}]}
    assert pod["spec"]["dnsPolicy"] == "None"
    assert pod["spec"]["dnsConfig"]["nameservers"] == ["10.96.0.53"]
    assert "searches" not in pod["spec"]["dnsConfig"]


def test_tools_that_want_a_proxy_are_told_of_one() -> None:
    pod = made(sandbox(egress={"domains": ["a.example"]}))

    env = {each["name"]: each["value"] for each in pod["spec"]["containers"][0]["env"]}
    assert env["HTTPS_PROXY"] == env["http_proxy"] == "http://10.96.0.53:3128"
    assert "localhost" in env["NO_PROXY"]
    assert told(decided(sandbox(), pod=lives(pod)))["UpToDate"] == ("True", "UpToDate"), "it is no rendering"


def test_a_pod_that_may_reach_nothing_says_nothing() -> None:
    assert EGRESS_ANNOTATION not in made(sandbox())["metadata"]["annotations"]


@pytest.mark.parametrize(
    "spec",
    [
        {"env": [{"name": "https_proxy", "value": "http://proxy.example"}]},
        {"secrets": [{"name": "all"}]},
        {"egress": {"domains": ["a.example"], "cidrs": [{"cidr": "10.1.0.0/16"}]}},
        {"egress": {}},
    ],
    ids=["set", "perhaps set by a Secret", "needed to go past it", "of no use"],
)
def test_nothing_is_said_of_a_proxy_that_would_be_in_the_way(spec: Json) -> None:
    given: Json = {"egress": {"domains": ["a.example"]}} | spec

    container = made(sandbox(**given))["spec"]["containers"][0]

    assert "HTTP_PROXY" not in {each["name"] for each in container.get("env", ())}


def test_a_proxy_by_ipv6_is_written_as_an_address() -> None:
    owner = sandbox(egress={"domains": ["a.example"]})

    pod = sandbox_pod(owner, resolve(owner.spec), SETTINGS, user_namespace=False, gateway=("fd00::53",))

    assert {"name": "HTTP_PROXY", "value": "http://[fd00::53]:3128"} in pod["spec"]["containers"][0]["env"]


def test_a_change_is_one_patch_and_the_pod_runs_on() -> None:
    pod = lives(made(sandbox(egress={"domains": ["a.example"]})))

    seen = decided(sandbox(egress={"domains": ["b.example"]}, generation=2), pod=pod)

    assert [orjson.loads(each[EGRESS_ANNOTATION]) for each in regrants(seen)] == [{"domains": ["b.example"]}]
    assert len(seen.writes) == 1
    assert told(seen)["UpToDate"] == ("True", "UpToDate")
    assert seen.look_again == NOW


def test_what_is_taken_away_as_a_whole_takes_the_note_off_the_pod() -> None:
    pod = lives(made(sandbox(egress={"domains": ["a.example"]})))

    assert regrants(decided(sandbox(), pod=pod)) == [{EGRESS_ANNOTATION: None}]


def test_a_grant_comes_before_other_changes_of_the_pod() -> None:
    pod = lives(made(sandbox(egress={"domains": ["a.example"]})))
    both = sandbox(resources={"limits": {"cpu": "4", "memory": "4Gi", "ephemeral-storage": "10Gi"}})

    seen = decided(both, pod=pod)

    (patch,) = (each for each in seen.writes if isinstance(each, Patch))
    assert patch.subresource == ""
    assert regrants(seen) == [{EGRESS_ANNOTATION: None}]


def test_a_grant_is_narrowed_although_the_spec_asks_for_what_is_denied() -> None:
    pod = lives(made(sandbox(egress={"domains": ["a.example"]})))
    settled = replace(SETTINGS, pod_labels={"mesh": "none"})
    wrong = sandbox(podTemplate={"metadata": {"labels": {"mesh": "some"}}})

    seen = decided(wrong, settings=settled, pod=pod)

    assert told(seen)["Ready"] == ("False", "PolicyDenied")
    assert regrants(seen) == [{EGRESS_ANNOTATION: None}]


def test_a_policy_that_is_tightened_is_one_patch_and_what_it_still_allows_stays() -> None:
    owner = sandbox(egress={"domains": ["a.example", "*.b.example", "git.example:22"]})
    pod = lives(made(owner))

    seen = decided(owner, pod=pod, policy=only("a.example", "c.b.example", "git.example:22"))

    assert [orjson.loads(each[EGRESS_ANNOTATION]) for each in regrants(seen)] == [
        {"domains": ["a.example", "git.example:22"]}
    ]
    assert len(seen.writes) == 1
    assert told(seen)["Ready"] == ("False", "PolicyDenied")
    assert told(seen)["Running"] == ("True", "Running")
    assert seen.state.message.startswith(
        "egress.domains: *.b.example is not allowed by SandboxPolicy default; allowed:"
    )
    narrowed = lives(regranted(seen, pod))
    assert decided(owner, pod=narrowed, policy=only("a.example", "c.b.example", "git.example:22")).writes == ()
    assert grant(regranted(decided(owner, pod=narrowed), narrowed)) == grant(pod), "it heals"


def test_a_policy_that_is_tightened_closes_networks_and_leaves_ports_open() -> None:
    owner = sandbox(ports=[{"name": "web", "port": 80}], egress={"cidrs": [{"cidr": "10.1.0.0/16"}]})
    opened = slim_network_policy(stored(ports_policy(owner, resolve(owner.spec)) or {}))

    seen = decided(owner, pod=lives(made(owner)), policy=only("a.example"), ports_policy=opened)

    assert told(seen)["Ready"] == ("False", "PolicyDenied")
    assert regrants(seen) == [{EGRESS_ANNOTATION: None}]
    (closed,) = (each for each in seen.writes if isinstance(each, Patch) and each.child is opened)
    assert closed.patch == {"spec": {"policyTypes": ["Ingress"], "egress": None}}


def test_a_pod_that_is_to_end_is_told_nothing_more() -> None:
    pod = lives(made(sandbox(egress={"domains": ["a.example"]})))

    writes = decided(sandbox(image="python:3.13"), pod=pod).writes

    assert [type(each) for each in writes] == [Delete]


def test_a_pod_of_before_the_gateway_takes_it_at_its_next_start() -> None:
    before = pod_of(sandbox())

    seen = decided(sandbox(), pod=before)

    assert told(seen)["UpToDate"] == ("False", "RenderingChanged")
    assert not [each for each in seen.writes if isinstance(each, Delete)]


def test_no_pod_is_made_before_the_gateway_has_an_address() -> None:
    seen = plan(sandbox(), settings=SETTINGS, fence=FENCE)

    assert told(seen)["Ready"] == ("False", "EgressUnavailable")
    assert not [each for each in seen.writes if isinstance(each, Create) and each.obj["kind"] == "Pod"]


# The fence.


def test_a_fence_of_before_the_gateway_is_opened_to_it_in_place() -> None:
    seen = plan(sandbox(), settings=SETTINGS, gateway=ADDRESSES, fence=fence())

    patch = next(each for each in seen.writes if isinstance(each, Patch))
    (rule,) = patch.patch["spec"]["egress"]
    assert rule["to"] == [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "sandkeeper-system"}},
            "podSelector": {"matchLabels": {"app.kubernetes.io/component": "gateway"}},
        }
    ]
    assert {"port": 10053, "protocol": "UDP"} in rule["ports"]
    assert {"port": 11000, "endPort": 11899, "protocol": "TCP"} in rule["ports"]
    assert not {8080, 8081, 8082} & {each["port"] for each in rule["ports"]}


def test_a_fence_is_closed_again_where_the_gateway_goes() -> None:
    patch = next(each for each in plan(sandbox(), fence=FENCE).writes if isinstance(each, Patch))

    assert patch.patch == {"spec": {"egress": None}}


def test_networks_are_opened_by_a_policy_of_the_sandboxs_own_and_its_ports_stay() -> None:
    owner = sandbox(
        ports=[{"name": "web", "port": 80}],
        egress={"cidrs": [{"cidr": "10.1.0.0/16"}, {"cidr": "fd00::/64", "ports": [53]}]},
    )

    policy = ports_policy(owner, resolve(owner.spec))

    assert policy
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy["spec"]["egress"] == [
        {"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]},
        {
            "to": [{"ipBlock": {"cidr": "fd00::/64"}}],
            "ports": [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
        },
    ]


def test_networks_alone_say_nothing_of_what_comes_in() -> None:
    owner = sandbox(egress={"cidrs": [{"cidr": "10.1.0.0/16"}]})

    policy = ports_policy(owner, resolve(owner.spec))

    assert policy
    assert policy["spec"]["policyTypes"] == ["Egress"]
    assert "ingress" not in policy["spec"]


# What can't be had.

MANY = [f"h{n}.example:22" for n in range(10)]


@pytest.mark.parametrize(
    ("domains", "settings", "says"),
    [
        (["a.example"], Settings(), "no egress gateway (gateway.enabled of its chart is false)"),
        (
            ["a.example", "b.example:2222"],
            SETTINGS,
            "b.example:2222 can't be reached, since the gateway offers no port",
        ),
        (MANY, SETTINGS, "h9.example:22 can't be reached, since a port other than 80 and 443 can be had of at most 9"),
        (MANY[:9], SETTINGS, ""),
        (["a.example:443", "*.b.example:80", "c.example:5432"], SETTINGS, ""),
        ([], Settings(), ""),
    ],
)
def test_a_domain_that_can_not_be_had_is_named(domains: list[str], settings: Settings, says: str) -> None:
    said = unavailable(resolve(sandbox(egress={"domains": domains}).spec), settings)

    assert says in said
    assert bool(says) == bool(said)


def test_what_can_not_be_had_keeps_nothing_else_from_a_sandbox() -> None:
    owner = sandbox(egress={"domains": ["a.example", "b.example:2222"]})
    pod = lives(made(owner))

    seen = decided(owner, pod=pod)

    assert told(seen)["Ready"] == ("False", "EgressUnavailable")
    assert told(seen)["Stalled"] == ("True", "EgressUnavailable")
    assert told(seen)["Running"] == ("True", "Running")
    assert grant(pod)["domains"] == ["a.example", "b.example:2222"]


# Setup domains.

STARTED = (NOW + timedelta(minutes=5)).isoformat()


def installing(restarts: int = 0) -> Json:
    container = {
        "name": "sandbox",
        "started": False,
        "restartCount": restarts,
        "state": {"running": {"startedAt": STARTED}},
    }
    return {"phase": "Running", "podIP": "10.0.0.7", "containerStatuses": [container]}


def setup(pod: Json) -> tuple[list[str], timedelta | None]:
    found = grant(pod)
    until = found.get("setupUntil")
    return found.get("setup", []), datetime.fromisoformat(until) - NOW if until else None


def regranted(decision: Plan, pod: Json) -> Json:
    """A pod after its grant was changed."""
    (notes,) = regrants(decision)
    annotations = {name: text for name, text in (pod["metadata"]["annotations"] | notes).items() if text is not None}
    return {**pod, "metadata": {**pod["metadata"], "annotations": annotations}}


def test_setup_domains_are_open_while_a_pod_installs_and_closed_once_it_is_ready() -> None:
    owner = sandbox(**INSTALLS)
    pod = made(owner, settings=OPENS)
    assert setup(pod) == (["packages.example.com"], timedelta(minutes=30))

    begun = decided(owner, settings=OPENS, pod=lives(pod, installing()))
    pod = regranted(begun, pod)
    assert setup(pod) == (["packages.example.com"], timedelta(minutes=35)), "the deadline counts from when it began"
    assert not regrants(decided(owner, settings=OPENS, pod=lives(pod, installing())))

    ready = decided(owner, settings=OPENS, pod=lives(pod))
    assert setup(regranted(ready, pod)) == ([], None)
    assert ready.status["setupEnvironment"]


def test_they_are_not_opened_again_on_the_same_pod() -> None:
    owner = sandbox(**INSTALLS)
    pod = made(owner, settings=OPENS)
    closed = regranted(decided(owner, settings=OPENS, pod=lives(pod)), pod)

    assert not regrants(decided(owner, settings=OPENS, pod=lives(closed, installing(restarts=1))))


def test_a_container_that_starts_again_gets_no_more_time_once_somebody_worked_in_it() -> None:
    owner = sandbox(**INSTALLS)
    pod = made(owner, settings=OPENS)
    again = lives(pod, installing(restarts=1))

    assert regrants(decided(owner, settings=OPENS, pod=again))
    assert not regrants(decided(owner, settings=OPENS, pod=again, status={"startupSeconds": 3.0}))


def test_they_are_opened_once_for_each_change_of_what_is_installed() -> None:
    owner, other = sandbox(**INSTALLS), sandbox(packages={"pip": ["httpx", "rich"]})
    claim = claim_of(owner)
    status = decided(owner, settings=OPENS, pod=lives(made(owner, settings=OPENS, claim=claim)), claim=claim).status

    assert setup(made(owner, settings=OPENS, status=status, claim=claim)) == ([], None)
    assert setup(made(other, settings=OPENS, status=status, claim=claim)) == (
        ["packages.example.com"],
        timedelta(minutes=30),
    )
    lost = claim_of(owner, uid="uid-other")
    assert setup(made(owner, settings=OPENS, status=status, claim=lost))[0] == ["packages.example.com"]


def test_what_keeps_no_packages_installs_them_for_every_pod() -> None:
    owner = sandbox(workspace={"type": "Ephemeral"}, **INSTALLS)
    status = decided(owner, settings=OPENS, pod=lives(made(owner, settings=OPENS))).status

    assert setup(made(owner, settings=OPENS, status=status))[0] == ["packages.example.com"]


def test_setup_domains_are_opened_within_the_policy_alone_also_when_it_is_tightened_meanwhile() -> None:
    owner = sandbox(**INSTALLS)
    open_to = ("a.packages.example", "b.packages.example")
    settings = replace(OPENS, gateway=replace(GATEWAY, setup_domains=open_to))
    pod = made(owner, settings=settings, policy=only("*.packages.example"))
    assert setup(pod)[0] == [*open_to]

    tightened = decided(owner, settings=settings, pod=lives(pod, installing()), policy=only("b.packages.example"))

    assert setup(regranted(tightened, pod))[0] == ["b.packages.example"]
    assert setup(made(owner, settings=settings, policy=only())) == ([], None)


def test_who_installs_nothing_is_granted_no_setup_domain() -> None:
    assert setup(made(sandbox(), settings=OPENS)) == ([], None)
    assert setup(made(sandbox(**INSTALLS))) == ([], None)
