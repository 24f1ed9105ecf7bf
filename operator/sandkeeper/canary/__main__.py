"""``python -m sandkeeper.canary listen`` and ``... probe ATTEMPTS``, what the containers of canary pods run.

A module of its own rather than a command beside ``operator``: it starts in 0.1 s, where that one imports for seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from .attempts import LISTENER_PORT, RESULT_FILE, decoded
from .listener import listen
from .probe import probe


def main(arguments: list[str]) -> None:
    """Do as the arguments say.

    Parameters
    ----------
    arguments
        ``listen``, or ``probe`` with the attempts and optionally the file for the result.
    """
    match arguments:
        case ["listen"]:
            asyncio.run(listen(LISTENER_PORT))
        case ["probe", attempts, *rest]:
            reached = asyncio.run(probe(decoded(attempts)))
            Path(*(rest or [RESULT_FILE])).write_text(json.dumps({"reached": reached}))
        case _:
            sys.exit("usage: python -m sandkeeper.canary listen | probe ATTEMPTS [FILE]")


if __name__ == "__main__":
    main(sys.argv[1:])
