"""The page of limits: each bound by its name, so that none is written down twice."""

from pathlib import Path
from types import SimpleNamespace
from typing import Final

from benchmark.copies import FORKS
from benchmark.egress.load import SOURCES
from benchmark.egress.ways import STRANGERS
from benchmark.idling import IDLE
from benchmark.scenarios import SCENARIOS
from benchmark.tenants import measure as tenants
from reference.figures import Figures
from reference.rendering import rendered
from sandkeeper.api import crd, names
from sandkeeper.controllers.turns import PackLimits
from sandkeeper.controllers.volume_usage import PERIOD_SECONDS
from sandkeeper.gateway import denial_events, dialer, dns_server, rules, scans
from sandkeeper.gateway.context import Limits
from sandkeeper.plan import captured, cron, diff, diff_pod, enforcement, pod, schedule, volume_usage

_RANGED: Final = (
    "replicaCount",
    "shards",
    "workers",
    "leaseSeconds",
    "guest.packs",
    "guest.packsPerNode",
    "guest.installTimeoutSeconds",
    "sandboxPriorityClass.value",
    "gateway.replicaCount",
    "gateway.workers",
    "gateway.ports",
    "gateway.setupDomains",
    "canary.intervalSeconds",
    "canary.extraTargets",
    "idle.intervalSeconds",
    "idle.threshold",
)
_BOUNDED: Final = ((crd.SANDBOX, "spec.podTemplate.spec."), (crd.POLICY, "spec.defaults."))
"""Kinds, and what of them is left to their pages."""


def limits_page(root: Path) -> str:
    """Render docs/limits.md."""
    scenarios = {each.name: each for each in SCENARIOS}
    return rendered(
        "limits.md.j2",
        figures=Figures(root),
        crd=crd,
        names=names,
        name_rule=crd.NAMES,
        ranged=_RANGED,
        bounded=_BOUNDED,
        code=_of_the_code(),
        bench=SimpleNamespace(
            burst=scenarios["burst-1000"],
            spread=scenarios["spread-1000"],
            idle=IDLE,
            known=STRANGERS + len(SOURCES),
            forks=FORKS,
            governed=tenants.MANY,
        ),
    )


def _of_the_code() -> SimpleNamespace:
    return SimpleNamespace(
        gateway=Limits(),
        packs=PackLimits(),
        slots=rules.SLOTS,
        questions=dns_server.QUESTIONS_PER_SECOND,
        questions_at_once=dns_server.QUESTIONS_AT_ONCE,
        lookups=dialer.MOST_QUESTIONS,
        audited=scans.MOST_NAMES,
        audited_in=scans.WINDOW_SECONDS,
        events=denial_events.MOST_TARGETS,
        captured=captured.MOST_BYTES,
        full=volume_usage.FULL,
        usage_seconds=PERIOD_SECONDS,
        jitter=cron.LONGEST_JITTER,
        attempts=diff.MOST_ATTEMPTS,
        diff=diff_pod.RESOURCES["limits"],
        stem=schedule.LONGEST_STEM,
        restart=pod.LONGEST_REQUEST,
        check=enforcement.LONGEST_REQUEST,
    )
