"""Copies of volumes that are on one node each, on a real apiserver: made there, before their pods."""

import json
from collections.abc import Iterator

import pytest

from api.operator.kubernetes_api import Api, Json
from api.operator.operator_process import OperatorProcess
from api.operator.snapshotter import CHOSEN, Snapshotter
from api.operator.team import Team
from api.operator.test_killed import Moment, kill_at, restart_after_kill
from api.operator.test_rollback import RESTORING, WAS, assert_restored, claims, points, restore, take
from api.operator.test_secrets import CLUSTER_ROLES, ROLE
from api.operator.waiting import eventually
from sandkeeper.runtime.resource import CLAIMS, CORE_EVENTS, PODS, RESOURCE_QUOTAS, VOLUME_SNAPSHOTS

NODE = "node-a"


@pytest.fixture(scope="module", autouse=True)
def snapshotter(api: Api) -> Iterator[Snapshotter]:
    with Snapshotter(api, NODE) as snapshotter:
        yield snapshotter


@pytest.fixture
def copied(operator: OperatorProcess, team: Team) -> Team:
    """Give a namespace with a sandbox that runs, and a snapshot of it."""
    team.create(**WAS)
    team.await_running()
    take(team, "good")
    return team


def claim(team: Team, name: str = "copy") -> Json:
    """The only claim of a sandbox, once it is there."""
    eventually(lambda: claims(team, name), "claim")
    (found,) = claims(team, name)
    return team.get(CLAIMS, found)


def chosen(team: Team, name: str = "copy") -> str | None:
    annotations: dict[str, str] = claim(team, name)["metadata"]["annotations"]
    return annotations.get(CHOSEN)


def noted(team: Team) -> str | None:
    """Node that the VolumeSnapshot says to be the only one."""
    annotations = team.get(VOLUME_SNAPSHOTS, "sbx-good")["metadata"]["annotations"]
    node: str | None = json.loads(annotations["sandkeeper.dev/moment"]).get("node")
    return node


def test_a_restore_names_the_node_and_has_its_pod_once_the_volume_is_there(
    operator: OperatorProcess, copied: Team, snapshotter: Snapshotter
) -> None:
    before = len(operator.proxy.writes(copied.namespace))
    snapshotter.held.add(copied.namespace)
    restore(copied)

    assert (chosen(copied), noted(copied)) == (NODE, NODE)
    said = {"reason": "ProvisioningFailed", "message": "the pool is away", "type": "Warning"}
    about = {"kind": "PersistentVolumeClaim", "namespace": copied.namespace, "uid": claim(copied)["metadata"]["uid"]}
    copied.api.create(CORE_EVENTS, copied.namespace, {"metadata": {"name": "e"}, "involvedObject": about, **said})
    told = copied.await_reason("VolumePending", "copy")["status"]["conditions"]
    assert any(each["message"].endswith("has no volume yet: the pool is away.") for each in told)
    assert copied.find(PODS, "sbx-copy") is None
    snapshotter.held.discard(copied.namespace)

    assert_restored(copied)
    wrote = operator.proxy.writes(copied.namespace)[before:]
    assert sorted(wrote) == sorted([*RESTORING, *["patch sandboxes/status"] * 2]), "told of the pool and of its end"


def test_a_fork_of_a_fork_is_made_on_the_node_that_has_both(copied: Team) -> None:
    restore(copied, source={"sandboxRef": {"name": "agent"}})
    copied.await_reason("Running", "copy")
    restore(copied, "again", source={"sandboxRef": {"name": "copy"}})

    assert_restored(copied, "again")
    assert (chosen(copied), chosen(copied, "again")) == (NODE, NODE)


@pytest.mark.parametrize(("moment", "what", "number"), points(RESTORING[1:3]))
def test_killed_between_the_claim_and_its_pod(
    operator: OperatorProcess, copied: Team, moment: Moment, what: str, number: int
) -> None:
    kill_at(operator, copied, moment, what, number)

    restore(copied)
    restart_after_kill(operator)

    assert_restored(copied)
    assert chosen(copied) == NODE


def test_what_its_provisioner_gives_up_gets_its_pod(copied: Team, snapshotter: Snapshotter) -> None:
    snapshotter.given_up.add(copied.namespace)
    restore(copied)

    assert_restored(copied)
    assert chosen(copied) is None


def test_a_quota_that_has_no_room_for_the_claim_is_told_and_the_node_is_chosen_once_it_has(copied: Team) -> None:
    quota: Json = {"metadata": {"name": "few"}, "spec": {"hard": {"persistentvolumeclaims": "1"}}}
    copied.api.create(RESOURCE_QUOTAS, copied.namespace, quota)
    eventually(lambda: copied.get(RESOURCE_QUOTAS, "few").get("status", {}).get("used"), "count of the claims")
    restore(copied)
    copied.await_reason("QuotaExceeded", "copy")
    assert copied.find(PODS, "sbx-copy") is None

    copied.api.delete(RESOURCE_QUOTAS, copied.namespace, "few")

    assert_restored(copied)
    assert chosen(copied) == NODE


@pytest.fixture
def short_of_a_right(api: Api) -> Iterator[None]:
    """The rights of an installation whose ClusterRole is older than its operator."""
    before = api.get(CLUSTER_ROLES, "", ROLE)["rules"]
    rules = [each for each in before if "persistentvolumes" not in each.get("resources", ())]
    assert len(rules) == len(before) - 1
    api.merge(CLUSTER_ROLES, "", ROLE, {"rules": rules})
    yield
    api.merge(CLUSTER_ROLES, "", ROLE, {"rules": before})


def test_without_the_right_to_read_volumes_copies_are_taken_all_the_same_and_restored_by_the_scheduler(
    short_of_a_right: None, operator: OperatorProcess, team: Team
) -> None:
    team.create(**WAS)
    team.await_running()
    take(team, "good")
    restore(team)

    assert_restored(team)
    assert (noted(team), chosen(team)) == (None, None)
