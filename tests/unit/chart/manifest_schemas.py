"""JSON schemas of Kubernetes' kinds in kubeconform's layout, made from what the Go modules of the local cluster ship.

Nothing is asked of a schema site; the schemas are those of the very version that the local cluster runs. They are
strict: a field that the API does not know is an error.
"""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from localcluster.gotoolchain import go, go_environment
from localcluster.locking import made_once
from localcluster.paths import cache_home
from localcluster.tools import KUBERNETES

Schema = dict[str, Any]

PROMETHEUS_OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.92.1"
PROMETHEUS_OPERATOR_SUM = "h1:rHWuFo6SVya4FBSCNg2DCzyc4xAv54zk3eDTzp5mQZc="
CILIUM = "github.com/cilium/cilium@v1.20.2"
CILIUM_SUM = "h1:dqiEGIcXc+gqCLYG/l7VCFJ8GHyb4HUrwbZOpkX5dL8="
KUSTOMIZE_CONTROLLER = "github.com/fluxcd/kustomize-controller@v1.9.6"
KUSTOMIZE_CONTROLLER_SUM = "h1:XB+G3A0mky0j5uVHZWv4oSlS2RvZBoNIUhstIvY0JKE="
SOURCE_CONTROLLER = "github.com/fluxcd/source-controller@v1.9.6"
SOURCE_CONTROLLER_SUM = "h1:nG534/bI6nVpyHra7ONAk6xDB3xPsVT+EOLHZHXPrrc="
ARGO_CD = "github.com/argoproj/argo-cd/v3@v3.5.7"
ARGO_CD_SUM = "h1:Xm1BF+I5OgDKUG3SDK49vn2/Y5AMyaNVko+/JT08gj0="
EXTERNAL_SECRETS = "github.com/external-secrets/external-secrets@v0.16.2"
EXTERNAL_SECRETS_SUM = "h1:iNY+gIgSyL5higXTfnz+hdPCaiB/43UiHLqE7HBpj68="
# What the API description calls a string although the apiserver takes numbers as well.
LENIENT: dict[str, Schema] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
}


def schema_location() -> str:
    """Return what to give kubeconform as ``-schema-location``, making the schemas where this machine never did."""
    modules = (PROMETHEUS_OPERATOR, CILIUM, KUSTOMIZE_CONTROLLER, SOURCE_CONTROLLER, ARGO_CD, EXTERNAL_SECRETS)
    versions = (module.rsplit("@", 1)[1] for module in modules)
    label = "-".join((KUBERNETES.version, *versions, "2"))
    folder = made_once(cache_home() / "manifest-schemas" / label, _write_schemas)
    return f"{folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"


def _write_schemas(folder: Path) -> None:
    swagger = json.loads((_kubernetes_source() / "api" / "openapi-spec" / "swagger.json").read_text())
    known: dict[str, Schema] = swagger["definitions"]
    definitions = {name: LENIENT.get(name) or strict(schema) for name, schema in known.items()}
    (folder / "definitions.json").write_text(json.dumps({"definitions": definitions}))
    for name, schema in definitions.items():
        for kind in schema.get("x-kubernetes-group-version-kind", []):
            file = folder / file_name(kind["group"], kind["version"], kind["kind"])
            file.write_text(json.dumps({"$ref": f"definitions.json#/definitions/{name}"}))
    for definition in _definitions():
        for name, schema in custom_kinds(definition):
            (folder / name).write_text(json.dumps(schema))


def _definitions() -> list[Path]:
    """CustomResourceDefinitions of others, whose kinds the chart or the documentation has."""
    cilium = _source(CILIUM, CILIUM_SUM) / "pkg" / "k8s" / "apis" / "cilium.io" / "client" / "crds" / "v2"
    kustomize = _source(KUSTOMIZE_CONTROLLER, KUSTOMIZE_CONTROLLER_SUM) / "config" / "crd" / "bases"
    source = _source(SOURCE_CONTROLLER, SOURCE_CONTROLLER_SUM) / "config" / "crd" / "bases"
    external_secrets = _source(EXTERNAL_SECRETS, EXTERNAL_SECRETS_SUM) / "config" / "crds" / "bases"
    return [
        *prometheus_operators(),
        cilium / "ciliumclusterwidenetworkpolicies.yaml",
        kustomize / "kustomize.toolkit.fluxcd.io_kustomizations.yaml",
        source / "source.toolkit.fluxcd.io_gitrepositories.yaml",
        external_secrets / "external-secrets.io_externalsecrets.yaml",
        external_secrets / "external-secrets.io_secretstores.yaml",
        _source(ARGO_CD, ARGO_CD_SUM) / "manifests" / "crds" / "application-crd.yaml",
    ]


def prometheus_operators() -> list[Path]:
    """Return the CustomResourceDefinitions of the kinds that the chart has for a Prometheus operator."""
    folder = _source(PROMETHEUS_OPERATOR, PROMETHEUS_OPERATOR_SUM) / "example" / "prometheus-operator-crd"
    return [folder / f"monitoring.coreos.com_{kind}.yaml" for kind in ("servicemonitors", "prometheusrules")]


def custom_kinds(definition: Path) -> Iterator[tuple[str, Schema]]:
    """Yield file name and schema of each version in a CustomResourceDefinition."""
    spec = yaml.safe_load(definition.read_text())["spec"]
    for version in spec["versions"]:
        schema = version["schema"]["openAPIV3Schema"]
        # The apiserver adds metadata to every kind; a definition only says that it is an object.
        schema["properties"]["metadata"] = {"type": "object"}
        yield file_name(spec["group"], version["name"], spec["names"]["kind"]), strict(schema)


def file_name(group: str, version: str, kind: str) -> str:
    """Return the name under which kubeconform looks for a kind, as ``deployment-apps-v1.json``."""
    parts = [kind, group.partition(".")[0], version] if group else [kind, version]
    return "-".join(parts).lower() + ".json"


def strict(schema: Schema) -> Schema:
    """Return a schema that refuses fields it does not name, at every level."""
    result = dict(schema)
    if "properties" in schema:
        result["properties"] = {name: strict(value) for name, value in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            result.setdefault("additionalProperties", False)
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            result[inner] = strict(schema[inner])
    return result


def _kubernetes_source() -> Path:
    return Path(_download("k8s.io/kubernetes", KUBERNETES.folder)["Dir"])


def _source(name: str, checksum: str) -> Path:
    with tempfile.TemporaryDirectory() as outside_of_any_module:
        module = _download(name, Path(outside_of_any_module))
    assert module["Sum"] == checksum, f"{name} is not what it was: {module['Sum']}"
    return Path(module["Dir"])


def _download(module: str, folder: Path) -> dict[str, str]:
    command = [str(go()), "mod", "download", "-json", module]
    done = subprocess.run(command, cwd=folder, env=go_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"downloading {module} failed: {done.stdout}{done.stderr}"
    answer: dict[str, str] = json.loads(done.stdout)
    return answer
