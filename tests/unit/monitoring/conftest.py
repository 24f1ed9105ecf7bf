from pathlib import Path

import pytest
import yaml

from unit.chart.rendering import Helm
from unit.monitoring.rules import ON, Alert, alerts_of, rules_of


@pytest.fixture
def alerts(tmp_path: Path) -> list[Alert]:
    """All alerts of the chart."""
    return alerts_of(Helm(tmp_path).rendered(ON))


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The chart's rules, as the file that a Prometheus reads."""
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(rules_of(Helm(tmp_path).rendered(ON))))
    return file
