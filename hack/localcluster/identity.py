"""A process that is surely the one that we started: a pid alone may belong to another by now."""

import contextlib
import json
import os
import select
import signal
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessIdentity:
    """A pid with the moment when that process started, in clock ticks since boot, and the boot it belongs to."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity | None":
        """Return the identity of a living process, None if there is none."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The second field, the name in parentheses, may hold anything; the 22nd is the start time.
        fields = stat.rpartition(")")[2].split()
        if fields[0] in "ZX":
            return None
        return cls(pid, int(fields[19]), Path("/proc/sys/kernel/random/boot_id").read_text().strip())

    @property
    def alive(self) -> bool:
        """Tell whether this very process still runs."""
        return ProcessIdentity.of(self.pid) == self

    def end(self, grace_seconds: float) -> None:
        """Ask it to end, and end it by force when it did not within the grace period.

        The process is held by a descriptor between the check and the signal, so that no other can get it.
        """
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if not self.alive:
                return
            for sent, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 30.0)):
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, sent)
                if select.select([descriptor], [], [], seconds)[0]:
                    return
        finally:
            os.close(descriptor)

    def save(self, file: Path) -> None:
        """Write it down."""
        unfinished = file.with_name(f".{file.name}.{os.getpid()}")
        unfinished.write_text(json.dumps(asdict(self)))
        unfinished.rename(file)

    @classmethod
    def load(cls, file: Path) -> "ProcessIdentity | None":
        """Read one, None if the file is missing or not whole."""
        try:
            content = json.loads(file.read_text())
            return cls(int(content["pid"]), int(content["started"]), str(content["boot"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
