"""Secrets in real pods: as variables and files, told by name while they are missing, their values nowhere else."""

import base64
import json
import uuid
from typing import Any

import pytest

from api.kubectl import Kubectl
from e2e.operator.sandboxes import PERSISTENT, Sandboxes, eventually
from e2e.operator.test_snapshots import take
from e2e.operator.test_tenants import write
from installation import NAMESPACE

KEYS = "/srv/keys"
FILES: dict[str, Any] = {"name": "files", "as": "Files", "mountPath": KEYS}

COMPONENTS = ("operator", "gateway")
SEARCHED = {
    "pods",
    "events",
    "persistentvolumeclaims",
    "sandboxes.sandkeeper.dev",
    "sandboxsnapshots.sandkeeper.dev",
    "sandboxtemplates.sandkeeper.dev",
    "sandboxpolicies.sandkeeper.dev",
    "volumesnapshots.snapshot.storage.k8s.io",
    "sandboxdiffs.sandkeeper.dev",
    "persistentvolumes of the cluster",
    "volumesnapshotcontents.snapshot.storage.k8s.io of the cluster",
    "events of the installation",
    "configmaps of the installation",
    "leases.coordination.k8s.io of the installation",
    "sandbox log",
    *(f"{component} {place}" for component in COMPONENTS for place in ("log", "metrics")),
}


@pytest.fixture
def value() -> str:
    """What nobody but the sandbox may see."""
    return f"v4lue-{uuid.uuid4().hex}"


def put(sandboxes: Sandboxes, name: str, **data: str) -> None:
    """Create a Secret, or give it other keys."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
    sandboxes.kubectl("delete", "secret", name, "--ignore-not-found")
    sandboxes.kubectl("create", "-f", "-", given=json.dumps(secret))


def variables(sandboxes: Sandboxes, name: str) -> dict[str, str]:
    """What a command in a sandbox has as its environment."""
    lines = sandboxes.exec(name, "env").splitlines()
    return {key: value for key, _, value in (line.partition("=") for line in lines)}


def message(sandboxes: Sandboxes, name: str, reason: str, seconds: float = 120.0) -> str:
    """Wait until a sandbox is not ready for a reason, and return what it says of that."""
    return eventually(lambda: sandboxes.ready(name), lambda seen: seen.get("reason") == reason, seconds)["message"]


def test_keys_are_variables_and_what_env_sets_counts_before_them(sandboxes: Sandboxes) -> None:
    put(sandboxes, "openai", KEY="k1", ORG="o1")
    put(sandboxes, "smtp", USER="u2", ORG="o2", EXTRA="no")
    secrets = [
        {"name": "openai", "prefix": "OPENAI_"},
        {"name": "openai-all"},
        {"name": "smtp", "keys": ["USER", "ORG"]},
    ]
    put(sandboxes, "openai-all", KEY="k3", ORG="o3", STAGE="secret")
    env = [{"name": "STAGE", "value": "own"}, {"name": "URL", "value": "smtp://$(USER)@example.com"}]

    sandboxes.apply("agent", secrets=secrets, env=env)
    sandboxes.wait("agent")

    found = variables(sandboxes, "agent")
    assert (found["OPENAI_KEY"], found["OPENAI_ORG"], found["KEY"]) == ("k1", "o1", "k3")
    assert (found["USER"], found["ORG"]) == ("u2", "o2"), "a key that is named counts before a Secret taken whole"
    assert (found["STAGE"], found["URL"]) == ("own", "smtp://u2@example.com")
    assert "EXTRA" not in found


@pytest.mark.parametrize("namespaces", ["Required", "Never"])
@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize("workspace", [PERSISTENT, {"type": "Ephemeral"}], ids=["volume", "disk"])
def test_files_can_be_read_and_not_written_by_whoever_the_sandbox_is(
    sandboxes: Sandboxes, workspace: dict[str, Any], root: bool, namespaces: str
) -> None:
    put(sandboxes, "files", one="1", two="2")
    put(sandboxes, "tls", **{"tls.key": "key", "tls.crt": "crt"})
    secrets = [FILES, {"name": "tls", "as": "Files", "keys": ["tls.key"]}]

    sandboxes.apply("agent", workspace=workspace, secrets=secrets, security={"root": root, "userNamespace": namespaces})
    sandboxes.wait("agent")

    look = f"cd {KEYS}; cat one two; ls /run/secrets/tls; cat /run/secrets/tls/tls.key; id -u"
    assert sandboxes.sh("agent", look).split() == ["12tls.key", "key0" if root else "key1000"]
    write = f"touch {KEYS}/three 2>/dev/null || echo closed; test -w {KEYS}/one || echo closed"
    assert sandboxes.sh("agent", write).split()[0] == "closed"
    others = f"stat -L -c %a {KEYS}/one"
    assert sandboxes.sh("agent", others).strip() == "440"


def test_a_read_only_root_file_system_has_them_too(sandboxes: Sandboxes) -> None:
    put(sandboxes, "files", one="1")
    security = {"writablePaths": ["/tmp", "/srv"], "root": False}

    sandboxes.apply("agent", secrets=[FILES, {"name": "openai", "keys": ["KEY"]}], security=security)
    put(sandboxes, "openai", KEY="k1")
    sandboxes.wait("agent")

    assert sandboxes.sh("agent", f"cat {KEYS}/one; echo $KEY; touch /srv/mine").strip() == "1k1"


MISSING: list[tuple[str, dict[str, Any]]] = [
    ("variables", {"name": "openai"}),
    ("a variable", {"name": "openai", "keys": ["KEY"]}),
    ("files", {"name": "openai", "as": "Files"}),
    ("a file", {"name": "openai", "as": "Files", "keys": ["KEY"]}),
]


# The kubelet comes back to what it misses after growing pauses.
PATIENT = frozenset({"a variable", "files", "a file"})


@pytest.mark.parametrize(
    "secret", [pytest.param(row, id=name, marks=[pytest.mark.slow] * (name in PATIENT)) for name, row in MISSING]
)
def test_a_missing_secret_is_named_with_its_key_and_heals(sandboxes: Sandboxes, secret: dict[str, Any]) -> None:
    sandboxes.apply("waiting", secrets=[secret])
    assert message(sandboxes, "waiting", "SecretMissing", 40.0) == (
        "Secret openai is not there; the start goes on once it is."
    )

    if "keys" in secret:
        put(sandboxes, "openai", OTHER="1")
        lacks = "Secret openai has no key KEY; the start goes on once it has."
        eventually(lambda: sandboxes.ready("waiting").get("message"), lambda said: said == lacks, 180.0)

    put(sandboxes, "openai", KEY="k1", OTHER="1")
    eventually(lambda: sandboxes.ready("waiting").get("status"), lambda status: status == "True", 180.0)


def test_the_value_of_a_secret_is_nowhere_but_in_the_sandbox(
    sandboxes: Sandboxes, kubectl: Kubectl, value: str
) -> None:
    put(sandboxes, "files", key=value)
    put(sandboxes, "openai", KEY=value)
    write(sandboxes, "SandboxPolicy", "default", maxTTL="24h")
    write(sandboxes, "SandboxTemplate", "shared", secrets=[{"name": "openai"}])
    shared = {"name": "shared"}
    sandboxes.apply("agent", templateRef=shared, secrets=[FILES], workspace=PERSISTENT, setup="env > /dev/null")
    sandboxes.wait("agent")
    assert sandboxes.sh("agent", f'test "$KEY" = "$(cat {KEYS}/key)"; echo -n $KEY') == value
    sandboxes.sleep("agent")
    sandboxes.wake("agent")
    take(sandboxes, "copy", of="agent")
    sandboxes.kubectl("wait", "sbxsnap/copy", "--for=condition=Ready", "--timeout=120s")
    tells = f'set -x; echo "Bearer $KEY"; cat {KEYS}/key; exit 1'
    sandboxes.apply("loud", templateRef=shared, secrets=[FILES], workspace={"type": "Ephemeral"}, setup=tells)
    assert "***" in message(sandboxes, "loud", "SetupFailed")

    places = everything_of(sandboxes, kubectl)

    assert places.keys() >= SEARCHED
    encoded = base64.b64encode(value.encode()).decode()
    assert [place for place, text in places.items() if value in text or encoded in text] == []


def everything_of(sandboxes: Sandboxes, kubectl: Kubectl) -> dict[str, str]:
    """All objects of the namespace, the installation and the cluster but Secrets, and all that anybody said."""
    places = {kind: sandboxes.kubectl("get", kind, "-o", "json") for kind in kinds(kubectl, namespaced=True)}
    for kind in kinds(kubectl, namespaced=True):
        places[f"{kind} of the installation"] = kubectl("-n", NAMESPACE, "get", kind, "-o", "json")
    for kind in kinds(kubectl, namespaced=False):
        places[f"{kind} of the cluster"] = kubectl("get", kind, "-o", "json")
    for component in COMPONENTS:
        pods = pods_of(kubectl, component)
        assert pods
        places[f"{component} log"] = "".join(kubectl("-n", NAMESPACE, "logs", pod, "--tail=-1") for pod in pods)
        paths = [f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/metrics" for pod in pods]
        places[f"{component} metrics"] = "".join(kubectl("get", "--raw", path) for path in paths)
    places["sandbox log"] = sandboxes.kubectl("logs", "sbx-agent", "--all-containers")
    return places


def kinds(kubectl: Kubectl, *, namespaced: bool) -> list[str]:
    """All kinds that can be listed, but for Secrets and what is measured anew each time."""
    listed = kubectl("api-resources", f"--namespaced={namespaced}".lower(), "--verbs=list", "-o", "name").split()
    return [each for each in listed if each != "secrets" and not each.endswith("metrics.k8s.io")]


def pods_of(kubectl: Kubectl, component: str) -> list[str]:
    """Names of the running pods of a part of the installation."""
    running = ("-l", f"app.kubernetes.io/component={component}", "--field-selector=status.phase=Running")
    return kubectl("-n", NAMESPACE, "get", "pods", *running, "-o", "jsonpath={.items[*].metadata.name}").split()


def test_nothing_of_a_secret_is_packed(sandboxes: Sandboxes, value: str) -> None:
    put(sandboxes, "files", key=value)
    sandboxes.apply("agent", secrets=[FILES], workspace=PERSISTENT)
    sandboxes.wait("agent")
    # In the same directory something that is packed.
    sandboxes.sh("agent", "echo kept > /srv/note")
    sandboxes.sleep("agent")
    sandboxes.change("agent", secrets=[])
    sandboxes.wake("agent")

    assert sandboxes.sh("agent", "cat /srv/note").strip() == "kept"
    search = f"grep -rlF {value} / --exclude-dir=proc --exclude-dir=sys 2>/dev/null || true"
    assert sandboxes.sh("agent", search).strip() == ""


def test_a_clone_has_the_secrets_that_it_names_and_none_of_those_before(sandboxes: Sandboxes) -> None:
    put(sandboxes, "openai", KEY="sandbox", ORG="sandbox")
    put(sandboxes, "openai-prod", KEY="production")
    put(sandboxes, "files", token="sandbox")
    token = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "files", "key": "token"}}}
    env = [{"name": "STAGE", "value": "one"}, token]
    sandboxes.apply("agent", secrets=[{"name": "openai"}, FILES], env=env, workspace=PERSISTENT)
    sandboxes.wait("agent")
    take(sandboxes, "copy", of="agent")
    source = {"snapshotRef": {"name": "copy"}}

    sandboxes.apply("same", source=source, workspace=PERSISTENT)
    sandboxes.apply("prod", source=source, workspace=PERSISTENT, secrets=[{"name": "openai-prod", "keys": ["KEY"]}])
    sandboxes.wait("same")
    sandboxes.wait("prod")

    same, prod = variables(sandboxes, "same"), variables(sandboxes, "prod")
    assert (same["KEY"], same["TOKEN"], same["STAGE"]) == ("sandbox", "sandbox", "one")
    assert (prod["KEY"], prod["STAGE"]) == ("production", "one")
    assert not {"ORG", "TOKEN"} & prod.keys()
    assert sandboxes.sh("same", f"cat {KEYS}/token").strip() == "sandbox"
    assert sandboxes.sh("prod", f"ls -A {KEYS} 2>/dev/null || true").strip() == ""
