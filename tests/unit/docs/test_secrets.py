"""What the page on secrets shows is what External Secrets, Kubernetes and Sandkeeper take, and its parts fit together.

SecretProviderClass is not judged by its schema: the module that has it, sigs.k8s.io/secrets-store-csi-driver, is not to
be had as that of External Secrets is. So the fields of that kind that the page shows are named here, and compared with
what they refer to.
"""

from typing import Any

import pytest
import yaml

from sandkeeper.api.names import API_VERSION
from sandkeeper.api.sandbox import SandboxSpec
from unit.chart.test_rendering import conform
from unit.docs.pages import Json, manifests, parts

UNJUDGED = "SecretProviderClass"
MANIFESTS = manifests("secrets.md")
SANDBOXES = [each for each in MANIFESTS if each["apiVersion"] == API_VERSION]
FOREIGN = [each for each in MANIFESTS if each not in SANDBOXES]


def all_of(kind: str) -> list[Json]:
    found = [each for each in MANIFESTS if each["kind"] == kind]
    assert found, f"the page shows no {kind}"
    return found


def only(kind: str) -> Json:
    (found,) = all_of(kind)
    return found


def objects_of(provider_class: Json) -> list[dict[str, str]]:
    """What a SecretProviderClass has Vault's provider fetch, which reads it as YAML within a string."""
    found: list[dict[str, str]] = yaml.safe_load(provider_class["spec"]["parameters"]["objects"])
    return found


def test_external_secrets_and_kubernetes_know_every_field() -> None:
    judged = [each for each in FOREIGN if each["kind"] != UNJUDGED]

    verdict = conform(yaml.safe_dump_all(judged))

    assert {each["kind"] for each in judged} == {"ServiceAccount", "SecretStore", "ExternalSecret", "Deployment"}
    assert verdict["resources"] == []
    assert verdict["summary"] == {"valid": len(judged), "invalid": 0, "errors": 0, "skipped": 0}


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("SecretStore", "serviceAccountRef:", "serviceAccount:"),
        ("SecretStore", "server:", "address:"),
        ("ExternalSecret", "refreshInterval:", "refresh:"),
        ("ExternalSecret", "property:", "field:"),
        ("Deployment", "volumeAttributes:", "attributes:"),
    ],
)
def test_a_slip_is_noticed(kind: str, right: str, wrong: str) -> None:
    manifest = yaml.safe_dump(all_of(kind)[0])
    assert right in manifest

    assert conform(manifest.replace(right, wrong))["summary"]["invalid"] == 1


@pytest.mark.parametrize("sandbox", [*SANDBOXES, *parts("secrets.md")], ids=lambda each: f"{list(each['spec'])}")
def test_sandkeeper_knows_every_field(sandbox: Json) -> None:
    assert SandboxSpec.model_validate(sandbox["spec"])


def made() -> dict[str, set[str]]:
    """Keys of the Secrets that the page has made, by their names."""
    external = {
        each["spec"]["target"]["name"]: {entry["secretKey"] for entry in each["spec"]["data"]}
        for each in all_of("ExternalSecret")
    }
    copied = {
        secret["secretName"]: {entry["key"] for entry in secret["data"]}
        for secret in only(UNJUDGED)["spec"]["secretObjects"]
    }
    assert not external.keys() & copied.keys(), "two would write one Secret"
    return external | copied


def test_every_secret_and_key_that_a_sandbox_takes_is_made() -> None:
    taken = [secret for sandbox in SANDBOXES for secret in sandbox["spec"]["secrets"]]

    assert {each["name"]: set(each["keys"]) for each in taken} == made()


def test_external_secrets_name_the_store_and_the_store_the_account() -> None:
    store = only("SecretStore")

    for each in all_of("ExternalSecret"):
        assert each["spec"]["secretStoreRef"] == {"kind": "SecretStore", "name": store["metadata"]["name"]}
    account = store["spec"]["provider"]["vault"]["auth"]["kubernetes"]["serviceAccountRef"]
    assert account == {"name": only("ServiceAccount")["metadata"]["name"]}


def test_the_driver_copies_what_it_fetches() -> None:
    spec = only(UNJUDGED)["spec"]
    fetched = objects_of(only(UNJUDGED))

    assert spec.keys() == {"provider", "parameters", "secretObjects"}
    assert all(isinstance(value, str) for value in spec["parameters"].values()), "a parameter that is no string"
    assert all(each.keys() == {"objectName", "secretPath", "secretKey"} for each in fetched)
    assert all(secret.keys() == {"secretName", "type", "data"} for secret in spec["secretObjects"])
    copied = [entry for secret in spec["secretObjects"] for entry in secret["data"]]
    assert all(entry.keys() == {"objectName", "key"} for entry in copied)
    assert {entry["objectName"] for entry in copied} == {each["objectName"] for each in fetched}


def test_a_pod_mounts_what_the_driver_is_to_copy() -> None:
    pod: Any = only("Deployment")["spec"]["template"]["spec"]
    provider_class, store = only(UNJUDGED), only("SecretStore")

    (volume,) = pod["volumes"]
    (container,) = pod["containers"]
    assert volume["csi"]["volumeAttributes"] == {"secretProviderClass": provider_class["metadata"]["name"]}
    assert [mount["name"] for mount in container["volumeMounts"]] == [volume["name"]]
    assert pod["serviceAccountName"] == only("ServiceAccount")["metadata"]["name"]
    login = store["spec"]["provider"]["vault"]["auth"]["kubernetes"]
    assert provider_class["spec"]["parameters"]["roleName"] == login["role"]
