"""The guide's manifests are what Argo CD, Flux and Sandkeeper take, and its expressions say what the Lua says."""

import re
from typing import Any

import pytest
import yaml
from cel_expr_python import cel

from argocd.customizations import CUSTOMIZATIONS
from sandkeeper.api.model import Model
from sandkeeper.api.names import API_VERSION
from sandkeeper.api.sandbox import SandboxSpec
from sandkeeper.api.snapshot import SandboxSnapshotSpec
from unit.chart.test_rendering import conform
from unit.docs.pages import DOCS, manifests
from unit.gitops.argocd import Json, health
from unit.gitops.test_reasons import EVERY, told

SETTINGS = CUSTOMIZATIONS.parent / "argocd-cm.yaml"
SPECS: dict[str, type[Model]] = {"Sandbox": SandboxSpec, "SandboxSnapshot": SandboxSnapshotSpec}
VERDICTS = {"InProgress": "Progressing", "Failed": "Degraded", "Current": "Healthy"}
MANIFESTS = manifests("gitops.md")
OURS = [each for each in MANIFESTS if each["apiVersion"] == API_VERSION]
(KUSTOMIZATION,) = (each for each in MANIFESTS if each["kind"] == "Kustomization")
EXPRESSIONS = {each["kind"]: each for each in KUSTOMIZATION["spec"]["healthCheckExprs"]}
WAITED_FOR = [each for each in EVERY if each[0] in EXPRESSIONS]


def test_argo_cd_and_flux_know_every_field() -> None:
    foreign = [each for each in MANIFESTS if each not in OURS]

    verdict = conform(yaml.safe_dump_all(foreign))

    assert verdict["resources"] == []
    assert verdict["summary"] == {"valid": 3, "invalid": 0, "errors": 0, "skipped": 0}
    slip = yaml.safe_dump(KUSTOMIZATION).replace("dependsOn", "dependOn").replace("prune:", "pruned:")
    assert conform(slip)["summary"]["invalid"] == 1


@pytest.mark.parametrize("manifest", OURS, ids=lambda each: each["metadata"]["name"])
def test_sandkeeper_knows_every_field(manifest: Json) -> None:
    assert SPECS[manifest["kind"]].model_validate(manifest["spec"])


def waits(obj: Json) -> str:
    """How far an object is to Flux: the first of three expressions that is true (fluxcd/pkg runtime/cel)."""
    expressions = EXPRESSIONS[obj["kind"]]
    for verdict, name in (("InProgress", "inProgress"), ("Failed", "failed"), ("Current", "current")):
        if name in expressions and holds(expressions[name], obj):
            return verdict
    return "InProgress"


def holds(expression: str, obj: Json) -> bool:
    variables = dict.fromkeys(("metadata", "spec", "status"), cel.Type.DYN)
    result = cel.NewEnv(variables=variables).compile(expression).eval(data={name: obj[name] for name in variables})
    assert result.type() == cel.Type.BOOL, result.value()
    return bool(result.value())


@pytest.mark.parametrize(("kind", "reason"), WAITED_FOR)
@pytest.mark.parametrize("other", ["Reconciling", "Stalled"])
def test_flux_says_of_each_reason_what_argo_cd_says(kind: str, reason: str, other: str) -> None:
    obj = told(kind, "False", reason, *(() if kind == "SandboxSnapshot" else (other,)))

    assert VERDICTS[waits(obj)] == health(obj)["status"]


@pytest.mark.parametrize("kind", EXPRESSIONS)
def test_flux_waits_for_what_nobody_has_looked_at_and_for_nothing_that_is_ready(kind: str) -> None:
    fresh = told(kind, "Unknown", "Pending")
    del fresh["status"]["observedGeneration"]

    assert waits(fresh) == "InProgress"
    assert waits(told(kind, "True", "Ready")) == "Current"


def test_flux_waits_until_a_change_was_seen() -> None:
    changed = told("Sandbox", "True", "Running")
    changed["metadata"]["generation"] = 4

    assert waits(changed) == "InProgress"


def settings() -> dict[str, Any]:
    """Settings of Argo CD that the guide installs."""
    data: dict[str, Any] = yaml.safe_load(SETTINGS.read_text())["data"]
    return data


@pytest.mark.parametrize("folder", sorted(CUSTOMIZATIONS.glob("*/*")), ids=lambda each: each.name)
def test_the_settings_are_the_lua_that_is_tested(folder: Any) -> None:
    name = f"{folder.parent.name}_{folder.name}"
    scripts = sorted(folder.glob("actions/*/action.lua"))
    found = settings()

    assert found[f"resource.customizations.health.{name}"] == (folder / "health.lua").read_text()
    assert (f"resource.customizations.actions.{name}" in found) == bool(scripts)
    if scripts:
        chosen = yaml.safe_load(found[f"resource.customizations.actions.{name}"])
        assert chosen["discovery.lua"] == (folder / "actions" / "discovery.lua").read_text()
        actions = [{"name": each.parent.name, "action.lua": each.read_text()} for each in scripts]
        assert chosen["definitions"] == actions


def test_the_guide_lists_what_is_on_its_way() -> None:
    (row,) = (line for line in (DOCS / "gitops.md").read_text().splitlines() if line.startswith("| Progressing |"))

    reasons = {reason for kind, reason in EVERY if kind == "Sandbox"}
    assert set(re.findall(r"`(\w+)`", row)) == {
        each for each in reasons if health(told("Sandbox", "False", each))["status"] == "Progressing"
    }
