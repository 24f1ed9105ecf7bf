"""The page of limits looks its figures up, and fails where one is gone."""

import re
from pathlib import Path

import pytest

from reference.figures import Bound, Figures
from sandkeeper.api import crd

FIGURES = Figures(Path(__file__).parents[3])


def test_figures_come_from_values_their_schema_and_the_kinds() -> None:
    assert FIGURES.value("guest.packLimit") == "4Gi"
    assert FIGURES.allowed("gateway.ports") == "at most 90 entries"
    assert FIGURES.allowed("idle.threshold") == "above 0 to 1"
    assert FIGURES.field(crd.SANDBOX, "spec.secrets[].name")["maxLength"] == 253
    assert Bound("spec.egress.domains", "128 entries") in FIGURES.bounds(crd.SANDBOX, "spec.podTemplate.spec.")


def test_what_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        FIGURES.value("guest.packLimits")
    with pytest.raises(KeyError):
        FIGURES.field(crd.SANDBOX, "spec.gone")


def test_the_template_writes_no_figure_of_its_own_into_a_table() -> None:
    template = Path(__file__).parents[3] / "hack" / "reference" / "templates" / "limits.md.j2"
    rows = [line for line in template.read_text().splitlines() if line.startswith("| ")]
    written = {word for row in rows for word in re.findall(r"\b\d+\b", re.sub(r"\{[{%].*?[%}]\}", "", row))}

    # Ports of the web, from which all others are told apart, and that a schedule keeps one at least.
    assert written == {"80", "443", "1"}
