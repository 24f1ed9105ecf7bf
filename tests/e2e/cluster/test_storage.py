"""Volumes of the native node: kept, limited, grown, snapshotted and copied, whoever is killed in between."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api.kubectl import Kubectl
from e2e.cluster.conftest import Pods
from e2e.conftest import hack_cluster
from localcluster.images.catalogue import BUSYBOX
from localcluster.native.storage.offers import PLAIN, SNAPSHOTS
from localcluster.process import wait_until

MANY = 50


class Claims:
    """Claims and the pods that use them, in one namespace."""

    def __init__(self, pods: Pods) -> None:
        self.pods = pods

    def claim(self, name: str, size: str = "64Mi", **spec: Any) -> None:
        """Create a claim."""
        content = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
        self.pods.apply(
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": content}
        )

    def run(self, name: str, **spec: Any) -> None:
        """Run a pod with the claim of its name at /data."""
        self.pods.run(name, **with_claim(name), **spec)

    def snapshot(self, name: str, claim: str) -> None:
        """Take a snapshot and wait until it can be used."""
        self.begin_snapshot(name, claim)
        ready = "--for=jsonpath={.status.readyToUse}=true"
        self.pods("wait", ready, f"volumesnapshot/{name}", "--timeout=30s")

    def begin_snapshot(self, name: str, claim: str, **spec: Any) -> None:
        """Ask for a snapshot."""
        content = {"source": {"persistentVolumeClaimName": claim}, **spec}
        version = "snapshot.storage.k8s.io/v1"
        self.pods.apply({"apiVersion": version, "kind": "VolumeSnapshot", "metadata": {"name": name}, "spec": content})

    def sh(self, pod: str, command: str) -> str:
        """Run a shell command in a pod."""
        return self.pods.inside(pod, "sh", "-c", command)

    def notes(self, kind: str, name: str) -> str:
        """Return what events say of an object."""
        about = f"involvedObject.kind={kind},involvedObject.name={name}"
        return self.pods("get", "events", f"--field-selector={about}", "-o", "jsonpath={.items[*].message}")


def with_claim(name: str, command: str = "sleep 1000") -> dict[str, Any]:
    """Return what the spec of a pod has that runs a shell command with the claim at /data."""
    mount = {"name": "data", "mountPath": "/data"}
    return {
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}],
        "containers": [
            {
                "name": "main",
                "image": BUSYBOX,
                "command": ["sh", "-c", command],
                "volumeMounts": [mount],
            }
        ],
    }


@pytest.fixture
def claims(pods: Pods) -> Claims:
    """Claims in a namespace of their own."""
    return Claims(pods)


def test_what_a_pod_wrote_outlives_it_and_every_program_of_the_node(claims: Claims) -> None:
    claims.claim("kept")
    claims.run("kept")
    claims.sh("kept", "echo still here > /data/file")
    claims.pods("delete", "pod", "kept")

    for program in ("kubelet", "containerd", "storage", "csi-provisioner"):
        hack_cluster("restart", program)

    claims.run("kept")
    assert claims.sh("kept", "cat /data/file") == "still here\n"


def test_a_running_pod_keeps_its_volume_while_the_driver_is_replaced(claims: Claims) -> None:
    claims.claim("held")
    claims.run("held")

    hack_cluster("restart", "storage")

    assert claims.sh("held", "echo more > /data/file; cat /data/file") == "more\n"


def test_a_volume_takes_what_was_asked_for_and_more_once_it_has_grown(claims: Claims) -> None:
    fill = "dd if=/dev/zero of=/data/file bs=1M count=80 2>&1; true"
    claims.claim("small")
    claims.run("small")
    assert "quota exceeded" in claims.sh("small", fill)
    assert int(claims.sh("small", "stat -c %s /data/file")) <= 64 * 1024**2
    # A full volume can still be tidied up.
    claims.sh("small", "rm /data/file")

    claims.claim("small", "128Mi")
    claims.pods("wait", "--for=jsonpath={.status.capacity.storage}=128Mi", "pvc/small", "--timeout=30s")

    assert "quota exceeded" not in claims.sh("small", fill)


@pytest.mark.slow
def test_the_kubelet_knows_how_full_a_volume_is(claims: Claims, kubectl: Kubectl) -> None:
    claims.claim("seen")
    claims.run("seen")
    claims.sh("seen", "dd if=/dev/zero of=/data/file bs=1M count=40 2>&1")

    def seen() -> bool:
        told = json.loads(kubectl("get", "--raw", "/api/v1/nodes/sandkeeper-node/proxy/stats/summary"))
        volumes = [volume for pod in told["pods"] for volume in pod.get("volume", [])]
        reference = {"name": "seen", "namespace": claims.pods.namespace}
        ours = [volume for volume in volumes if volume.get("pvcRef") == reference]
        return [(v["capacityBytes"], v["usedBytes"] // 1024**2) for v in ours] == [(64 * 1024**2, 40)]

    wait_until(seen, "the kubelet's word of the volume", 90.0, interval=1.0)


def test_a_snapshot_is_the_past_and_a_copy_the_present(claims: Claims) -> None:
    claims.claim("source")
    claims.run("source")
    claims.sh("source", "echo then > /data/file; chown 1234:5678 /data/file")
    claims.snapshot("past", "source")
    claims.sh("source", "echo now > /data/file")

    past = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "past"}
    claims.claim("restored", dataSource=past)
    claims.claim("copied", dataSource={"kind": "PersistentVolumeClaim", "name": "source"})
    for name in ("restored", "copied"):
        claims.run(name)

    assert claims.sh("restored", "cat /data/file; stat -c %u:%g /data/file") == "then\n1234:5678\n"
    assert claims.sh("copied", "cat /data/file") == "now\n"
    # What is made of another is its own.
    claims.sh("copied", "rm /data/file")
    assert claims.sh("source", "cat /data/file") == "now\n"


def test_a_snapshot_outlives_its_volume(claims: Claims) -> None:
    claims.claim("gone")
    claims.run("gone")
    claims.sh("gone", "echo left > /data/file")
    claims.snapshot("left", "gone")
    volume = claims.pods("get", "pvc", "gone", "-o", "jsonpath={.spec.volumeName}")
    claims.pods("delete", "pod/gone", "pvc/gone")
    claims.pods("wait", "--for=delete", f"pv/{volume}", "--timeout=30s")

    left = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "left"}
    claims.claim("back", dataSource=left)
    claims.run("back")

    assert claims.sh("back", "cat /data/file") == "left\n"


def test_the_class_with_the_least_refuses_snapshots_and_growth(claims: Claims) -> None:
    claims.claim("plain", storageClassName=PLAIN.storage_class)
    claims.run("plain")

    claims.begin_snapshot("refused", "plain", volumeSnapshotClassName=SNAPSHOTS.storage_class)
    wait_until(lambda: "driver" in claims.notes("VolumeSnapshot", "refused"), "the refusal", 30.0)

    grown = json.dumps({"spec": {"resources": {"requests": {"storage": "128Mi"}}}})
    refusal = claims.pods.refused("patch", "pvc", "plain", "--patch", grown)
    assert "only dynamically provisioned pvc can be resized and the storageclass" in refusal


def test_a_claim_that_cannot_be_met_says_why(claims: Claims) -> None:
    claims.claim("shared", accessModes=["ReadWriteMany"])
    claims.pods.create("shared", **with_claim("shared"))

    expected = "volumes are on one node, and MULTI_NODE_MULTI_WRITER asks for more"
    wait_until(lambda: expected in claims.notes("PersistentVolumeClaim", "shared"), "the reason", 30.0)


def test_a_pod_with_a_user_namespace_owns_parts_of_a_volume(claims: Claims) -> None:
    claims.claim("parts")
    spec = with_claim("parts")
    spec["containers"][0]["volumeMounts"] = [
        {"name": "data", "mountPath": f"/{part}", "subPath": part} for part in ("workspace", "system")
    ]
    spec["containers"][0]["securityContext"] = {"runAsUser": 1000}
    claims.pods.run("parts", hostUsers=False, securityContext={"fsGroup": 2000}, **spec)

    claims.sh("parts", "echo mine > /workspace/file; echo too > /system/file")

    assert claims.sh("parts", "stat -c %u:%g /workspace/file") == "1000:2000\n"
    assert claims.sh("parts", "head -n 1 /proc/self/uid_map").split()[1] != "0"


def test_claims_are_met_though_the_driver_dies_in_the_middle(claims: Claims) -> None:
    names = [f"hard-{index}" for index in range(6)]
    for name in names:
        claims.claim(name)
        claims.pods.create(name, **with_claim(name))
    for _ in range(2):
        hack_cluster("kill", "storage")

    claims.pods("wait", "--for=condition=Ready", "pod", "--all", "--timeout=90s")
    volumes = claims.pods("get", "pvc", "-o", "jsonpath={.items[*].spec.volumeName}").split()
    assert len(set(volumes)) == len(names)


@pytest.mark.slow
def test_fifty_claims_at_once_are_all_met(claims: Claims, capsys: pytest.CaptureFixture[str]) -> None:
    def meet(index: int) -> None:
        claims.claim(f"many-{index}")
        claims.pods.create(f"many-{index}", restartPolicy="Never", **with_claim(f"many-{index}", "true"))

    with ThreadPoolExecutor(max_workers=8) as beside:
        list(beside.map(meet, range(MANY)))

    claims.pods("wait", "--for=jsonpath={.status.phase}=Bound", "pvc", "--all", "--timeout=120s")
    assert len(claims.pods("get", "pvc", "-o", "name").split()) == MANY
