"""Starts a node's first process in fresh namespaces and watches it until the node runs."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from localcluster.errors import ClusterError
from localcluster.identity import ProcessIdentity
from localcluster.native import control, network
from localcluster.native.image_store import copy_store
from localcluster.native.init import GO
from localcluster.native.phase import RUNNING
from localcluster.native.plan import NodePlan
from localcluster.paths import SOURCES
from localcluster.process import wait_until
from localcluster.progress import Step, step

START_SECONDS = 180.0
NAMESPACES = ("--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc")


def start(plan: NodePlan, store: Path, images: list[Path]) -> None:
    """Start a node and return when all its programs run.

    Parameters
    ----------
    plan
        The node.
    store
        An image store that it gets a copy of.
    images
        Further archives that are imported while it starts.

    Raises
    ------
    ClusterError
        If it ends or does not get there; the message has the end of its log.
    """
    plan.logs.mkdir(parents=True, exist_ok=True)
    plan.save()
    (plan.state / "images.txt").write_text("".join(f"{image}\n" for image in images))
    with step(f"starting node {plan.name}") as progress:
        copy_store(store, plan.state / "containerd")
        outer = _spawn(plan)
        try:
            identity = _first_process(outer)
            identity.save(plan.process_record)
            network.connect(plan, identity.pid)
            _send_go(outer)
        except BaseException:
            outer.kill()
            raise
        _follow(plan, outer, progress)


def _spawn(plan: NodePlan) -> subprocess.Popen[str]:
    command = ["unshare", *NAMESPACES, "--", sys.executable, "-m", "localcluster.native.init", str(plan.file)]
    environment = {**os.environ, "PYTHONPATH": SOURCES, "PYTHONUNBUFFERED": "1"}
    with (plan.logs / "supervisor.log").open("a") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment,
            cwd="/",
            text=True,
            start_new_session=True,
        )


def _first_process(outer: subprocess.Popen[str]) -> ProcessIdentity:
    parent = psutil.Process(outer.pid)
    wait_until(lambda: bool(parent.children()) or outer.poll() is not None, "the node's first process", 10.0, 0.02)
    children = parent.children() if outer.poll() is None else []
    identity = ProcessIdentity.of(children[0].pid) if children else None
    if identity is None:
        raise ClusterError("the node's namespaces could not be made; is this process allowed to (CAP_SYS_ADMIN)?")
    return identity


def _send_go(outer: subprocess.Popen[str]) -> None:
    if outer.stdin is not None:
        with outer.stdin as pipe:
            pipe.write(GO)


def _follow(plan: NodePlan, outer: subprocess.Popen[str], progress: Step) -> None:
    phase = ""
    while phase != RUNNING:
        if outer.poll() is not None:
            words = (plan.logs / "supervisor.log").read_text(errors="replace").splitlines()[-8:]
            raise ClusterError("the node ended while it started:\n" + "\n".join(words))
        if progress.elapsed > START_SECONDS:
            raise ClusterError(f"the node did not start within {START_SECONDS:.0f} s: {phase}; logs are in {plan.logs}")
        phase = _phase(plan)
        progress.tell(phase)
        time.sleep(0.1)


def _phase(plan: NodePlan) -> str:
    try:
        return str(control.ask(plan.state, {"do": "status"})["phase"])
    except ClusterError:
        return "preparing mounts and network"
