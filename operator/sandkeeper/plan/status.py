"""The status of a sandbox: facts, and conditions that kstatus, Helm and Argo CD understand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandkeeper.api.names import pod_name, service_name
from sandkeeper.plan.egress import setup_record
from sandkeeper.plan.enforcement import egress_condition, fence_check
from sandkeeper.plan.life_facts import life_facts
from sandkeeper.plan.lifecycle import Life, Phase
from sandkeeper.plan.pod import pod_labels
from sandkeeper.plan.pod_state import RESTORING, ROLLING_BACK, WAKING, PodState, condition, written
from sandkeeper.plan.schedule import CONDITION as SNAPSHOTS_UP_TO_DATE
from sandkeeper.plan.volume_usage import full_volume
from sandkeeper.plan.workspace_choice import kept_claims, workspace_name

if TYPE_CHECKING:
    from datetime import datetime

    from sandkeeper.api.environment import Environment
    from sandkeeper.plan.observed import Observed
    from sandkeeper.plan.schedule import Copying

Json = dict[str, Any]


def status_of(
    observed: Observed,
    environment: Environment,
    life: Life,
    state: PodState,
    late: tuple[str, str] | None,
    copying: Copying,
    now: datetime,
) -> Json:
    """Build the complete status.

    Parameters
    ----------
    life
        What the lifecycle asks for.
    state
        What the sandbox as a whole is doing.
    late
        Reason and sentence of what the running pod does not have yet; None where it is up to date.
    copying
        What becomes of the schedule's snapshots.
    now
        For conditions that change.

    Returns
    -------
    dict
        Of the present status only times of unchanged conditions and facts about the first start are kept.
    """
    pod, used = observed.pod if state.running else None, observed.base.used.used
    # One that starts has its pod a moment later; to say so then would be a write of its own.
    has_pod = observed.pod is not None or state.reason in {"Starting", WAKING, ROLLING_BACK, RESTORING}
    status: Json = {
        "observedGeneration": observed.sandbox.metadata.generation,
        "conditions": _conditions(observed, environment, state, late, copying, now),
        "podName": pod_name(observed.sandbox.metadata.name) if has_pod and not state.at_rest else None,
        "serviceName": service_name(observed.sandbox.metadata.name) if environment.ports else None,
        "workspaceClaimName": None if life.phase is Phase.ENDED else _claim_name(observed, environment),
        "previousClaimName": _previous(observed),
        "template": used.to_json() if used else None,
        "effective": None if observed.base.missing else environment.status().to_json(),
        "startupSeconds": observed.status.get("startupSeconds"),
        "fenceCheck": fence_check(observed),
        "snapshots": copying.status,
        "setupEnvironment": setup_record(observed, environment, running=state.running),
        **life_facts(observed, life, state, now),
    }
    if pod:
        status |= _running_facts(observed, pod, now)
    return {name: value for name, value in status.items() if value is not None}


def _claim_name(observed: Observed, environment: Environment) -> str | None:
    """Name of the claim, once there was one: that it is missing later tells that it was lost."""
    if not environment.workspace.persistent:
        return None
    known: str | None = observed.status.get("workspaceClaimName")
    return workspace_name(observed) if observed.claim else known


def _previous(observed: Observed) -> str | None:
    """Name of the claim to which the last rollback can be undone."""
    return next((str(each["metadata"]["name"]) for each in kept_claims(observed)), None) if observed.claims else None


def _running_facts(observed: Observed, pod: Json, now: datetime) -> Json:
    started = observed.first_seen or observed.sandbox.metadata.creation_timestamp or now
    seconds = round(max(0.0, (now - started).total_seconds()), 3)
    return {
        "podIP": pod["status"].get("podIP"),
        "nodeName": pod["spec"].get("nodeName"),
        "imageDigest": image_digest(pod),
        "userNamespace": pod["spec"].get("hostUsers") is False,
        "startupSeconds": observed.status.get("startupSeconds", seconds),
    }


def image_digest(pod: Json) -> str | None:
    """Digest of the running image, from an imageID such as ``docker.io/library/ubuntu@sha256:...``."""
    for container in pod["status"].get("containerStatuses") or ():
        _, at, digest = container.get("imageID", "").rpartition("@")
        if at or digest.startswith("sha256:"):
            return str(digest)
    return None


def _conditions(
    observed: Observed,
    environment: Environment,
    state: PodState,
    late: tuple[str, str] | None,
    copying: Copying,
    now: datetime,
) -> list[Json]:
    running = ("Running", "The pod is ready.") if state.running and state.wrong else (state.reason, state.message)
    labels = (observed.pod or {}).get("metadata", {}).get("labels") or pod_labels(
        observed.sandbox, environment, observed.settings
    )
    wanted = [
        ("Ready", _truth(state.ready), state.reason, state.message),
        ("Running", _truth(state.running), *running),
        ("EgressEnforced", *egress_condition(observed, labels)),
    ]
    if (state.ready and not state.at_rest) or late:
        reason, message = late or ("UpToDate", "The pod has all that spec and settings ask for.")
        wanted.append(("UpToDate", _truth(late is None), reason, message))
    if observed.volume is not None and observed.volume.full:
        wanted.append(("WorkspaceFull", "True", "VolumeFull", full_volume(environment)))
    if copying.condition:
        wanted.append((SNAPSHOTS_UP_TO_DATE, *copying.condition))
    if state.stalled:
        wanted.append(("Stalled", "True", state.reason, state.message))
    elif not state.ready:
        wanted.append(("Reconciling", "True", state.reason, state.message))
    generation = observed.sandbox.metadata.generation
    return [dated_condition(observed.status, generation, now, *each) for each in wanted]


def dated_condition(
    status: Json, generation: int, now: datetime, kind: str, truth: str, reason: str, message: str
) -> Json:
    """Render a condition; its time stays while its truth does."""
    before = condition({"status": status}, kind)
    since = before.get("lastTransitionTime") if before.get("status") == truth else None
    return {
        "type": kind,
        "status": truth,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": since or written(now),
    }


def _truth(value: bool) -> str:
    return "True" if value else "False"
