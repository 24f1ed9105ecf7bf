"""Short commands: run to their end, with their words in the error when they fail."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from localcluster.errors import ClusterError


def run(
    *command: str | Path,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a command and return what it printed.

    Parameters
    ----------
    command
        The program and its arguments.
    stdin
        Text that it reads.
    environment
        Its whole environment; the caller's where it is None.
    cwd
        Folder that it runs in.

    Raises
    ------
    ClusterError
        If it fails; the message has the command and the end of what it said.
    """
    words = [str(word) for word in command]
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False, env=environment, cwd=cwd)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-800:]
        raise ClusterError(f"`{' '.join(words)}` failed with status {done.returncode}: {said}")
    return done.stdout
