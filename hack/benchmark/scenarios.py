"""What is measured: each scenario is a number of objects, where they go, and how fast they are asked for."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from sandkeeper.runtime.resource import Key

Phase = Literal["create", "delete"]
SPREAD = 20
"""Namespaces of the scenarios that go across several."""


@dataclass(frozen=True)
class Scenario:
    """One row of the table, for raw pods and for sandboxes alike.

    Parameters
    ----------
    name
        How it is chosen on the command line.
    title
        How the table calls it; the number of objects has a column of its own.
    count
        Objects per round.
    namespaces
        Over how many namespaces they are spread.
    per_second
        Rate at which they are asked for; as fast as the client's connections carry them where it is None.
    one_at_a_time
        Whether each is asked for only when the one before it is Running.
    phase
        Which half of a round the row shows.
    prefix
        Of the namespaces' names.
    """

    name: str
    title: str
    count: int
    namespaces: int = 1
    per_second: float | None = None
    one_at_a_time: bool = False
    phase: Phase = "create"
    prefix: str = "benchmark"

    def keys(self, round_number: int, series: str = "r") -> list[Key]:
        """Name the objects of a round; no name ever comes twice, so that nothing is found from before."""
        stem = f"b{self.name.replace('-', '')}{series}{round_number}"
        return [Key(namespace(index % self.namespaces, self.prefix), f"{stem}n{index}") for index in range(self.count)]

    @property
    def time_limit(self) -> float:
        """Seconds after which a phase of this scenario is given up."""
        paced = self.count / self.per_second if self.per_second else 0.0
        return 60.0 + paced + 0.2 * self.count


def namespace(index: int, prefix: str = "benchmark") -> str:
    """Name of the n-th namespace that objects are put into."""
    return f"{prefix}-{index:02d}"


SCENARIOS = (
    Scenario("one-at-a-time", "one at a time", 50, one_at_a_time=True),
    Scenario("burst-1", "burst", 1),
    Scenario("burst-100", "burst", 100),
    Scenario("burst-300", "burst", 300),
    Scenario("burst-1000", "burst", 1000),
    Scenario("spread-100", f"burst, {SPREAD} namespaces", 100, namespaces=SPREAD),
    Scenario("spread-300", f"burst, {SPREAD} namespaces", 300, namespaces=SPREAD),
    Scenario("spread-1000", f"burst, {SPREAD} namespaces", 1000, namespaces=SPREAD),
    Scenario("steady", "20 a second", 400, per_second=20.0),
    Scenario("delete-1000", "delete", 1000, phase="delete"),
)
NAMES = tuple(scenario.name for scenario in SCENARIOS)
QUICK = ("one-at-a-time", "burst-1", "burst-100", "burst-300")
WARM_UP = Scenario("warm-up", "warm-up", 100)
COUNTED = Scenario("counted", "burst, counted", 300)
PROFILED = Scenario("profiled", "burst, profiled", 1000)


def chosen(names: Iterable[str], *, quick: bool) -> list[Scenario]:
    """Return the scenarios of the given names, by default all of them, or a quick run's few.

    Raises
    ------
    KeyError
        If there is none of a name.
    """
    by_name = {scenario.name: scenario for scenario in SCENARIOS}
    wanted = list(names) or list(QUICK if quick else NAMES)
    return [shortened(by_name[name]) if quick else by_name[name] for name in wanted]


def shortened(scenario: Scenario) -> Scenario:
    """Return a scenario with a quarter of its objects where its pace makes it long."""
    if scenario.one_at_a_time or scenario.per_second:
        return replace(scenario, count=scenario.count // 4)
    return scenario
