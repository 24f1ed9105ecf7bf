"""The chapters about copies: a checkpoint, a mishap and the way back, two strategies, and a clone for production."""

from __future__ import annotations

from typing import TYPE_CHECKING

from walkthrough.scene import NAMESPACE, apply, ready, run

if TYPE_CHECKING:
    from walkthrough.stage import Stage

SOURCE = '{"spec": {"source": {"snapshotRef": {"name": "half-a-report"}, "revision": "1"}}}'
MISHAP = """\
rm -rf /workspace/* /etc/agent.conf; userdel agent
ls -A /workspace; cat /etc/agent.conf
"""
LOOK = "cat /workspace/report /etc/agent.conf; id agent"
GO_ON = 'echo "the other half, by strategy {name}" >> /workspace/report; cat /workspace/report'
CLONED = """\
cat /workspace/report; echo "key: $API_KEY"; id agent
test -e /etc/agent.conf || echo "/etc/agent.conf, which the agent wrote, did not come along"
"""


def tell(stage: Stage) -> None:
    """Tell these chapters; the sandbox workbench runs, and has half a report."""
    _checkpoint(stage)
    _rollback(stage)
    _forks(stage)


def _checkpoint(stage: Stage) -> None:
    stage.chapter("A checkpoint", "Workspace, installed packages and environment, while the sandbox goes on running.")
    apply(stage, "checkpoint.yaml", show=True)
    ready(stage, "half-a-report", kind="sandboxsnapshot")
    pause = ("-o", "jsonpath={.status.pauseSeconds} s, and what was captured: {.status.captured.environment}")
    stage.kubectl("-n", NAMESPACE, "get", "sandboxsnapshot", "half-a-report", *pause)


def _rollback(stage: Stage) -> None:
    stage.chapter("Back again", "Its agent makes a mess; one line in its spec takes everything back.")
    run(stage, "workbench", MISHAP + "true")
    stage.kubectl("-n", NAMESPACE, "patch", "sandbox", "workbench", "--type=merge", "--patch", SOURCE)
    ready(stage, "workbench")
    run(stage, "workbench", LOOK)


def _forks(stage: Stage) -> None:
    stage.chapter("Two strategies and a clone", "All start from the same state, and share nothing afterwards.")
    secret = ("generic", "production", "--from-literal=API_KEY=of-production")
    stage.kubectl("-n", NAMESPACE, "create", "secret", *secret)
    apply(stage, "forks.yaml", show=True)
    for name in ("strategy-a", "strategy-b", "workbench-prod"):
        ready(stage, name)
    for name in ("a", "b"):
        run(stage, f"strategy-{name}", GO_ON.format(name=name))
    stage.say("The clone has the workspace and what its spec installs, with another key:")
    run(stage, "workbench-prod", CLONED)
