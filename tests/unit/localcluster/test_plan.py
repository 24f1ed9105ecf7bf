"""Names and addresses that keep nodes on one machine apart."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcluster.errors import ClusterError
from localcluster.native.plan import NodePlan, choose_link
from localcluster.paths import path_id


def test_two_state_folders_have_different_names_everywhere(tmp_path: Path) -> None:
    one, other = (
        NodePlan(path_id(tmp_path / name), tmp_path / name, choose_link(path_id(tmp_path / name), []), "release")
        for name in ("one", "other")
    )

    assert one.host_interface != other.host_interface
    assert one.cgroup != other.cgroup
    assert one.address != other.address


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_a_link_avoids_every_network_of_the_machine(number: int) -> None:
    node_id = f"{number:08x}"
    first = choose_link(node_id, [])

    taken = [first.replace("/30", "/28"), "192.168.1.7/24", "fe80::1/64"]
    second = choose_link(node_id, taken)

    assert second != first
    assert choose_link(node_id, [*taken, second]) not in (first, second)


def test_no_free_link_is_an_error_and_not_a_guess() -> None:
    with pytest.raises(ClusterError, match="in use"):
        choose_link("00000000", ["10.0.0.0/8"])


def test_an_interface_name_fits_the_kernels_fifteen_characters(tmp_path: Path) -> None:
    plan = NodePlan(path_id(tmp_path), tmp_path, "10.231.0.0/30", "release")

    assert len(plan.host_interface) <= 15
    assert not plan.host_interface.startswith("veth")


def test_a_plan_is_read_back_whole_or_not_at_all(tmp_path: Path) -> None:
    plan = NodePlan("01234567", tmp_path, "10.231.0.0/30", "release")
    plan.save()

    assert NodePlan.load(plan.file) == plan
    plan.file.write_text('{"id": "01234567"')
    with pytest.raises(ClusterError, match="not readable"):
        NodePlan.load(plan.file)
