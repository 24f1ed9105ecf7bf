"""Keeps a node's programs running and answers questions about them.

What ends by itself is started again after a pause that grows; what was stopped on purpose stays down.
"""

import signal
import threading
import time
from dataclasses import dataclass, field

from localcluster.controlplane import ControlPlane
from localcluster.errors import ClusterError
from localcluster.process import Program

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 20.0
CALM_SECONDS = 60.0


@dataclass
class Kept:
    """A program with what the supervisor remembers of it."""

    program: Program
    restarts: int = 0
    started: float = field(default_factory=time.monotonic)
    due: float | None = None

    def pause(self) -> float:
        """Return how long to wait before the next start."""
        return float(min(FIRST_PAUSE * 2 ** min(self.restarts, 10), LONGEST_PAUSE))

    def tend(self, now: float) -> None:
        """Start the program again if it ended by itself and its pause is over."""
        if not self.program.started or self.program.running:
            if now - self.started > CALM_SECONDS:
                self.restarts = 0
            return
        if self.due is None:
            self.due = now + self.pause()
        if now >= self.due:
            self.due, self.started = None, now
            self.restarts += 1
            self.program.start()


class Supervisor:
    """The programs of one node.

    Parameters
    ----------
    control_plane
        The control plane; its programs are tended as the others.
    programs
        The node's own programs.
    """

    def __init__(self, control_plane: ControlPlane, programs: dict[str, Program]) -> None:
        self._control_plane = control_plane
        everything = {**control_plane.programs, **programs}
        self._kept = {name: Kept(program) for name, program in everything.items()}
        # One change at a time: a question from outside and the tending loop may meet.
        self._lock = threading.RLock()

    @property
    def components(self) -> list[str]:
        """Return the names of all programs."""
        return list(self._kept)

    def start(self, name: str) -> None:
        """Start a program; a control-plane one is waited for."""
        with self._lock:
            self._named(name).started = time.monotonic()
            if name in self._control_plane.programs:
                self._control_plane.start_component(name)
            else:
                self._named(name).program.start()

    def stop(self, name: str) -> None:
        """End a program; it stays down until it is started."""
        with self._lock:
            self._named(name).program.stop()

    def kill(self, name: str) -> None:
        """Kill a program, as a crash would: it is started again by tending."""
        with self._lock:
            self._named(name).program.send(signal.SIGKILL)

    def restart(self, name: str) -> None:
        """End a program and start it."""
        with self._lock:
            self.stop(name)
            self.start(name)

    def tend(self) -> None:
        """Start again what ended by itself."""
        with self._lock:
            for kept in self._kept.values():
                kept.tend(time.monotonic())

    def report(self) -> list[dict[str, object]]:
        """Return name, state, pid inside the node, and count of restarts of every program."""
        return [
            {
                "component": name,
                "running": kept.program.running,
                "pid": kept.program.pid if kept.program.running else None,
                "restarts": kept.restarts,
            }
            for name, kept in self._kept.items()
        ]

    def _named(self, name: str) -> Kept:
        if name not in self._kept:
            raise ClusterError(f"there is no component {name!r}; there are: {', '.join(self._kept)}")
        return self._kept[name]
