from collections.abc import Callable, Mapping

import pytest
import uvloop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], uvloop.Loop]]:
    """Run on the gateway's own loop: its transports are what the engine is made for."""
    del config, item
    return {"uvloop": uvloop.new_event_loop}
