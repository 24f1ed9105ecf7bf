"""Which layers a sandbox's environment is resolved from, whoever asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandkeeper.plan.made_from import layers_on
from sandkeeper.plan.new_claim import NewClaim, claim_to_make

if TYPE_CHECKING:
    from sandkeeper.api.sandbox import SandboxSpec
    from sandkeeper.plan.observed import Observed


def layers_of(observed: Observed) -> tuple[SandboxSpec, ...]:
    """Layers of a sandbox, lowest first.

    Above the policy's defaults and the template lies what was captured with its workspace: as the claim says, or as
    long as there is none, what the claim is to be made from. Of what can't be read or had there is no layer; `_decide`
    says so before it matters.
    """
    own, lower = observed.sandbox.spec, observed.base.used.layers
    if observed.claim is not None:
        return layers_on(observed.claim, own, lower)
    made = claim_to_make(observed) if own.source else None
    return made.layers if isinstance(made, NewClaim) else layers_on(None, own, lower)
