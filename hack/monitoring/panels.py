"""What panels look like: one style for all graphs, one for all single values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    ReduceDataOptions,
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as Timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    DataSourceRef,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardSpecialValueMapOptions,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
Color = Literal["green", "yellow", "orange", "red"]
Words = dict[str, tuple[str, Color]]
"""What is shown in place of values, and its color, by the value; ``NaN`` is one of them."""
Limits = Sequence[tuple[float, Color]]
AnyPanel = Timeseries | Stat
P = TypeVar("P", Timeseries, Stat)


@dataclass(frozen=True)
class Query:
    """A query, and what its series are called: ``{{label}}`` stands for a label's value."""

    expr: str
    legend: str


def graph(
    title: str, description: str, unit: str, *queries: Query, stacked: bool = False, limits: Limits = (), width: int = 8
) -> Timeseries:
    """Draw how values go over time.

    Parameters
    ----------
    unit
        Of `grafana_foundation_sdk.models.units`.
    stacked
        For parts of one whole.
    limits
        From which value on it is which color, in rising order; drawn as lines.
    width
        In columns, of which there are 24.
    """
    panel = _common(Timeseries(), title, description, unit, queries, width).height(8)
    panel.min(0).fill_opacity(30 if stacked else 8).line_width(1).show_points(VisibilityMode.NEVER)
    panel.stacking(StackingConfig().mode(StackingMode.NORMAL if stacked else StackingMode.NONE).group("A"))
    legend = VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.TABLE)
    panel.legend(legend.placement(LegendPlacement.BOTTOM).calcs(["lastNotNull", "max"]).sort_by("Last *"))
    panel.tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    if limits:
        panel.thresholds(_thresholds(limits))
        panel.thresholds_style(GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    return panel


def stat(
    title: str, description: str, unit: str, expr: str, *, limits: Limits = (), words: Words | None = None
) -> Stat:
    """Show the last value of one query.

    Parameters
    ----------
    limits
        From which value on it is which color, in rising order; below the first it is green.
    words
        What is shown in place of values, ``NaN`` among them.
    """
    panel = _common(Stat(), title, description, unit, [Query(expr, title)], 4).height(4)
    panel.thresholds(_thresholds(limits)).color_mode(BigValueColorMode.VALUE).graph_mode(BigValueGraphMode.AREA)
    panel.reduce_options(ReduceDataOptions().calcs(["lastNotNull" if not words else "last"]).values(False))
    return panel.mappings(_mappings(words)) if words else panel


def _common(panel: P, title: str, description: str, unit: str, queries: Sequence[Query], width: int) -> P:
    panel.title(title).description(description).unit(unit).datasource(SOURCE).span(width)
    for number, query in enumerate(queries):
        name = chr(ord("A") + number)
        panel.with_target(Dataquery().expr(query.expr).legend_format(query.legend).ref_id(name).range())
    return panel


def _thresholds(limits: Limits) -> ThresholdsConfig:
    steps = [Threshold(value=None, color="green"), *(Threshold(value=value, color=color) for value, color in limits)]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _mappings(words: Words) -> list[ValueMapping]:
    shown = {value: ValueMappingResult(text=word, color=color) for value, (word, color) in words.items()}
    unknown = DashboardSpecialValueMapOptions(match=SpecialValueMatch.NULL_AND_NAN, result=shown.pop("NaN"))
    return [ValueMap(options=shown), SpecialValueMap(options=unknown)]
