"""How a pass over any kind ends that met something else than it was decided on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.controllers.children import OutdatedError
from sandkeeper.controllers.fence import UnguardedError
from sandkeeper.plan.refusal import namespace_ends
from sandkeeper.runtime.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Awaitable


async def concluded(work: Awaitable[float | None]) -> float | None:
    """Await a pass, and tell when the next one is due.

    Returns
    -------
    float or None
        Seconds: none at all where the stores were behind; None where only news can change something.
    """
    try:
        return await work
    except OutdatedError:
        return 0.0
    except UnguardedError as error:
        return error.seconds
    except ApiError as error:
        if not namespace_ends(error.status, error.message):
            raise
        # The object goes too, and until then asking again would only keep the API server busy.
        return None
