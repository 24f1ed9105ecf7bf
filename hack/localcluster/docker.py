"""Whether this machine has a Docker engine."""

import subprocess


def engine_answers() -> bool:
    """Tell whether a Docker engine answers; the client alone is no engine."""
    try:
        asked = subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0
