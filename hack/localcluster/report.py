"""``status``: everything that somebody at the cluster wants to know, as data and as text."""

from dataclasses import asdict

from localcluster.driver import Driver
from localcluster.errors import ClusterError
from localcluster.facts import facts
from localcluster.paths import cache_home

Report = dict[str, object]


def report(driver: Driver) -> Report:
    """Return all that is known; where the cluster does not answer, ``problem`` says why."""
    content: Report = {
        "driver": driver.name,
        "kubeconfig": str(driver.kubeconfig),
        "state": str(driver.state),
        "cache": str(cache_home()),
        "policyEnforcement": driver.policy_enforcement,
        **driver.details(),
    }
    if not driver.kubeconfig.exists():
        return {**content, "problem": "there is no cluster; `hack/cluster up` brings one up"}
    try:
        told = asdict(facts(driver.kubeconfig))
    except ClusterError as failure:
        return {**content, "problem": str(failure)}
    names = {"user_namespaces": "userNamespaces", "runtime_classes": "runtimeClasses"}
    names |= {"storage_classes": "storageClasses"}
    return {**content, **{names.get(key, key): value for key, value in told.items()}}


def report_text(content: Report) -> str:
    """Return a report for a person."""
    lines: list[str] = []
    for key, value in content.items():
        label = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in key)
        lines += _lines(label, value)
    return "\n".join(lines)


def _lines(label: str, value: object) -> list[str]:
    head = f"{label + ':':<20}"
    match value:
        case bool():
            return [head + ("yes" if value else "no")]
        case dict():
            rows = [f"{name}: {what}" for name, what in value.items()]
        case list():
            rows = [str(row) for row in value]
        case _:
            return [head + str(value)]
    if not rows:
        return [head + "none"]
    return [(head if index == 0 else " " * 20) + row for index, row in enumerate(rows)]
