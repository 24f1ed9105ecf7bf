"""How tests wait: for what has to come true, however long a busy machine takes."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

T = TypeVar("T")
PATIENCE = 60.0


def eventually(read: Callable[[], T | None], what: str | Callable[[], str], seconds: float = PATIENCE) -> T:
    """Read again and again until there is something true, and return it; ``what`` says what was awaited."""
    until = stop_after_delay(seconds)
    patience = Retrying(retry=retry_if_result(lambda got: not got), stop=until, wait=wait_fixed(0.05))
    try:
        found = patience(read)
    except RetryError:
        awaited = what if isinstance(what, str) else what()
        raise AssertionError(f"within {seconds:.0f} s there was no {awaited}") from None
    assert found is not None
    return found
