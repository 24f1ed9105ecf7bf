"""The CSI project's own tests judge both drivers, as they run in the node."""

import re
import subprocess
from pathlib import Path

import pytest

from localcluster.identity import ProcessIdentity
from localcluster.native.driver import NativeDriver
from localcluster.native.storage.offers import PLAIN, SNAPSHOTS, Offer
from localcluster.selection import choose
from localcluster.tools import tool

SIZES = ("--csi.testvolumesize=67108864", "--csi.testvolumeexpandsize=134217728")
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize(("offer", "least"), [(SNAPSHOTS, 55), (PLAIN, 33)], ids=["full", "plain"])
def test_the_specifications_tests_pass(kubeconfig: Path, offer: Offer, least: int) -> None:
    driver = choose()
    assert isinstance(driver, NativeDriver)
    node = ProcessIdentity.load(driver.state / "node-process.json")
    assert node is not None
    scratch = f"/run/sanity-{offer.driver}"

    command = [str(tool("csi-sanity")), f"--csi.endpoint=unix://{offer.socket}", *SIZES]
    folders = [f"--csi.mountdir={scratch}-mounts", f"--csi.stagingdir={scratch}-staged"]
    inside = ["nsenter", "--mount", "--pid", "--target", str(node.pid), "--"]
    done = subprocess.run([*inside, *command, *folders], capture_output=True, text=True, check=False, timeout=200)

    said = ESCAPES.sub("", done.stdout)
    counts = re.search(r"(\d+) Passed \| (\d+) Failed", said)
    assert done.returncode == 0, said[-4000:]
    assert counts is not None
    assert int(counts[1]) >= least
