"""Where things live: nothing that is built or runs is kept inside the checkout.

What depends on a version alone is in the cache, shared by all checkouts;
what belongs to a running cluster is in the state folder of its checkout.
"""

import hashlib
import os
from pathlib import Path

PACKAGE = Path(__file__).parent
CHECKOUT = PACKAGE.parent.parent
SOURCES = f"{CHECKOUT / 'operator'}:{CHECKOUT / 'hack'}"
"""What stands on Python's path for programs of this package."""


def cache_home() -> Path:
    """Return the folder of what can be made again: binaries, toolchain, images."""
    if chosen := os.environ.get("SANDKEEPER_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sandkeeper"


def path_id(path: Path) -> str:
    """Return eight hexadecimal digits that name a checkout or a state folder by its path."""
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]


def state_home(checkout: Path = CHECKOUT) -> Path:
    """Return the one folder that holds all state of a checkout's cluster."""
    if chosen := os.environ.get("SANDKEEPER_STATE"):
        return Path(chosen)
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "sandkeeper" / path_id(checkout)
