"""Each alert leads to its section of the runbook, and each section says the same four things."""

import re
from pathlib import Path

from unit.chart.rendering import Helm
from unit.docs.pages import DOCS
from unit.monitoring.rules import ON, Alert, alerts_of

PAGE = (DOCS / "runbook.md").read_text()
SAID = ["Means", "Users feel", "Look", "Do"]


def sections() -> dict[str, str]:
    """Text of each section by its title."""
    parts = re.split(r"^## (.+)\n", PAGE, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_alert_has_a_section_and_every_section_an_alert_in_the_same_order(alerts: list[Alert]) -> None:
    assert list(sections()) == [alert.name for alert in alerts]


def test_every_section_says_what_it_means_what_users_feel_where_to_look_and_what_to_do() -> None:
    for title, text in sections().items():
        assert re.findall(r"^\*\*(.+?)\.\*\*", text, re.MULTILINE) == SAID, title
        assert "```sh" in text, title


def test_every_alert_links_to_its_section(alerts: list[Alert]) -> None:
    for alert in alerts:
        assert alert.annotations["runbook_url"] == f"https://git.example.com/runbook.md#{alert.name.lower()}"


def test_without_an_address_nothing_is_linked_to(tmp_path: Path) -> None:
    values = {**ON, "metrics": {"prometheusRule": {"enabled": True}}}

    alerts = alerts_of(Helm(tmp_path).rendered(values))

    assert alerts
    assert not [alert.name for alert in alerts if "runbook_url" in alert.annotations]


def test_every_alert_says_how_bad_it_is_and_what_it_is(alerts: list[Alert]) -> None:
    for alert in alerts:
        assert alert.labels["severity"] in {"critical", "warning", "info"}
        assert alert.annotations["summary"].endswith(".")
        assert alert.annotations["description"].endswith(".")


def test_alerts_that_are_named_in_the_runbook_are_there(alerts: list[Alert]) -> None:
    assert set(re.findall(r"\bSandkeeper[A-Z]\w+", PAGE)) == {alert.name for alert in alerts}
