"""How the demo speaks: chapters in plain words, commands as a user would type them, and what they answer."""

from __future__ import annotations

import shlex
import subprocess
import time
from pathlib import Path

from rich.console import Console

from localcluster.errors import ClusterError
from localcluster.tools import tool

_TIMEOUT = 240
"""Seconds for any one command; the longest wait for a pod."""


class Stage:
    """Prints chapters and runs kubectl.

    Attributes
    ----------
    kubeconfig
        Of the cluster that the story plays on; set once it is up.
    """

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._chapter = 0
        self.kubeconfig = Path()

    def chapter(self, title: str, words: str) -> None:
        """Begin a chapter."""
        self._chapter += 1
        self._console.rule(f"[bold]{self._chapter}. {title}", align="left")
        self._console.print(words)

    def say(self, words: str) -> None:
        """Say something between commands."""
        self._console.print(words, markup=False)

    def kubectl(self, *arguments: str, given: str | None = None, show: bool = True) -> str:
        """Run kubectl as a user would, show it, and return what it printed.

        Parameters
        ----------
        given
            Standard input.
        show
            False for what only the demo wants to know.

        Raises
        ------
        ClusterError
            If it fails.
        """
        done = self._run(arguments, given, show=show)
        if done.returncode:
            raise ClusterError(f"kubectl {shlex.join(arguments)}: {done.stderr.strip()}")
        if show:
            self._print(done.stdout)
        return done.stdout

    def refused(self, *arguments: str, given: str) -> None:
        """Run kubectl where it has to be refused, and show the sentence.

        Raises
        ------
        ClusterError
            If it is not refused.
        """
        done = self._run(arguments, given, show=True)
        if not done.returncode:
            raise ClusterError(f"kubectl {shlex.join(arguments)} was to be refused, and was not")
        self._print(done.stderr)

    def wait_until_empty(self, *arguments: str) -> float:
        """Repeat a kubectl command until it prints nothing, and return the seconds that took."""
        started = time.monotonic()
        while left := self.kubectl(*arguments, show=False).strip():
            if time.monotonic() - started > _TIMEOUT:
                raise ClusterError(f"still there after {_TIMEOUT} s: {left}")
            time.sleep(0.3)
        return time.monotonic() - started

    def _run(self, arguments: tuple[str, ...], given: str | None, *, show: bool) -> subprocess.CompletedProcess[str]:
        if show:
            self._console.print(f"  $ kubectl {shlex.join(arguments)}", style="bold cyan", markup=False)
        return subprocess.run(
            [str(tool("kubectl")), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )

    def _print(self, text: str) -> None:
        for line in text.strip().splitlines():
            self._console.print(f"    {line}", style="dim", markup=False)
