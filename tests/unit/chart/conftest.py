from pathlib import Path

import pytest

from unit.chart.rendering import Helm


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    return Helm(tmp_path)
