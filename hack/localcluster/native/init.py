"""The node's first process: reaps what has no parent left, and takes everything with it when the supervisor ends.

Run as ``python -m localcluster.native.init PLAN`` in fresh namespaces; it waits for a word on standard input before it
starts anything, so that no node runs that the other side has not written down.
"""

import os
import signal
import sys
from types import FrameType

GO = "go\n"


def main(plan: str) -> None:
    """Start the supervisor and reap until it ends."""
    signal.signal(signal.SIGTERM, _end)
    if sys.stdin.readline() != GO:
        os._exit(1)
    command = [sys.executable, "-m", "localcluster.native.inside", plan]
    supervisor = os.posix_spawn(sys.executable, command, os.environ)
    while True:
        pid, status = os.wait()
        if pid == supervisor:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _end(_signal: int, _frame: FrameType | None) -> None:
    # The kernel kills everything in the namespaces after their first process; the node's state is thrown away anyhow.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
