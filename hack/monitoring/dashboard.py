"""The dashboard: its rows, and the variables that its queries are bound to."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable, Row
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, VariableRefresh, VariableSort

from monitoring.copies import COPIES
from monitoring.enforcement import ENFORCEMENT
from monitoring.fleet import FLEET, OVERVIEW
from monitoring.gateway import GATEWAY
from monitoring.panels import SOURCE, AnyPanel
from monitoring.queries import of
from monitoring.reconciling import RECONCILING

ROWS: dict[str, Sequence[AnyPanel]] = {
    "Overview": OVERVIEW,
    "Sandboxes": FLEET,
    "Reconciling": RECONCILING,
    "Enforcement": ENFORCEMENT,
    "Sleep and snapshots": COPIES,
    "Egress gateway": GATEWAY,
}
_TOLD_BY_ALL = "sandkeeper_event_loop_lag_seconds"


def rendered() -> str:
    """Write the dashboard as the JSON that Grafana imports."""
    dashboard = Dashboard("Sandkeeper").uid("sandkeeper").tags(["sandkeeper"]).refresh("30s").time("now-3h", "now")
    dashboard.description("Sandboxes, the operator that keeps them, and the gateway that they go out by.")
    dashboard.timezone("browser").tooltip(DashboardCursorSync.CROSSHAIR).readonly()
    dashboard.with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    dashboard.with_variable(_labels_of("namespace", "Namespace", f"label_values({_TOLD_BY_ALL}, namespace)"))
    dashboard.with_variable(_labels_of("job", "Job", f"label_values({of(_TOLD_BY_ALL)}, job)"))
    number = 1
    for title, panels in ROWS.items():
        dashboard.with_row(Row(title).id(number))
        for place, panel in enumerate(panels, number + 1):
            dashboard.with_panel(panel.id(place))
        number += 1 + len(panels)
    return JSONEncoder(indent=2, sort_keys=True).encode(dashboard.build()) + "\n"


def _labels_of(name: str, label: str, query: str) -> QueryVariable:
    """Make a variable whose values Prometheus tells; all, and series without the label, unless one is chosen."""
    variable = QueryVariable(name).label(label).datasource(SOURCE).query(query)
    variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    return variable.multi(True).include_all(True).all_value(".*")
