"""Where the story plays, and what every chapter does there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from installation import CHECKOUT

if TYPE_CHECKING:
    from walkthrough.stage import Stage

NAMESPACE = "sandkeeper-demo"
_EXAMPLES = "docs/examples"


def apply(stage: Stage, example: str, *, show: bool = False) -> None:
    """Apply an example of the documentation, and show it first where asked to."""
    if show:
        stage.say((CHECKOUT / _EXAMPLES / example).read_text())
    stage.kubectl("-n", NAMESPACE, "apply", "-f", f"{CHECKOUT}/{_EXAMPLES}/{example}")


def ready(stage: Stage, name: str, condition: str = "Ready", *, kind: str = "sandbox") -> None:
    """Wait for a condition of an object, tell how long that took, and show the object."""
    started = time.monotonic()
    stage.kubectl("-n", NAMESPACE, "wait", f"{kind}/{name}", f"--for=condition={condition}", "--timeout=3m")
    stage.say(f"{condition} after {time.monotonic() - started:.1f} s.")
    stage.kubectl("-n", NAMESPACE, "get", kind, name)


def run(stage: Stage, sandbox: str, script: str) -> None:
    """Run a shell script in a sandbox."""
    stage.kubectl("-n", NAMESPACE, "exec", f"sbx-{sandbox}", "--", "sh", "-c", script)
