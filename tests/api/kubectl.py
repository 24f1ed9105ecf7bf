"""kubectl as a user runs it: what it prints is what the tests of messages compare."""

import subprocess
from pathlib import Path

from localcluster.tools import tool


class Kubectl:
    """kubectl with one cluster's credentials.

    Parameters
    ----------
    kubeconfig
        Whose credentials it uses.
    cache
        Folder for what it caches of the cluster, so that no test reads what another cluster on the same port served.
    options
        What every command carries, such as ``--namespace=default``.

    Attributes
    ----------
    command
        How every command begins.
    """

    def __init__(self, kubeconfig: Path, cache: Path, *options: str) -> None:
        self.command = [str(tool("kubectl")), f"--kubeconfig={kubeconfig}", f"--cache-dir={cache}", *options]

    def __call__(self, *arguments: str, given: str | None = None) -> str:
        """Run a command that has to succeed, and return what it prints; ``given`` is its standard input."""
        done = self._run(arguments, given)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def refused(self, *arguments: str, given: str | None = None) -> str:
        """Run a command that has to fail, and return what it says."""
        done = self._run(arguments, given)
        assert done.returncode != 0, f"kubectl {' '.join(arguments)} was not refused: {done.stdout}"
        return done.stderr.strip()

    def _run(self, arguments: tuple[str, ...], given: str | None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments],
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
