"""Every program has a module whose version is pinned, and a build's name changes with its inputs."""

import dataclasses
from pathlib import Path

import pytest

from localcluster import cli, gobuild
from localcluster.errors import ClusterError
from localcluster.gobuild import GoModule, commands
from localcluster.tools import KUBERNETES, MODULES, PROGRAMS, tool


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_every_module_pins_its_version_and_its_sums(module: GoModule) -> None:
    assert module.version.startswith("v")
    assert f"{module.source} {module.version} h1:" in (module.folder / "go.sum").read_text()


def test_a_build_is_named_by_all_that_goes_into_it() -> None:
    others = [
        dataclasses.replace(KUBERNETES, tags=("other",)),
        dataclasses.replace(KUBERNETES, aliases=("kubectl",)),
        dataclasses.replace(KUBERNETES, debian=("gcc",)),
        dataclasses.replace(KUBERNETES, tests=("example.test/x",)),
    ]

    assert len({KUBERNETES.digest, *(other.digest for other in others)}) == 5


def test_the_multicall_binary_has_every_program_of_a_node() -> None:
    assert {"etcd", "kube-apiserver", "kubelet", "kube-proxy", "kubectl"} <= set(KUBERNETES.programs)
    assert PROGRAMS["ctr"].name == "containerd"


def test_a_packages_tests_become_a_program_beside_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gobuild, "go", lambda: Path("/bin/go"))
    module = dataclasses.replace(KUBERNETES, aliases=(), packages=("a.test/b",), tests=("a.test/c/e2e",))

    build, tests = commands(module, tmp_path)

    assert module.programs == ("b", "e2e.test")
    assert build[1] == "build"
    assert build[-1] == "a.test/b"
    assert tests[1:3] == ["test", "-c"]
    assert tests[-2:] == [str(tmp_path / "e2e.test"), "a.test/c/e2e"]
    assert set(module.flags) <= set(build) & set(tests)


def test_what_takes_minutes_and_few_need_is_built_only_when_asked_for() -> None:
    assert {"e2e.test", "agnhost", "ginkgo", "prometheus"} <= set(PROGRAMS)
    assert not {"e2e.test", "agnhost", "ginkgo", "prometheus"} & set(cli.usual_programs())


def test_an_unknown_program_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ClusterError, match=r"no program 'kubetl'; there are: .*kubectl"):
        tool("kubetl")
