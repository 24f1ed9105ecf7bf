"""What an attempt is, and how many are made at once: each in a process of its own, so that none can spoil another.

Everything in this folder is sent into pods and runs there on nothing but Python's standard library.
"""

import contextlib
import errno
import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Scene = dict[str, Any]
"""Who tries, and the addresses of everybody else; comes as JSON."""
Way = Callable[[Scene], str]

NO_ANSWER = "no answer"
THROUGH = "got through"
AT_ONCE = 24
PATIENCE = float(os.environ.get("ESCAPE_PATIENCE", "1"))
"""How much longer than usual to wait: whoever is to get through may be slow on a busy machine."""
SECONDS = 2.0 * PATIENCE
"""How long to wait for one answer."""


class ClosedError(Exception):
    """The way is closed; the message is what was seen."""


@dataclass(frozen=True)
class Attempt:
    """One way out.

    Attributes
    ----------
    what
        What is tried, for the report.
    expected
        What may be seen: the name of an error number, :data:`NO_ANSWER`, or words that the way raises as ClosedError.
    way
        Tries it and returns evidence that it got through; raises otherwise. Harmless where it gets through.
    control
        Who shows that the same works where nothing is in the way; empty where nobody can or may.
    caged
        What may be seen from the caged pod; empty where it is not tried from there.
    note
        On which runtimes and kernels it holds, or why there is no control.
    seconds
        How long it may take; whoever is still waiting then got no answer.
    """

    what: str
    expected: tuple[str, ...]
    way: Way
    control: str = "open"
    caged: tuple[str, ...] = ()
    note: str = ""
    seconds: float = 15.0


@dataclass
class Group:
    """Attempts that are made together.

    Attributes
    ----------
    caged
        Whether the caged pod makes each of them too, and sees the same.
    """

    caged: bool = False
    attempts: dict[str, Attempt] = field(default_factory=dict)

    def add(self, what: str, *expected: str, way: Way, **rest: Any) -> None:
        """Add an attempt; its words are its name."""
        assert what not in self.attempts, what
        self.attempts[what] = Attempt(what, expected, way, **{"caged": expected if self.caged else (), **rest})

    def attempt(self, what: str, *expected: str, **rest: Any) -> Callable[[Way], Way]:
        """Add the decorated function as an attempt."""

        def add(way: Way) -> Way:
            self.add(what, *expected, way=way, **rest)
            return way

        return add

    def make(self, scene: Scene) -> dict[str, str]:
        """Make the attempts that the scene asks for, many at once, and return what was seen of each."""
        chosen = [self.attempts[what] for what in scene["attempts"]]
        seen: dict[str, str] = {}
        for first in range(0, len(chosen), AT_ONCE):
            trials = [Trial(attempt, scene) for attempt in chosen[first : first + AT_ONCE]]
            seen |= {trial.what: trial.outcome() for trial in trials}
        return seen


class Trial:
    """An attempt that is being made by a child process."""

    def __init__(self, attempt: Attempt, scene: Scene) -> None:
        self.what = attempt.what
        self._end = time.monotonic() + attempt.seconds * PATIENCE
        self._output, output = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.setpgid(0, 0)
            os.write(output, describe(attempt, scene).encode()[:4000])
            os._exit(0)
        with contextlib.suppress(OSError):
            os.setpgid(self._child, self._child)
        os.close(output)

    def outcome(self) -> str:
        """Wait for the child, no longer than its time, and tell what it saw."""
        words = b""
        if select.select([self._output], [], [], max(0.0, self._end - time.monotonic()))[0]:
            words = os.read(self._output, 4000)
        else:
            words = NO_ANSWER.encode()
            os.kill(self._child, signal.SIGKILL)
        os.close(self._output)
        _, status = os.waitpid(self._child, 0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child, signal.SIGKILL)
        return words.decode() or f"killed by {signal.Signals(os.WTERMSIG(status)).name}"


def describe(attempt: Attempt, scene: Scene) -> str:
    """Make an attempt, and say in a word or two what became of it."""
    try:
        return f"{THROUGH}: {attempt.way({**scene, 'token': token(scene, attempt.what)})}"
    except ClosedError as words:
        return str(words)
    except TimeoutError:
        return NO_ANSWER
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    except Exception as error:
        return f"broken: {error!r} at {traceback.extract_tb(error.__traceback__)[-1].lineno}"


def token(scene: Scene, what: str) -> str:
    """Return what every packet of an attempt carries, so that it is known wherever it turns up."""
    return f"sk-escape/{scene['actor']}/{what};"


def numbers(folder: str) -> Iterator[int]:
    """Give the numeric names in a folder, as those of processes in /proc."""
    yield from (int(name) for name in os.listdir(folder) if name.isdigit())
