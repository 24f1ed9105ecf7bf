"""The daemon's loop: many changes in one write, refusals tried again, and a report that says what is in force."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from localcluster.errors import ClusterError
from localcluster.native.addons import policy_rights
from localcluster.native.policy import report
from localcluster.native.policy.daemon import Enforcer
from localcluster.native.policy.kernel import KernelTable
from localcluster.native.policy.table import Table
from sandkeeper.runtime.resource import key_of
from unit.localcluster.policy.cluster import pod, policy
from unit.waiting import until


class Kernel(KernelTable):
    """A kernel that keeps every table that it is given, and refuses when told to."""

    def __init__(self) -> None:
        super().__init__("10.244.0.0/22")
        self.tables: list[Table] = []
        self.refusal = ""

    async def write(self, table: Table) -> None:
        """Keep a table, or refuse it."""
        if self.refusal:
            raise ClusterError(self.refusal)
        self.tables.append(table)


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def tell(enforcer: Enforcer, *pods: dict[str, Any]) -> None:
    """Tell of pods."""
    for one in pods:
        enforcer.pod_changed(key_of(one), None, one)


async def test_changes_that_come_together_are_written_together(kernel: Kernel) -> None:
    enforcer = Enforcer(kernel)
    running = asyncio.create_task(enforcer.run())
    await until(lambda: len(kernel.tables) == 1)

    tell(enforcer, *(pod("red", f"pod-{number}", f"10.244.0.{number}") for number in range(2, 100)))
    await until(lambda: len(kernel.tables) > 1)

    assert len(kernel.tables[1].collections["egress"].elements) == 98
    running.cancel()


async def test_what_the_kernel_refused_is_tried_again_and_not_called_in_force(kernel: Kernel) -> None:
    enforcer = Enforcer(kernel)
    kernel.refusal = "no such chain"
    made = policy("red", "closed", policyTypes=["Ingress"])
    enforcer.policy_changed(key_of(made), None, made)
    running = asyncio.create_task(enforcer.run())
    await until(lambda: enforcer.report.last_error is not None)
    assert not enforcer.report.ready
    assert enforcer.report.policies == {}

    kernel.refusal = ""
    await until(lambda: enforcer.report.ready)

    assert enforcer.report.policies == {"red/closed": {"generation": 3, "resourceVersion": "7"}}
    running.cancel()


async def test_a_table_that_could_not_be_written_is_replaced_whole(tmp_path: Path, monkeypatch: Any) -> None:
    given = tmp_path / "given"
    nft = tmp_path / "nft"
    nft.write_text(f"#!/bin/sh\ncat > {given}\n[ ! -e {tmp_path}/refuse ] || {{ echo no >&2; exit 1; }}\n")
    nft.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    kernel, enforcer_table = KernelTable("10.244.0.0/22"), Enforcer(Kernel())._desired

    await kernel.write(enforcer_table.table())
    assert given.read_text().startswith("add table inet network_policy\ndelete table inet network_policy\n")
    given.unlink()
    await kernel.write(enforcer_table.table())
    assert not given.exists()
    (tmp_path / "refuse").touch()
    enforcer_table.set_policy(("red", "one"), None)
    kernel._written = Table({}, {})
    with pytest.raises(ClusterError, match="nft refused the table: no"):
        await kernel.write(enforcer_table.table())
    (tmp_path / "refuse").unlink()

    await kernel.write(enforcer_table.table())

    assert "delete table inet network_policy\n" in given.read_text()


def test_the_report_is_said_in_a_few_words_too() -> None:
    told = report.Report()
    assert "no word of the apiserver" in report.summary(told.content())
    told.succeeded({"red/one": {"generation": 1, "resourceVersion": "9"}}, pods=3)
    assert report.summary(json.loads(json.dumps(told.content()))) == "nftables (development), policies in force: 1"

    told.failed("no such chain")

    assert told.content()["enforcingSince"] is not None
    assert report.summary(told.content()) == "nftables (development), not up to date: no such chain"


def test_what_is_known_counts_as_old_after_a_long_silence() -> None:
    told = report.Report(silence=lambda: 20.0)
    told.succeeded({}, pods=0)
    assert told.ready

    told.silence = lambda: report.LONGEST_SILENCE

    assert not told.ready


def test_the_daemon_may_read_three_kinds_and_nothing_else() -> None:
    role, binding = policy_rights()

    allowed = {(group, kind) for rule in role["rules"] for group in rule["apiGroups"] for kind in rule["resources"]}
    assert allowed == {("", "pods"), ("", "namespaces"), ("networking.k8s.io", "networkpolicies")}
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"list", "watch"}
    assert binding["subjects"][0]["name"] == "sandkeeper:network-policy"
