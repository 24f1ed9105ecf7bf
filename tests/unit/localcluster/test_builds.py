"""Every program has a module whose version is pinned, and a build's name changes with its inputs."""

import dataclasses

import pytest

from localcluster.errors import ClusterError
from localcluster.gobuild import GoModule
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
    ]

    assert len({KUBERNETES.digest, *(other.digest for other in others)}) == 4


def test_the_multicall_binary_has_every_program_of_a_node() -> None:
    assert {"etcd", "kube-apiserver", "kubelet", "kube-proxy", "kubectl"} <= set(KUBERNETES.programs)
    assert PROGRAMS["ctr"].name == "containerd"


def test_an_unknown_program_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ClusterError, match=r"no program 'kubetl'; there are: .*kubectl"):
        tool("kubetl")
