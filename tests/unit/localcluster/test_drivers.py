"""Which driver a machine gets, and what the drivers for other people's clusters run."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

import installation
from installation import Installation
from localcluster import kind, kind_storage, selection
from localcluster.errors import ClusterError
from localcluster.existing import ExistingCluster
from localcluster.kind import KindDriver, cluster_configuration
from localcluster.native.driver import NativeDriver
from localcluster.native.storage.offers import SNAPSHOTS


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own."""
    monkeypatch.setenv("SANDKEEPER_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that need no building, since nothing runs them."""
    monkeypatch.setattr(kind, "tool", lambda name: Path("/bin") / name)


@pytest.mark.parametrize(("engine", "driver"), [(True, KindDriver), (False, NativeDriver)])
def test_the_machine_decides_where_nobody_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, engine: bool, driver: type[object]
) -> None:
    monkeypatch.setattr(selection, "engine_answers", lambda: engine)

    assert isinstance(selection.choose(), driver)


def test_later_commands_use_the_driver_of_the_cluster_that_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "engine_answers", lambda: True)
    selection.write_record(NativeDriver())

    assert isinstance(selection.choose(), NativeDriver)
    assert isinstance(selection.choose("kind"), KindDriver)


def test_a_named_context_decides_alone_and_is_remembered() -> None:
    chosen = selection.choose("kind", context="staging")
    assert isinstance(chosen, ExistingCluster)
    selection.write_record(chosen, "staging")

    again = selection.choose()

    assert isinstance(again, ExistingCluster)
    assert again.context == "staging"
    with pytest.raises(ClusterError, match="push it to a registry"):
        again.load("image")


def test_an_unknown_driver_is_refused_with_the_choice() -> None:
    with pytest.raises(ClusterError, match="--driver is 'minikube'; it can be kind, native or auto"):
        selection.choose("minikube")


def test_a_damaged_record_is_no_record(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "engine_answers", lambda: False)
    state.mkdir()
    (state / "driver.json").write_text("{")

    assert isinstance(selection.choose(), NativeDriver)


@pytest.mark.usefixtures("programs")
def test_kind_creates_a_cluster_of_the_checkouts_own(state: Path) -> None:
    driver = KindDriver()

    words = [str(word) for word in driver.create_command()]

    assert words[:5] == ["/bin/kind", "create", "cluster", "--name", driver.cluster]
    assert words[words.index("--kubeconfig") + 1] == str(state / "kubeconfig")
    assert driver.cluster in map(str, driver.delete_command())


@pytest.mark.usefixtures("programs")
def test_kind_loads_an_archive_or_what_the_engine_has(tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    archive.touch()

    assert KindDriver().load_command(str(archive))[2] == "image-archive"
    assert KindDriver().load_command("sandkeeper/operator:1")[2] == "docker-image"


def test_kinds_default_class_is_called_as_the_native_nodes_and_has_snapshots() -> None:
    storage, snapshots = kind_storage.classes()

    assert storage["metadata"]["name"] == SNAPSHOTS.storage_class
    assert storage["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}
    assert storage["provisioner"] == snapshots["driver"]


@pytest.mark.usefixtures("programs")
def test_on_kind_the_operator_believes_the_certificates_that_kubelets_sign_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []

    def helm(*words: str | Path) -> str:
        said.extend(map(str, words))
        return "[]"

    monkeypatch.setattr(installation, "run", helm)
    monkeypatch.setattr(installation, "tool", lambda name: name)
    driver = KindDriver()

    Installation(driver.kubeconfig, "operator:1", "guest:1", driver.chart_values).install()

    given = [value for word, value in pairwise(said) if word == "--set"]
    assert "idle.insecureSkipVerify=true" in given
    values = yaml.safe_load((installation.CHECKOUT / "charts" / "sandkeeper" / "values.yaml").read_text())
    assert values["idle"]["insecureSkipVerify"] is False, "no other cluster's are believed by default"
    assert NativeDriver().chart_values == ExistingCluster("staging").chart_values == ()


def test_kinds_node_has_the_second_runtime_handler_too() -> None:
    content = json.loads(json.dumps(cluster_configuration()))

    assert yaml.safe_load(yaml.safe_dump(content))["kind"] == "Cluster"
    assert "runtimes.runc-alt]" in content["containerdConfigPatches"][0]
    assert yaml.safe_load(content["kubeadmConfigPatches"][0])["podPidsLimit"] == 1024
