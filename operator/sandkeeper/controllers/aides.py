"""What works beside the controller of sandboxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandkeeper.controllers.fence import FenceKeeper
    from sandkeeper.controllers.packing import Packer
    from sandkeeper.controllers.proof import Proof
    from sandkeeper.controllers.usage import Usages
    from sandkeeper.runtime.clock import Clock


@dataclass(frozen=True)
class Aides:
    """What works beside the controller of sandboxes.

    Attributes
    ----------
    fences, proof
        The fences of namespaces, and whether they hold.
    packer, quiescer
        Pack and quiesce pods in the background.
    usages
        How busy pods are.
    clock
        The cluster's time.
    """

    fences: FenceKeeper
    proof: Proof
    packer: Packer
    quiescer: Packer
    usages: Usages
    clock: Clock
