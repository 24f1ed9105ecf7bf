"""Paths at which something may be mounted in a sandbox without hiding what its system needs."""

import re
from typing import Final

from .model import JsonSchema, checks, rule

_BELOW: Final = ("/.sandkeeper", "/dev", "/etc", "/proc", "/sys", "/var/run")
_EXACTLY: Final = (
    "/bin",
    "/boot",
    "/lib",
    "/lib64",
    "/sbin",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/sbin",
    "/var",
    "/var/lib",
)
_ABSOLUTE: Final = "(/([^/:.][^/:]*|[.][^/:.][^/:]*|[.]{2}[^/:]+))+"
_LONGEST: Final = 512
SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108
"""Where programs share memory by name (POSIX); every sandbox has it."""


def _mountable(example: str, below: str = "", but: str = "", exactly: str = "") -> JsonSchema:
    """Build the checks of a path.

    Parameters
    ----------
    example
        A path that is allowed.
    below
        A directory that is closed with all below it, beside those that always are.
    but
        The one path that is allowed all the same.
    exactly
        A directory that is closed while all below it is not, beside those that always are.
    """
    closed = sorted(filter(None, (*_BELOW, below)))
    closed_exactly = sorted(filter(None, (*_EXACTLY, exactly)))
    pattern = "|".join(closed).replace(".", "[.]")
    kept = f"!self.matches('^({pattern})(/|$)') && !(self in {closed_exactly})"
    exception = f" (but {but} may be named)" if but else ""
    return checks(
        rule(
            f"self.matches('^{_ABSOLUTE}$')",
            "must be an absolute path below / without '.' and '..' parts, ':' and a doubled or last '/', such as "
            + example,
        ),
        rule(
            f"self == '{but}' || {kept}" if but else kept,
            f"must not hide a directory of the system: {', '.join(closed)} and all below them, "
            f"{', '.join(closed_exactly)}{exception}",
        ),
        maxLength=_LONGEST,
    )


def hides_system(path: str) -> bool:
    """Tell whether something mounted at a path would hide what every sandbox needs; of what no apiserver has judged."""
    absolute = len(path) <= _LONGEST and re.fullmatch(_ABSOLUTE, path) is not None
    closed = path in _EXACTLY or any(f"{path}/".startswith(f"{each}/") for each in _BELOW)
    return path != SHARED_MEMORY and (not absolute or closed)


WORKSPACE_PATH: Final = _mountable("/workspace", "/run")
# Daemons keep their sockets and locks in /run. What is below /run/secrets is not theirs, and /var/run is /run itself.
WRITABLE_PATH: Final = _mountable("/var/cache/agent", "/run/secrets", SHARED_MEMORY)
SECRET_PATH: Final = _mountable("/run/secrets/openai", exactly="/run")
