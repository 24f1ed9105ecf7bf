"""Learns how full workspaces' volumes are, from the kubelets that have them mounted.

Their page with these figures is long, so it is read much more rarely than the one with CPU times. A storage driver that
measures nothing leaves its volumes unknown.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from sandkeeper.api.names import CHILD_PREFIX
from sandkeeper.plan.volume_usage import VolumeUsage
from sandkeeper.runtime.kubelet import KubeletError
from sandkeeper.runtime.resource import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from prometheus_client.samples import Sample

    from sandkeeper.runtime.kubelet import Kubelets

_PAGE: Final = "/metrics"
_CAPACITY: Final = "kubelet_volume_stats_capacity_bytes"
_AVAILABLE: Final = "kubelet_volume_stats_available_bytes"
_OURS: Final = f'persistentvolumeclaim="{CHILD_PREFIX}'
PERIOD_SECONDS: Final = 300.0
_LARGEST: Final = float(1 << 62)


class VolumeUsages:
    """What is known of the volumes of running sandboxes.

    Parameters
    ----------
    wake
        Called with the key of a claim whose volume became full, or is full no more.
    """

    def __init__(self, wake: Callable[[Key], None]) -> None:
        self._wake = wake
        self._known: dict[Key, VolumeUsage] = {}
        self._asked: dict[str, float] = {}

    def of(self, claim: Key) -> VolumeUsage | None:
        """What was last measured; None where nothing was."""
        return self._known.get(claim)

    def retain(self, claims: Collection[Key], nodes: Collection[str]) -> None:
        """Forget all others."""
        self._known = {claim: usage for claim, usage in self._known.items() if claim in claims}
        self._asked = {node: when for node, when in self._asked.items() if node in nodes}

    async def ask(self, kubelets: Kubelets, node: str, host: str, port: int, claims: Collection[Key]) -> None:
        """Ask a node about its claims, unless it was asked lately."""
        now = time.monotonic()
        if now - self._asked.get(node, -PERIOD_SECONDS) < PERIOD_SECONDS:
            return
        self._asked[node] = now
        try:
            samples = await kubelets.samples(host, port, _PAGE, (_CAPACITY, _AVAILABLE), _OURS)
        except KubeletError:
            # Its other page is read every minute, and says so where something is wrong.
            return
        for claim, usage in _usages(samples).items():
            if claim in claims:
                before = self._known.get(claim)
                self._known[claim] = usage
                if usage.full != (before is not None and before.full):
                    self._wake(claim)


def _usages(samples: Iterable[Sample]) -> dict[Key, VolumeUsage]:
    """Put the two figures of each volume together."""
    found: defaultdict[Key, dict[str, int]] = defaultdict(dict)
    for each in samples:
        if 0 <= each.value < _LARGEST:
            claim = Key(each.labels.get("namespace", ""), each.labels.get("persistentvolumeclaim", ""))
            found[claim][each.name] = int(each.value)
    return {
        claim: VolumeUsage(figures[_CAPACITY], figures[_AVAILABLE])
        for claim, figures in found.items()
        if figures.keys() >= {_CAPACITY, _AVAILABLE}
    }
