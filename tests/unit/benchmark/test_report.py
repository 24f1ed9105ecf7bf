"""The report can be pasted where Markdown is read."""

from collections import Counter
from dataclasses import replace

from benchmark import report
from benchmark.audit import Request
from benchmark.results import Counted, PolicyCost, Results, Row

RAW = Row("burst", "raw pod", 1000, 1000, 3105.4, 4000.0, 4736.74, 168.2, None, None, {"apiserver": 6.04}, None)
OURS = Row("burst", "sandbox", 1000, 999, 6100.0, 9000.0, 9900.0, 91.0, 0.541, 1.96, {"apiserver": 13.0}, 92.4)
POST = Request("client", "create", "sandboxes")
WATCH = Request("operator", "watch", "pods")
RARE = Request("operator", "create", "networkpolicies")
STATUS = Request("operator", "patch", "sandboxes/status")


def counted() -> Counted:
    return Counted(
        300, {("sandbox", "create"): Counter({POST: 300, STATUS: 450, RARE: 1, WATCH: 9})}, Counter({WATCH: 5}), 10.0
    )


def test_rows_show_figures_with_the_digits_that_mean_something() -> None:
    head, rule, raw, ours = report.timings([RAW, OURS]).splitlines()

    assert head.startswith("| scenario | what | n | p50 ms |")
    assert set(rule) <= set("|-: ")
    assert raw == "| burst | raw pod | 1,000 | 3,105.4 | 4,000.0 | 4,736.7 | 168.2 | – | – | 6.0 | – |"
    assert ours == "| burst | sandbox | 999 of 1,000 | 6,100.0 | 9,000.0 | 9,900.0 | 91.0 | 0.54 | 1.96 | 13.0 | 92 |"


def test_every_row_has_as_many_cells_as_the_head() -> None:
    rows = [RAW, replace(OURS, cpu_ms={"operator": 3.1, "apiserver": 13.0}), replace(OURS, p50=None)]

    lines = report.timings(rows).splitlines()

    assert {line.count("|") for line in lines} == {lines[0].count("|")}


def test_requests_are_told_per_object_with_sums_and_without_what_goes_on_anyway() -> None:
    lines = report.requests(counted()).splitlines()

    assert "| client: create sandboxes | 1.00 |" in lines
    assert "| operator: patch sandboxes/status | 1.50 |" in lines
    assert "| operator, all | 1.50 |" in lines
    assert "| **all clients** | 2.50 |" in lines
    assert not [line for line in lines if "watch" in line or "networkpolicies" in line]


def test_the_cost_of_policies_has_a_table_of_its_own() -> None:
    cost = PolicyCost("burst", 1000, guarded=90.04, unguarded=92.0, rate_ratio=0.9787, cpu_ratio=1.021)

    assert report.policies([cost]).splitlines()[-1] == "| burst | 1,000 | 90.0 | 92.0 | 0.979 | 1.021 |"
    assert "with policies" not in report.markdown(Results(environment={}))


def test_the_idle_table_has_what_goes_on_anyway() -> None:
    results = Results(environment={}, idle={"operator": 0.009}, counted=counted())

    assert "| CPU ms: operator | 9.0 |" in report.idle(results)
    assert "| operator: watch pods | 0.50 |" in report.idle(results)


def test_the_report_says_where_it_was_made_and_what_did_not_converge() -> None:
    results = Results(environment={"date": "2026-11-22", "machine": "2 cores"}, foreign_share=0.031)
    results.unconverged.append("burst-1000, sandbox: 999 of 1000 Running")

    text = report.markdown(results)

    assert text.startswith("**date 2026-11-22; machine 2 cores**")
    assert "used 3% of the machine" in text
    assert "**Not converged**: burst-1000, sandbox: 999 of 1000 Running." in text
    assert report.document(results)["converged"] is False
