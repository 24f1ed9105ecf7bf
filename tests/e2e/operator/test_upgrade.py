"""Sandkeeper is upgraded under running sandboxes, from an earlier commit's chart and images, and nobody notices.

What happens is told once, by the fixture ``story``; the tests look at what was seen meanwhile.
"""

import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path

import pytest
import yaml

from api.kubectl import Kubectl
from e2e.conftest import hack_cluster
from e2e.operator.history import History, Json
from e2e.operator.predecessor import predecessor, predecessor_commit
from e2e.operator.sandboxes import Sandboxes, eventually
from e2e.operator.tenant import FILES, STEADY, Tenant
from e2e.operator.test_installation import operator_pods
from installation import NAMESPACE, Installation

FIELD = "note"
CRD = Path("files") / "crds" / "sandkeeper.dev_sandboxes.yaml"
DRAIN = "gateway.drain.seconds=6"
"""So that connections end while somebody looks."""
CHANGED = (
    DRAIN,
    "replicaCount=3",
    "log.level=debug",
    "idle.intervalSeconds=7",
    "sandboxPods.annotations.example\\.com/owner=platform",
)
BURST = ("burst-0", "burst-1", "burst-2")
MOST_WRITES = 2
"""Of a sandbox's status in one roll-out: that it is outdated, or is no more, and something else that is new."""
RUNNING = (*STEADY, "starting")
"""Those that run when the upgrade begins, and one that still installs."""


def with_a_field_more(chart: Path, target: Path) -> Path:
    """Copy a chart, and give its sandboxes a field more."""
    shutil.copytree(chart, target)
    crd = yaml.safe_load((target / CRD).read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"][FIELD] = {"type": "string"}
    (target / CRD).write_text(yaml.safe_dump(crd))
    return target


class Story:
    """An upgrade, its rollback, and the upgrade again with operators that are killed meanwhile.

    Parameters
    ----------
    tenant
        Under whose sandboxes it happens.
    history
        What sees it.
    """

    def __init__(self, tenant: Tenant, history: History) -> None:
        self.tenant, self.sandboxes, self.history = tenant, tenant.sandboxes, history
        self.fields: dict[str, object] = {}
        self.woken = ""
        self.chapters: list[dict[str, int]] = []
        """How many versions of each sandbox had been seen at the end of each."""

    def upgrade(self, upgrade: Future[None]) -> None:
        """Use the new field as soon as it is there, make a sandbox meanwhile, and wake one after."""
        path = f"jsonpath={{..spec.properties.{FIELD}}}"
        eventually(lambda: self.sandboxes.kubectl("get", "crd", "sandboxes.sandkeeper.dev", "-o", path), bool)
        self.sandboxes.change("templated", **{FIELD: "kept"})
        self.sandboxes.apply("meanwhile")
        upgrade.result()
        for name in ("starting", "meanwhile"):
            self.sandboxes.wait(name, "Running")
        self._everybody_says("RenderingChanged")
        self.fields["upgraded"] = self._field()
        self.sandboxes.wake("asleep")
        self.woken = self.sandboxes.sh("asleep", FILES)
        self._end_chapter()

    def roll_back(self, installation: Installation) -> None:
        """Take the upgrade back."""
        installation.rollback()
        self._everybody_says("UpToDate")
        self.fields["rolled back"] = self._field()
        self._end_chapter()

    def upgrade_and_kill(self, upgrade: Future[None]) -> None:
        """Ask for sandboxes and let one sleep, and kill all operators as soon as a new one has come."""
        before = set(operator_pods(self.sandboxes))
        for name in BURST:
            self.sandboxes.apply(name)
        self.sandboxes.change("asleep", lifecycle={"state": "Sleeping"})
        pods = eventually(lambda: operator_pods(self.sandboxes), lambda seen: set(seen) - before)
        self.sandboxes._kubectl("-n", NAMESPACE, "delete", "pods", "--force", "--grace-period=0", *pods)
        upgrade.result()
        for name in BURST:
            self.sandboxes.wait(name, "Running")
        self.sandboxes.sleep("asleep")
        self._end_chapter()

    def _everybody_says(self, reason: str) -> None:
        for name in RUNNING:
            eventually(partial(self.tenant.condition, name, "UpToDate"), lambda seen: seen["reason"] == reason)

    def _field(self) -> object:
        return self.sandboxes.get("sandbox", "templated")["spec"].get(FIELD)

    def _end_chapter(self) -> None:
        self.history.catch_up()
        self.chapters.append({name: len(self.history.versions("sandboxes", name)) for name in STEADY})


@contextmanager
def made_namespace(kubectl: Kubectl) -> Iterator[str]:
    """Make a namespace, which goes in the end."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def story(kubectl: Kubectl, installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """What a platform team does while a tenant works."""
    old = predecessor(installation, predecessor_commit())
    new = replace(
        installation, chart=with_a_field_more(installation.chart, tmp_path_factory.mktemp("chart") / "sandkeeper")
    )
    try:
        old.install(DRAIN)
        # A cluster that starts anew has the image of a repository that it was given last.
        for image in ("operator", "guest"):
            hack_cluster("load", image)
        with made_namespace(kubectl) as namespace, ThreadPoolExecutor(1) as aside:
            tenant = Tenant(Sandboxes(kubectl, namespace))
            tenant.build()
            story = Story(tenant, History(kubectl, namespace))
            with story.history.running():
                tenant.sandboxes.apply("starting", setup="sleep 6")
                eventually(lambda: tenant.sandboxes.pod("starting"), bool)
                story.upgrade(aside.submit(new.install, *CHANGED))
                story.roll_back(new)
                story.upgrade_and_kill(aside.submit(installation.install))
            yield story
    finally:
        installation.install()


def conditions(version: Json, *types: str) -> set[tuple[str, ...]]:
    """Conditions of a version of a sandbox, with the time since when each is as it is."""
    told = version.get("status", {}).get("conditions", [])
    return {
        (each["type"], each["status"], each["reason"], each["lastTransitionTime"])
        for each in told
        if each["type"] in types
    }


def reasons(story: Story, name: str, of_type: str) -> list[str]:
    """Reasons that a condition of a sandbox had, one after the other."""
    told = [
        reason for each in story.history.versions("sandboxes", name) for _, _, reason, _ in conditions(each, of_type)
    ]
    return [reason for reason, _ in groupby(told)]


@pytest.mark.parametrize("name", [*RUNNING, "meanwhile", *BURST])
def test_no_pod_is_deleted_replaced_or_restarted(story: Story, name: str) -> None:
    pod = f"sbx-{name}"
    versions = story.history.versions("pods", pod)
    containers = [each for version in versions for each in version["status"].get("containerStatuses", [])]

    assert pod not in story.history.kinds["pods"].deleted
    assert not [version for version in versions if "deletionTimestamp" in version["metadata"]]
    assert len({version["metadata"]["uid"] for version in versions}) == 1
    assert len({each["containerID"] for each in containers if each.get("containerID")}) == 1
    assert {each["restartCount"] for each in containers} == {0}


@pytest.mark.parametrize("name", STEADY)
def test_no_condition_of_a_sandbox_changes_but_what_says_that_it_is_outdated(story: Story, name: str) -> None:
    seen = [
        conditions(each, "Ready", "Running", "EgressEnforced") for each in story.history.versions("sandboxes", name)
    ]

    assert len(seen[0]) == 3
    assert [each for each in seen if each != seen[0]] == []
    assert reasons(story, name, "UpToDate")[:3] == ["UpToDate", "RenderingChanged", "UpToDate"]


def test_what_sleeps_sleeps_on_wakes_as_it_was_and_sleeps_again(story: Story) -> None:
    told = [each for each in reasons(story, "asleep", "Ready") if each not in ("Waking", "Starting", "Packing")]
    assert told == ["Sleeping", "Running", "Sleeping"]
    assert story.woken.split() == ["work", "tool"]


@pytest.mark.parametrize("name", ["starting", "meanwhile", *BURST])
def test_what_starts_meanwhile_is_ready_once_and_for_all(story: Story, name: str) -> None:
    assert reasons(story, name, "Ready")[-1] == "Running"
    assert reasons(story, name, "Ready").count("Running") == 1


def test_claims_fences_and_copies_stay(story: Story) -> None:
    for kind in ("persistentvolumeclaims", "networkpolicies", "sandboxsnapshots", "sandboxes"):
        seen = story.history.kinds[kind]
        assert seen.versions
        assert seen.deleted == set()
    copies = story.history.versions("sandboxsnapshots", "copy")
    assert {str(conditions(each, "Ready")) for each in copies} == {str(conditions(copies[0], "Ready"))}


@pytest.mark.parametrize("name", STEADY)
def test_a_roll_out_costs_a_sandbox_few_writes(story: Story, name: str) -> None:
    ends = [1, *(chapter[name] for chapter in story.chapters)]
    written = [after - before for before, after in pairwise(ends)]

    # Its user changed one of them, which is a version by the user and one by the operator who saw it.
    asked = 2 if name == "templated" else 0
    assert max(written[0] - asked, *written[1:]) <= MOST_WRITES, written


def test_no_request_fails_and_what_is_cut_can_be_taken_up_again(story: Story) -> None:
    traffic = story.tenant.traffic()
    requests = [each["request"] for each in traffic if "request" in each]
    connections = [each["connection"] for each in traffic if "connection" in each]

    assert set(requests) == {200}
    assert len(connections) >= 3
    assert set(connections[::2]) == {"open"}
    assert "open" not in connections[1::2]


def test_a_new_field_comes_with_the_upgrade_and_goes_with_the_rollback(story: Story) -> None:
    assert story.fields == {"upgraded": "kept", "rolled back": None}
