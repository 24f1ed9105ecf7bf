"""A claim that is made from something: its size, its class, what it tells of itself, and what has to be held for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from sandkeeper.api.names import CAPTURED_ANNOTATION, IN_USE_FINALIZER, SELECTED_NODE_ANNOTATION, SOURCE_ANNOTATION
from sandkeeper.api.quantities import parsed
from sandkeeper.api.resolve import resolve
from sandkeeper.api.sandbox import SandboxSpec
from sandkeeper.api.source import REINSTALL
from sandkeeper.api.workspace import Workspace
from sandkeeper.plan.claim import workspace_claim
from sandkeeper.plan.claim_state import claim_ownership, is_going, is_placed
from sandkeeper.plan.denial import denial
from sandkeeper.plan.made_from import UnreadableError, captured_layers, in_words, is_restored, new_mark, restored_layers
from sandkeeper.plan.origin import Awaited, Origin, origin_of
from sandkeeper.plan.ownership import Ownership
from sandkeeper.plan.pod_state import PodState, condition
from sandkeeper.plan.policy import policy_denial
from sandkeeper.plan.tenant_text import harmless
from sandkeeper.plan.volume import awaited_volume
from sandkeeper.plan.workspace_choice import asked_name, last_good, taken
from sandkeeper.plan.writes import Create, Patch, Write

if TYPE_CHECKING:
    from datetime import datetime

    from sandkeeper.api.environment import Environment
    from sandkeeper.plan.observed import Observed

Json = dict[str, Any]

_LONGEST: Final = 300


def unreadable(where: str, why: str) -> PodState:
    """State of a sandbox below whose spec lies what can't be read."""
    message = (
        f"What was captured with {where} can't be read: {harmless(why, _LONGEST).rstrip('.')}; name another source."
    )
    return PodState("CapturedUnreadable", message, wrong=True, stalled=True)


@dataclass(frozen=True)
class NewClaim:
    """A claim that is to be made.

    Attributes
    ----------
    layers
        Of the environment that goes with it.
    claim
        As it is to be created.
    held
        What keeps its source from going.
    """

    layers: tuple[SandboxSpec, ...]
    claim: Json
    held: tuple[Write, ...]

    @property
    def writes(self) -> tuple[Write, ...]:
        """What keeps its source, and its creation."""
        return (*self.held, Create(self.claim))


def claim_to_make(observed: Observed) -> NewClaim | Awaited | None:
    """Decide on the claim that a source asks for.

    Returns
    -------
    NewClaim or Awaited or None
        None where there is no source.
    """
    origin = origin_of(observed)
    if origin is None or isinstance(origin, Awaited):
        return origin
    try:
        captured = captured_layers(origin.captured)
    except UnreadableError as error:
        return Awaited(unreadable(in_words(origin.note), str(error)))
    layers, text = _large_enough(observed, captured, origin)
    environment = resolve(*layers)
    wrong = (
        _unfit(observed, environment, origin)
        or denial(environment, observed.settings)
        or policy_denial(observed, environment)
    )
    if wrong:
        return Awaited(wrong)
    claim = workspace_claim(observed.sandbox, environment, asked_name(observed.sandbox))
    return NewClaim(layers, _from(observed, claim, origin, text), _hold(origin))


def create_claim(
    observed: Observed, environment: Environment, now: datetime
) -> tuple[PodState | None, tuple[Write, ...]]:
    """Decide on the claim of a pod that is about to be made.

    Returns
    -------
    tuple
        What the pod has to wait for, if anything, and what makes the claim, if it is not there.
    """
    claim = observed.claim
    if not environment.workspace.persistent:
        return None, ()
    if claim is None:
        return _make(observed, environment, now)
    if claim_ownership(claim, observed.sandbox) is Ownership.FORMER:
        return PodState("Starting", "The workspace of a deleted sandbox of this name is being removed."), ()
    if is_going(claim):
        how = "" if observed.sandbox.spec.source else ", empty"
        message = (
            f"PersistentVolumeClaim {claim['metadata']['name']} was deleted; once it is gone, the sandbox starts with "
            f"a new{how} workspace."
        )
        return PodState("WorkspaceDeleting", message, wrong=True), ()
    return (awaited_volume(observed, claim, "", now) if _is_to_come(claim) else None), ()


def _is_to_come(claim: Json) -> bool:
    """Whether a volume is being made before the pod; one that can't be made for that node is left to the scheduler."""
    return claim["status"].get("phase") == "Pending" and is_restored(claim) and is_placed(claim)


def _make(observed: Observed, environment: Environment, now: datetime) -> tuple[PodState | None, tuple[Write, ...]]:
    kept = taken(observed, asked_name(observed.sandbox))
    if kept:
        return kept, ()
    made = claim_to_make(observed)
    if isinstance(made, Awaited):
        return made.at(now)
    if isinstance(made, NewClaim):
        name = made.claim["metadata"]["name"]
        waits = PodState("Starting", f"Waiting for the volume of PersistentVolumeClaim {name}.")
        return (waits if is_placed(made.claim) else None), made.writes
    missing = observed.classes.missing(environment.workspace.storage_class_name)
    if missing:
        return PodState(*missing, wrong=True), ()
    return None, (Create(workspace_claim(observed.sandbox, environment)),)


def remake_claim(observed: Observed, environment: Environment, now: datetime) -> tuple[Write, ...]:
    """Make the claim anew that a pod has lost which no node has taken yet."""
    pod = observed.pod
    if observed.claim is not None or not environment.workspace.persistent:
        return ()
    waits = pod is not None and "deletionTimestamp" not in pod["metadata"] and not pod["spec"].get("nodeName")
    return _make(observed, environment, now)[1] if waits else ()


def on_no_volume() -> PodState:
    """State of a sandbox that is to be made from something, and has no volume to hold it."""
    message = "spec.source: an Ephemeral workspace can't be made from anything; make it Persistent."
    return PodState("WorkspaceNotPersistent", message, wrong=True, stalled=True)


def _large_enough(
    observed: Observed, captured: tuple[SandboxSpec, ...], origin: Origin
) -> tuple[tuple[SandboxSpec, ...], str]:
    """Layers, and the text of the captured one, in which the size that nobody wrote holds what is restored."""
    own, lower = observed.sandbox.spec, observed.base.used.layers
    written = own.workspace is not None and own.workspace.size is not None
    if written or parsed(resolve(*lower, *captured, own).workspace.size) >= parsed(origin.least):
        return restored_layers(next(iter(captured), None), own, lower), origin.captured
    layer = captured[0] if captured else SandboxSpec()
    workspace = (layer.workspace or Workspace()).model_copy(update={"size": origin.least})
    layer = layer.model_copy(update={"workspace": workspace})
    return restored_layers(layer, own, lower), orjson.dumps(layer.to_json()).decode()


def _unfit(observed: Observed, environment: Environment, origin: Origin) -> PodState | None:
    workspace = environment.workspace
    if not workspace.persistent:
        return on_no_volume()
    if parsed(workspace.size) < parsed(origin.least):
        message = (
            f"spec.workspace.size: {workspace.size} is less than the {origin.least} that {in_words(origin.note)} takes."
        )
        return PodState("SizeTooSmall", message, wrong=True, stalled=True)
    return _other_class(observed, workspace.storage_class_name, origin)


def _other_class(observed: Observed, name: str | None, origin: Origin) -> PodState | None:
    if origin.class_name:
        message = (
            f"spec.workspace.storageClassName: {in_words(origin.note)} is of class {origin.class_name}, not {name}."
        )
        differs = name is not None and name != origin.class_name
        return PodState("StorageClassMismatch", message, wrong=True, stalled=True) if differs else None
    missing = observed.classes.missing(name)
    if missing:
        return PodState(*missing, wrong=True)
    driver = observed.classes.driver(name or observed.classes.default)
    if not driver or not origin.driver or driver == origin.driver:
        return None
    called = f"StorageClass {name}" if name else "The cluster's default StorageClass"
    message = (
        f"{called} is of driver {driver}, and {in_words(origin.note)} of {origin.driver}, which alone can restore it; "
        f"write a spec.workspace.storageClassName of that driver."
    )
    return PodState("StorageClassMismatch", message, wrong=True)


def _hold(origin: Origin) -> tuple[Write, ...]:
    """Keep a snapshot from going while it is read."""
    if origin.snapshot is None:
        return ()
    held = list(origin.snapshot["metadata"].get("finalizers") or ())
    if IN_USE_FINALIZER in held:
        return ()
    return (Patch(origin.snapshot, {"metadata": {"finalizers": [*held, IN_USE_FINALIZER]}}),)


def _from(observed: Observed, claim: Json, origin: Origin, captured: str) -> Json:
    note = {**origin.note, **_wishes(observed, claim)}
    annotations = {SOURCE_ANNOTATION: orjson.dumps(note).decode()}
    if captured:
        annotations[CAPTURED_ANNOTATION] = captured
    spec = {**claim["spec"], "dataSource": origin.data_source}
    if origin.class_name:
        spec["storageClassName"] = origin.class_name
    node = _node(observed, origin)
    if node and observed.classes.waits(spec.get("storageClassName") or observed.classes.default):
        annotations[SELECTED_NODE_ANNOTATION] = node
    return {**claim, "metadata": {**claim["metadata"], "annotations": annotations}, "spec": spec}


def _node(observed: Observed, origin: Origin) -> str:
    """Node that the new volume is to be made for, as far as it is known before a scheduler has chosen one.

    That of the pod that runs meanwhile, from which the volume is to be reached. For a first pod the one that alone has
    what it is made from: the scheduler looks once a second whether a volume has come, and knows less of where it can.
    """
    if observed.pod is not None:
        return str(observed.pod["spec"].get("nodeName", ""))
    ready = condition(observed.source.nodes.get(origin.node, {}), "Ready").get("status") == "True"
    return origin.node if ready and observed.claim is None else ""


def _wishes(observed: Observed, claim: Json) -> Json:
    """What a claim is to remember of the source that asked for it: the spec may say something else later."""
    source = observed.sandbox.spec.source
    name, replaces = claim["metadata"]["name"], last_good(observed)
    wishes = {
        "revision": source.revision if source else None,
        "replaces": replaces if replaces != name else None,
        "keepPrevious": (source.keep_previous if source else None) or None,
        "reinstall": new_mark(observed.sandbox.metadata.uid, name) if source and source.packages == REINSTALL else None,
    }
    return {key: value for key, value in wishes.items() if value}
