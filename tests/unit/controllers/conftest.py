from collections.abc import Iterator

import pytest

from unit.fakes.replica import without_network


@pytest.fixture(scope="module")
def no_network() -> Iterator[None]:
    """Let whole operators that start meanwhile meet nothing but fakes."""
    with without_network():
        yield
