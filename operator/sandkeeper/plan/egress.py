"""What a sandbox is granted, as it stands on its pod: what its egress says, and while it installs the setup domains.

Setup domains are opened for a new pod alone, once for each change of what is installed, and never again on the same
pod: whoever works in a sandbox can let its container start anew, but not make the operator forget.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import orjson
from pydantic import ValidationError

from sandkeeper.api.domains import WEB_PORTS, domain, within
from sandkeeper.api.egress import EgressGrant
from sandkeeper.gateway.rules import SLOTS, assigned_slots
from sandkeeper.plan.gateway import EGRESS_UNAVAILABLE, note_of_egress
from sandkeeper.plan.made_from import reinstall_mark
from sandkeeper.plan.pod_state import PodState, is_ready, parse_time
from sandkeeper.plan.policy import permitted
from sandkeeper.plan.tenant_text import harmless
from sandkeeper.plan.workspace_choice import workspace_name

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sandkeeper.api.environment import Environment
    from sandkeeper.plan.observed import Observed, Settings

Json = dict[str, Any]

_LONGEST: Final = 1000


def grant_of(observed: Observed, environment: Environment, now: datetime) -> EgressGrant:
    """What a sandbox's pod is granted, the one that is there or else the one that is to be made.

    A policy that was tightened counts at once, for what runs too.
    """
    setup, until = _setup(observed, environment, now)
    egress = permitted(environment, observed.policy).egress
    return EgressGrant(domains=egress.domains, cidrs=egress.cidrs, setup=setup, setup_until=until)


def as_far_as_reachable(observed: Observed, environment: Environment, state: PodState) -> PodState:
    """Tell of a domain that can't be reached here, which keeps nothing else from the sandbox."""
    missing = "" if state.wrong or state.at_rest else unavailable(environment, observed.settings)
    if not missing:
        return state
    return replace(state, reason=EGRESS_UNAVAILABLE, message=harmless(missing, _LONGEST), wrong=True, stalled=True)


def unavailable(environment: Environment, settings: Settings) -> str:
    """Sentence on a domain that this installation can't let a sandbox reach; empty where it can all."""
    domains, gateway = environment.egress.domains, settings.gateway
    if not domains:
        return ""
    if gateway is None:
        return (
            f"spec.egress.domains: {domains[0]} can't be reached, since this installation has no egress gateway "
            "(gateway.enabled of its chart is false); egress.cidrs can."
        )
    slots = assigned_slots(domains)
    for pattern in domains:
        asked = domain(pattern)
        if asked.port is None or asked.port in WEB_PORTS:
            continue
        if asked.port not in gateway.ports:
            offered = ", ".join(map(str, (80, 443, *gateway.ports)))
            return (
                f"spec.egress.domains: {pattern} can't be reached, since the gateway offers no port {asked.port}; it "
                f"offers {offered} (gateway.ports of its chart)."
            )
        if asked.host not in slots:
            return (
                f"spec.egress.domains: {pattern} can't be reached, since a port other than 80 and 443 can be had of at "
                f"most {SLOTS} hosts, and as many before it have one of its ports."
            )
    return ""


def setup_record(observed: Observed, environment: Environment, *, running: bool) -> str | None:
    """What the status keeps so that setup domains are opened once: a hash of what was installed last.

    Parameters
    ----------
    running
        Whether the sandbox is up, with all that it installs.
    """
    before: str | None = observed.status.get("setupEnvironment")
    gateway = observed.settings.gateway
    opens = gateway is not None and bool(gateway.setup_domains)
    return _installation(observed, environment) if running and opens and environment.installs else before


def _setup(observed: Observed, environment: Environment, now: datetime) -> tuple[tuple[str, ...], datetime | None]:
    """Setup domains that are open, and until when; none and None where they are not."""
    domains, pod = _setup_domains(observed, environment), observed.pod
    if not domains:
        return (), None
    if pod is None:
        until = now.replace(microsecond=0) + _timeout(observed)
        return (domains, until) if _may_open(observed, environment) else ((), None)
    before = _granted(pod)
    if not before.setup or before.setup_until is None or is_ready(pod):
        return (), None
    return domains, max(before.setup_until, _end_of_installation(observed, pod) or before.setup_until)


def _setup_domains(observed: Observed, environment: Environment) -> tuple[str, ...]:
    gateway = observed.settings.gateway
    if gateway is None or not environment.installs:
        return ()
    allowed = observed.policy.allowed_domains if observed.policy else None
    return gateway.setup_domains if allowed is None else within(gateway.setup_domains, allowed)


def _may_open(observed: Observed, environment: Environment) -> bool:
    """Whether a new pod has something to install that was not installed for this workspace yet.

    What keeps no packages installs them for every pod.
    """
    if not environment.workspace.keep_packages:
        return True
    return bool(observed.status.get("setupEnvironment") != _installation(observed, environment))


def _installation(observed: Observed, environment: Environment) -> str:
    """Hash of what is installed, and onto which workspace."""
    packages = environment.packages.model_dump(exclude_defaults=True)
    # A claim that was lost is another one, of the same name.
    claim = observed.claim["metadata"]["uid"] if observed.claim else workspace_name(observed)
    parts = (environment.image, packages, environment.setup, claim, reinstall_mark(observed.claim))
    return sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _end_of_installation(observed: Observed, pod: Json) -> datetime | None:
    """By when what a container installs has to be there; None where that adds nothing.

    A container that starts again gets no more time, unless nobody ever worked in the sandbox.
    """
    container: Json = next(iter(pod["status"].get("containerStatuses") or ()), {})
    started = (container.get("state", {}).get("running") or {}).get("startedAt")
    again = container.get("restartCount", 0) and "startupSeconds" in observed.status
    return parse_time(started) + _timeout(observed) if started and not again else None


def _timeout(observed: Observed) -> timedelta:
    return observed.settings.guest.install_timeout


def _granted(pod: Json) -> EgressGrant:
    try:
        return EgressGrant.model_validate_json(note_of_egress(pod) or "{}")
    except ValidationError:
        return EgressGrant()
