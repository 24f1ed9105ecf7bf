"""Long-running programs: started with a log, ended by their own pid, never outliving the process that started them."""

import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from localcluster.errors import ClusterError

STOP_SECONDS = 15.0

# The kernel sends the parent-death signal when the *thread* that forked ends, so that one thread, which lives as long
# as this process, starts everything.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")


class Program:
    """One program that is kept running under a name.

    Parameters
    ----------
    name
        What it is called in messages and as its log's name.
    command
        The arguments, the program's path first.
    log
        File that its output is appended to.
    environment
        The whole environment; the caller's where it is None.
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id of the running program.

        Raises
        ------
        ClusterError
            If it does not run.
        """
        if self._process is None or not self.running:
            raise ClusterError(f"{self.name} is not running; its log is {self.log}")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Tell whether the program was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def started(self) -> bool:
        """Tell whether the program is meant to run: started, and not stopped by us."""
        return self._process is not None

    @property
    def exit_status(self) -> int | None:
        """Return the status that it ended with, None while it runs."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it, unless it runs."""
        if not self.running:
            self._process = _starter.submit(self._spawn).result()

    def _spawn(self) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                start_new_session=True,
            )

    def send(self, sent: signal.Signals) -> None:
        """Send it a signal, which does not count as stopping it."""
        if self._process is not None and self.running:
            self._process.send_signal(sent)

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> None:
        """End it: first by the given signal, by force when it has not ended after 15 s."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(sent)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def last_words(self, lines: int = 6) -> str:
        """Return the end of its log, for an error message."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def wait_until(check: Callable[[], bool], what: str, seconds: float, interval: float = 0.1) -> None:
    """Wait until a check holds.

    Parameters
    ----------
    check
        Asked again and again; it may not raise.
    what
        What is awaited, for the error message.
    seconds
        When to give up.
    interval
        Seconds between two checks.

    Raises
    ------
    ClusterError
        If it does not hold in time.
    """
    patience = Retrying(
        retry=retry_if_result(lambda held: not held), stop=stop_after_delay(seconds), wait=wait_fixed(interval)
    )
    try:
        patience(check)
    except RetryError:
        raise ClusterError(f"{what} did not happen within {seconds:.0f} s") from None
