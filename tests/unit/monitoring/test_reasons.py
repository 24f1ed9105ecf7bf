"""Each reason that Ready may have is either well, or one of an alert."""

import re

from unit.gitops.test_reasons import SANDBOX
from unit.monitoring.rules import Alert, panels

_IN_A_SELECTOR = r'sandkeeper_sandboxes\{(?:[^}]*, )?reason=~"([A-Za-z|]+)"'
WELL = {
    "Running",
    "Sleeping",
    "Expired",
    "Starting",
    "Waking",
    "Installing",
    "Packing",
    "Pending",
    "Restoring",
    "RollingBack",
}


def reasons(query: str) -> set[str]:
    return {reason for listed in re.findall(_IN_A_SELECTOR, query) for reason in listed.split("|")}


def test_the_two_alerts_have_all_reasons_that_are_not_well_and_none_in_common(alerts: list[Alert]) -> None:
    by_name = {alert.name: reasons(alert.query) for alert in alerts}
    blocked, failing = by_name["SandkeeperSandboxesBlocked"], by_name["SandkeeperSandboxesFailing"]

    assert not blocked & failing
    assert blocked | failing | WELL == SANDBOX


def test_the_dashboard_counts_as_trouble_what_is_not_well() -> None:
    (trouble,) = (panel for panel in panels() if panel["title"] == "In trouble")

    assert reasons(trouble["targets"][0]["expr"]) == WELL
