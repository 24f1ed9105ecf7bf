"""Kubernetes' tests, run by their own runner against a cluster; this checks nothing itself."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster.commands import run
from localcluster.conformance.verdict import LeftOut, Outcome, outcome
from localcluster.driver import Driver
from localcluster.errors import ClusterError
from localcluster.images.small import agnhost_image
from localcluster.native.driver import NativeDriver
from localcluster.process import wait_until
from localcluster.progress import step
from localcluster.tools import tool

FOCUS = r"\[sig-network\] Netpol"
SCTP = LeftOut(r"\[Feature:SCTPConnectivity\]", "the kernel has no SCTP")
# Of the names that the suite knows this program's image by, the others are an older release's and a private registry's.
AGNHOST = re.compile(r"^\S+/e2e-test-images/agnhost:\d+\.\d+\.\d+$", re.MULTILINE)
# The flag for it does not reach the messages in the reports.
ENVIRONMENT = {**os.environ, "GINKGO_NO_COLOR": "TRUE"}
LONGEST = "2h"
END_SECONDS = 60.0


@dataclass(frozen=True)
class Run:
    """One run of the tests.

    Parameters
    ----------
    kubeconfig
        The administrator's.
    folder
        Where log, JUnit file and report go.
    focus
        A regular expression for the names of the tests to run.
    processes
        How many tests run at a time.
    keep
        Whether a failed test's namespaces stay.
    left_out
        Tests that are not run whatever the focus says.
    """

    kubeconfig: Path
    folder: Path
    focus: str = FOCUS
    processes: int = 4
    keep: bool = False
    left_out: tuple[LeftOut, ...] = ()

    @property
    def log(self) -> Path:
        """Return the file with all that the tests say."""
        return self.folder / "tests.log"

    @property
    def junit(self) -> Path:
        """Return the results in JUnit's format."""
        return self.folder / "junit.xml"

    @property
    def report(self) -> Path:
        """Return the results in Ginkgo's own format."""
        return self.folder / "report.json"

    def command(self) -> list[str]:
        """Return the command: Ginkgo's runner, the compiled tests, and after the dashes their own flags."""
        return [
            *(str(tool("ginkgo")), "run", "--force-newlines", f"--procs={self.processes}"),
            *(f"--timeout={LONGEST}", f"--focus={self.focus}", *(f"--skip={tests.pattern}" for tests in self.left_out)),
            *(f"--output-dir={self.folder}", f"--json-report={self.report.name}", f"--junit-report={self.junit.name}"),
            *(str(tool("e2e.test")), "--", f"--kubeconfig={self.kubeconfig}", "--provider=skeleton"),
            *(f"--kubectl-path={tool('kubectl')}", f"--delete-namespace-on-failure={str(not self.keep).lower()}"),
        ]


def prepare(driver: Driver) -> None:
    """Give a cluster without a registry the image that the tests' pods run."""
    if isinstance(driver, NativeDriver):
        driver.load(str(agnhost_image(agnhost_name(run(tool("e2e.test"), "--list-images")))))


def agnhost_name(names: str) -> str:
    """Return the image's name among those that the tests say they use, one a line.

    Raises
    ------
    ClusterError
        If there is not exactly one.
    """
    found = AGNHOST.findall(names)
    if len(found) != 1:
        raise ClusterError(f"of the tests' images not one is agnhost's but {len(found)}: {', '.join(found)}")
    return str(found[0])


def left_out() -> tuple[LeftOut, ...]:
    """Return the tests of what this machine's kernel cannot do."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        return (SCTP,)
    return ()


def judge(wanted: Run) -> Outcome:
    """Run the tests.

    Raises
    ------
    ClusterError
        If they end without a report, or the focus is no regular expression.
    """
    try:
        re.compile(wanted.focus)
    except re.error as error:
        raise ClusterError(f"--focus is {wanted.focus!r}, which is no regular expression: {error}") from None
    wanted.folder.mkdir(parents=True, exist_ok=True)
    wanted.report.unlink(missing_ok=True)
    _finish(wanted.command(), wanted.log)
    try:
        return outcome(json.loads(wanted.report.read_text()), wanted.focus, wanted.left_out)
    except (OSError, ValueError) as error:
        last = "\n".join(wanted.log.read_text(errors="replace").splitlines()[-8:])
        raise ClusterError(f"the tests ended without a report ({error}); {wanted.log} ends with:\n{last}") from None


def _finish(command: Sequence[str], log: Path) -> None:
    """Run the tests to their end, whatever it is, and show how many have come to theirs."""
    with step("running Kubernetes' tests") as progress, log.open("w") as output:
        runner = subprocess.Popen(
            # Without the runner the tests end with the one that they are at.
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            stdout=output,
            stderr=output,
            cwd=log.parent,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        try:
            while runner.poll() is None:
                progress.tell(f"{log.read_text(errors='replace').count('•')} done")
                time.sleep(1)
        finally:
            _end(runner)


def _end(runner: "subprocess.Popen[bytes]") -> None:
    """End the runner, if it has not ended, and all that it started; the tests get the time to remove what they made."""
    if runner.poll() is not None:
        return
    for sent in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(runner.pid, sent)
        with contextlib.suppress(ClusterError):
            wait_until(lambda: runner.poll() is not None, "end of the tests", END_SECONDS)
