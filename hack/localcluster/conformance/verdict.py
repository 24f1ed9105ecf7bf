"""What a run of Kubernetes' tests found; a test that was to run and did not is never taken for one that passed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Result = Literal["passed", "failed", "skipped"]
# Ginkgo's words; every other one, as "panicked" or "timedout", is a failure.
HARMLESS: dict[str, Result] = {"passed": "passed", "skipped": "skipped", "pending": "skipped"}
ORDER: tuple[Result, ...] = ("failed", "skipped", "passed")
NANOSECONDS = 1e9


@dataclass(frozen=True)
class LeftOut:
    """Tests that are not run because the machine lacks what they are about.

    Parameters
    ----------
    pattern
        A regular expression for their names.
    reason
        What is lacking.
    """

    pattern: str
    reason: str


@dataclass(frozen=True)
class Verdict:
    """One test's result, with the reason where it did not pass."""

    name: str
    result: Result
    seconds: float
    reason: str = ""


@dataclass(frozen=True)
class Outcome:
    """A whole run.

    Parameters
    ----------
    verdicts
        The result of every test that was asked for.
    troubles
        What makes the run worth nothing, whatever the tests said.
    seconds
        How long it took.
    """

    verdicts: tuple[Verdict, ...]
    troubles: tuple[str, ...]
    seconds: float

    def count(self, result: Result) -> int:
        """Return how many tests ended so."""
        return sum(verdict.result == result for verdict in self.verdicts)

    @property
    def good(self) -> bool:
        """Tell whether something passed, nothing failed and nothing is missing."""
        return bool(self.count("passed")) and not self.count("failed") and not self.troubles


def outcome(report: list[dict[str, Any]], focus: str, left_out: tuple[LeftOut, ...]) -> Outcome:
    """Read Ginkgo's JSON report.

    Parameters
    ----------
    report
        Its content: a list of suites.
    focus
        The regular expression for the names of the tests that were asked for.
    left_out
        Which of them were not to run.
    """
    specs = [spec for suite in report for spec in suite.get("SpecReports") or []]
    verdicts = tuple(verdict for spec in specs for verdict in _verdicts(spec, focus, left_out))
    planned = sum(suite["PreRunStats"]["SpecsThatWillRun"] for suite in report)
    ran = sum(_ran(spec) for spec in specs)
    troubles = [reason for suite in report for reason in suite.get("SpecialSuiteFailureReasons") or []]
    if not planned:
        troubles.append(f"no test is to run whose name matches {focus}")
    if ran != planned:
        troubles.append(f"{planned} tests were to run and {ran} did")
    return Outcome(verdicts, tuple(troubles), sum(suite["RunTime"] for suite in report) / NANOSECONDS)


def _ran(spec: dict[str, Any]) -> bool:
    """Tell whether a test was run, be it that it skipped itself."""
    return spec["LeafNodeType"] == "It" and (spec["State"] not in ("skipped", "pending") or "Failure" in spec)


def _verdicts(spec: dict[str, Any], focus: str, left_out: tuple[LeftOut, ...]) -> Iterator[Verdict]:
    name = " ".join(text for text in (*(spec["ContainerHierarchyTexts"] or ()), spec["LeafNodeText"]) if text)
    result: Result = HARMLESS.get(spec["State"], "failed")
    if spec["LeafNodeType"] != "It":
        # What prepares and ends the suite counts where it went wrong.
        name, wanted = name or spec["LeafNodeType"], result == "failed"
    elif wanted := _ran(spec):
        pass
    elif re.search(focus, name):
        reasons = [tests.reason for tests in left_out if re.search(tests.pattern, name)]
        yield from (Verdict(name, "skipped", 0.0, reason) for reason in reasons[:1])
    if wanted:
        yield Verdict(name, result, spec["RunTime"] / NANOSECONDS, _reason(spec))


def _reason(spec: dict[str, Any]) -> str:
    lines = str(spec.get("Failure", {}).get("Message", "")).strip().splitlines()
    return lines[0] if lines else ""


def outcome_text(found: Outcome) -> str:
    """Return the results for a person: what did not pass first, each with its reason, and the counts last."""
    ordered = sorted(found.verdicts, key=lambda verdict: (ORDER.index(verdict.result), verdict.name))
    lines = [f"{'RESULT':<8} {'SECONDS':>7}  TEST"]
    for verdict in ordered:
        lines.append(f"{verdict.result:<8} {verdict.seconds:>7.1f}  {verdict.name}")
        if verdict.reason:
            lines.append(f"{'':<18}{verdict.reason}")
    lines += ["", *(f"not to be relied on: {trouble}" for trouble in found.troubles)]
    counts = ", ".join(f"{found.count(result)} {result}" for result in ("passed", "failed", "skipped"))
    return "\n".join([*lines, f"{counts} in {found.seconds:.0f} s"])
