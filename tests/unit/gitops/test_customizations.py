"""The customizations pass the tests that stand beside them, in the form in which Argo CD keeps and runs its own."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from argocd.customizations import CUSTOMIZATIONS
from sandkeeper.api.names import DIFF_KIND, GROUP, NAME_PATTERN, SANDBOX_KIND, SNAPSHOT_KIND
from unit.gitops.argocd import Json, act, actions, health, offered

KINDS = {SANDBOX_KIND, SNAPSHOT_KIND, DIFF_KIND}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def cases(file: str, tests: str) -> list[Any]:
    """Each test of a kind, with the folder that its paths are relative to."""
    return [
        pytest.param(found.parent, test, id=f"{found.relative_to(CUSTOMIZATIONS).parts[1]}-{name_of(test)}")
        for found in sorted(CUSTOMIZATIONS.rglob(file))
        for test in read(found)[tests]
    ]


def name_of(test: Json) -> str:
    return "-".join(filter(None, (test.get("action"), Path(test["inputPath"]).stem)))


def test_each_kind_has_its_health() -> None:
    assert {each.parent.name for each in CUSTOMIZATIONS.glob(f"{GROUP}/*/health.lua")} == KINDS


@pytest.mark.parametrize(("folder", "test"), cases("health_test.yaml", "tests"))
def test_health(folder: Path, test: Json) -> None:
    assert health(read(folder / test["inputPath"])) == test["healthStatus"]


@pytest.mark.parametrize(("folder", "test"), cases("action_test.yaml", "discoveryTests"))
def test_discovery(folder: Path, test: Json) -> None:
    found = actions(read(folder / test["inputPath"]))

    assert [{"name": name, **found[name]} for name in sorted(found)] == sorted(
        test["result"], key=lambda each: each["name"]
    )
    assert set(found) == {each.parent.name for each in folder.glob("*/action.lua")}


@pytest.mark.parametrize(("folder", "test"), cases("action_test.yaml", "actionTests"))
def test_action(folder: Path, test: Json) -> None:
    given = read(folder / test["inputPath"])
    assert test["action"] in offered(given)

    operation, made = act(test["action"], given)

    expected = read(folder / test["expectedOutputPath"])
    if operation == "create":
        (impacted,) = expected
        assert impacted["k8sOperation"] == operation
        expected = impacted["unstructuredObj"]
        assert re.fullmatch(f"{given['metadata']['name']}-[0-9]{{12}}", made["metadata"].pop("name"))
        assert re.fullmatch(f"{given['metadata']['name']}-[0-9]{{12}}", expected["metadata"].pop("name"))
    assert undated(made) == undated(expected)


def undated(obj: Json) -> Json:
    """Put one moment for those that an action writes, which are annotations."""
    notes = {name: MOMENT.sub("now", value) for name, value in obj["metadata"].get("annotations", {}).items()}
    return {**obj, "metadata": {**obj["metadata"], "annotations": notes}}


@pytest.mark.parametrize("captured", sorted(CUSTOMIZATIONS.rglob("testdata/*.yaml")), ids=lambda each: each.stem)
def test_every_captured_object_is_one_of_a_test(captured: Path) -> None:
    tests = [
        read(file)
        for file in (captured.parents[1] / name for name in ("health_test.yaml", "action_test.yaml"))
        if file.exists()
    ]

    assert f"testdata/{captured.name}" in yaml.safe_dump(tests)


@pytest.mark.parametrize("length", [1, 39, 40, 52])
def test_a_snapshot_has_a_name_that_is_allowed(length: int) -> None:
    sandbox = {
        "apiVersion": "sandkeeper.dev/v1alpha1",
        "kind": "Sandbox",
        "metadata": {"name": "a" * length, "namespace": "team", "uid": "0f5bd1ba-4d55-4b0c-8f4a-2f0f3a3f1d2b"},
        "spec": {},
    }

    _, made = act("snapshot", sandbox)

    assert re.fullmatch(NAME_PATTERN, made["metadata"]["name"])
    assert made["spec"]["sandboxRef"]["name"] == "a" * length


def test_one_that_fell_asleep_by_itself_is_woken_without_its_spec() -> None:
    asleep = {
        "apiVersion": "sandkeeper.dev/v1alpha1",
        "kind": "Sandbox",
        "metadata": {"name": "a", "namespace": "team"},
        "spec": {"lifecycle": {"idleTimeout": "15m"}},
        "status": {"asleep": {"cause": "Idle", "since": "2026-03-01T12:00:00Z"}},
    }
    assert offered(asleep) == {"sleep", "wake"}

    _, made = act("wake", asleep)

    assert made["spec"] == asleep["spec"]
    assert MOMENT.fullmatch(made["metadata"]["annotations"]["sandkeeper.dev/last-activity"])
