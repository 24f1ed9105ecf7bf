"""The judge's words: what ran, what did not, and that nothing missing is taken for good."""

import json
import socket
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from typer.testing import CliRunner

from localcluster import cli
from localcluster.conformance import suite
from localcluster.conformance.suite import FOCUS, SCTP, Run, agnhost_name, judge, left_out, prepare
from localcluster.conformance.verdict import LeftOut, Outcome, Verdict, outcome, outcome_text
from localcluster.errors import ClusterError
from localcluster.kind import KindDriver
from localcluster.native.driver import NativeDriver
from localcluster.tools import CONFORMANCE, KUBERNETES

DENY = "should support a 'default-deny-ingress' policy"


def spec(name: str, state: str = "passed", message: str = "", kind: str = "It") -> dict[str, Any]:
    """One entry of a report, as the runner writes it."""
    entry = {"LeafNodeType": kind, "LeafNodeText": name, "State": state, "RunTime": 12_300_000_000}
    failure = {"Failure": {"Message": message}} if message else {}
    return {**entry, "ContainerHierarchyTexts": ["[sig-network] Netpol"] if kind == "It" else None, **failure}


def reported(*specs: dict[str, Any], planned: int | None = None, troubles: tuple[str, ...] = ()) -> Outcome:
    """The outcome of a report with these entries."""
    will_run = len(specs) if planned is None else planned
    content = {
        "SpecReports": list(specs),
        "PreRunStats": {"SpecsThatWillRun": will_run},
        "SpecialSuiteFailureReasons": list(troubles) or None,
        "RunTime": 61_000_000_000,
    }
    return outcome([content], FOCUS, (SCTP,))


def test_a_run_in_which_all_passed_is_good() -> None:
    found = reported(spec(DENY), spec("should support allow-all policy"))

    assert found.good
    assert outcome_text(found).splitlines()[-1] == "2 passed, 0 failed, 0 skipped in 61 s"


@pytest.mark.parametrize("state", ["failed", "panicked", "timedout", "aborted", "interrupted"])
def test_a_test_that_did_not_pass_stands_first_with_its_reason(state: str) -> None:
    found = reported(spec("should work"), spec(DENY, state, "Had 4 wrong results in reachability matrix\nand a stack"))

    assert not found.good
    assert outcome_text(found).splitlines()[1:3] == [
        f"failed      12.3  [sig-network] Netpol {DENY}",
        "                  Had 4 wrong results in reachability matrix",
    ]


def test_a_test_that_skips_itself_and_one_that_is_left_out_are_told_with_the_reason() -> None:
    found = reported(
        spec("should work"),
        spec("should be on Windows", "skipped", "only supported for windows"),
        spec("[Feature:SCTPConnectivity] should deny", "skipped"),
        {**spec("should list pods", "skipped"), "ContainerHierarchyTexts": ["[sig-node] Pods"]},
        planned=2,
    )

    assert {verdict.name.removeprefix("[sig-network] Netpol "): verdict.reason for verdict in found.verdicts} == {
        "should work": "",
        "should be on Windows": "only supported for windows",
        "[Feature:SCTPConnectivity] should deny": "the kernel has no SCTP",
    }
    assert found.good


@pytest.mark.parametrize(
    ("found", "trouble"),
    [
        (reported(), "no test is to run whose name matches"),
        (reported(spec(DENY), spec("should work", "skipped")), "2 tests were to run and 1 did"),
        (reported(spec(DENY), troubles=("Suite Timeout Elapsed",)), "Suite Timeout Elapsed"),
    ],
)
def test_a_run_that_missed_something_is_not_good_and_says_what(found: Outcome, trouble: str) -> None:
    assert not found.good
    assert f"not to be relied on: {trouble}" in outcome_text(found)


def test_a_run_that_only_skipped_is_not_good() -> None:
    assert not reported(spec(DENY, "skipped", "not here")).good


def test_a_suite_that_could_not_be_prepared_failed() -> None:
    found = reported(
        spec("", "failed", "Error loading client", kind="SynchronizedBeforeSuite"),
        spec("", kind="SynchronizedAfterSuite"),
        planned=0,
    )

    assert [(verdict.name, verdict.reason) for verdict in found.verdicts] == [
        ("SynchronizedBeforeSuite", "Error loading client")
    ]
    assert not found.good


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that need no building, since nothing runs them."""
    monkeypatch.setattr(suite, "tool", lambda name: Path("/bin") / name)


@pytest.mark.usefixtures("programs")
def test_the_command_asks_for_the_wanted_tests_and_for_reports(tmp_path: Path) -> None:
    words = Run(Path("/k"), tmp_path, focus="Netpol API", processes=3, keep=True, left_out=(SCTP,)).command()
    runner, tests = words[: words.index("--")], words[words.index("--") + 1 :]

    assert runner[:2] == ["/bin/ginkgo", "run"]
    assert runner[-1] == "/bin/e2e.test"
    assert {"--procs=3", "--focus=Netpol API", f"--skip={SCTP.pattern}", "--junit-report=junit.xml"} <= set(runner)
    assert {"--kubeconfig=/k", "--delete-namespace-on-failure=false", "--kubectl-path=/bin/kubectl"} <= set(tests)


def test_a_failed_tests_namespaces_go_unless_they_are_to_be_kept(tmp_path: Path, programs: None) -> None:
    assert "--delete-namespace-on-failure=true" in Run(Path("/k"), tmp_path).command()


def script(folder: Path, lines: str) -> Path:
    """A program that stands in for the runner."""
    file = folder / "runner"
    file.write_text(f"#!/bin/sh\n{lines}\n")
    file.chmod(0o755)
    return file


def test_what_the_runner_reports_is_the_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = [{"SpecReports": [spec(DENY)], "PreRunStats": {"SpecsThatWillRun": 1}, "RunTime": 0}]
    (tmp_path / "told.json").write_text(json.dumps(report))
    run = Run(Path("/k"), tmp_path / "conformance")
    runner = script(tmp_path, "cp ../told.json report.json; exit 1")
    monkeypatch.setattr(suite, "tool", lambda _: runner)

    found = judge(run)

    assert found.verdicts == (Verdict(f"[sig-network] Netpol {DENY}", "passed", 12.3),)


def test_a_runner_that_leaves_no_report_is_an_error_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(Path("/k"), tmp_path / "conformance")
    run.folder.mkdir()
    run.report.write_text("[]")
    runner = script(tmp_path, "echo the cluster is gone; exit 2")
    monkeypatch.setattr(suite, "tool", lambda _: runner)

    with pytest.raises(ClusterError, match=r"ended without a report .*\n?.*the cluster is gone"):
        judge(run)


def test_a_focus_that_is_no_regular_expression_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"--focus is '\[sig', which is no regular expression"):
        judge(Run(Path("/k"), tmp_path, focus="[sig"))


def test_the_image_is_the_one_that_the_tests_name() -> None:
    names = ["gcr.io/private/agnhost:2.6", "registry.test/e2e-test-images/agnhost:2.55"]
    wanted = "registry.test/e2e-test-images/agnhost:2.63.0"

    assert agnhost_name("\n".join([*names, wanted, ""])) == wanted
    with pytest.raises(ClusterError, match="not one is agnhost's but 0"):
        agnhost_name("\n".join(names))


def test_only_a_cluster_without_a_registry_gets_the_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(NativeDriver, "load", lambda _, image: loaded.append(image))
    monkeypatch.setattr(suite, "tool", lambda _: Path("/bin/e2e.test"))
    monkeypatch.setattr(suite, "run", lambda *_: "registry.test/e2e-test-images/agnhost:2.63.0\n")
    monkeypatch.setattr(suite, "agnhost_image", lambda name: Path(f"/images/{name.rpartition(':')[2]}.tar"))

    prepare(KindDriver(tmp_path))
    assert loaded == []
    prepare(NativeDriver(tmp_path))
    assert loaded == ["/images/2.63.0.tar"]


@pytest.mark.parametrize(("problem", "expected"), [(OSError("Protocol not supported"), (SCTP,)), (None, ())])
def test_tests_of_sctp_are_left_out_where_the_kernel_has_none(
    monkeypatch: pytest.MonkeyPatch, problem: OSError | None, expected: tuple[LeftOut, ...]
) -> None:
    monkeypatch.setattr(socket, "socket", MagicMock(side_effect=[problem or MagicMock()]))

    assert left_out() == expected


def test_without_a_cluster_nothing_is_built_or_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDKEEPER_STATE", str(tmp_path))
    monkeypatch.setattr(cli, "prepare", lambda _: pytest.fail("there is nothing to prepare"))

    done = CliRunner().invoke(cli.app, ["conformance"])

    assert str(done.exception) == "there is no cluster yet; `hack/cluster up` brings one up"


def test_the_tests_are_of_the_same_release_as_the_cluster() -> None:
    assert CONFORMANCE.version == KUBERNETES.version
    assert _replaced("conformance") == _replaced("kubernetes")


def _replaced(module: str) -> list[str]:
    content = (KUBERNETES.folder.parent / module / "go.mod").read_text()
    return content[content.index("replace (") :].split("\n")
