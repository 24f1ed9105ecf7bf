"""What a workspace's claim tells of where it comes from: its source, and the environment that was captured with it.

Both stand on the claim, so that neither a status nor the source itself is needed once it is there. In a namespace that
restores backups its tenants may write such claims: what is read here is a tenant's word, as a spec is.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import orjson
from pydantic import ValidationError

from sandkeeper.api.names import CAPTURED_ANNOTATION, SOURCE_ANNOTATION
from sandkeeper.api.resolve import captured_below, captured_layer, of_one_repository, resolve
from sandkeeper.api.sandbox import SandboxSpec
from sandkeeper.plan.captured_faults import fault_of
from sandkeeper.plan.tenant_text import harmless

if TYPE_CHECKING:
    from sandkeeper.api.source import Source

Json = dict[str, Any]

_LONGEST: Final = 253


class UnreadableError(Exception):
    """What was captured can't be read; the message says why."""


def captured_text(obj: Json | None) -> str:
    """Read what was captured, as it stands on a claim or a VolumeSnapshot; empty for nothing."""
    return _annotation(obj, CAPTURED_ANNOTATION)


def captured_layers(text: str) -> tuple[SandboxSpec, ...]:
    """Parse what was captured into the layer below a sandbox's own spec.

    Returns
    -------
    tuple
        One layer, or none where nothing was captured.

    Raises
    ------
    UnreadableError
        If it is not what a snapshot captures.
    """
    if not text:
        return ()
    layer = _parsed(text)
    if isinstance(layer, str):
        raise UnreadableError(layer)
    return (layer,)


def layers_on(claim: Json | None, own: SandboxSpec, lower: tuple[SandboxSpec, ...] = ()) -> tuple[SandboxSpec, ...]:
    """Layers of a sandbox on a claim, lowest first; of what can't be read there is none.

    Parameters
    ----------
    lower
        What lies below all that is captured.
    """
    return restored_layers(readable_layer(claim), own, lower)


def restored_layers(
    captured: SandboxSpec | None, own: SandboxSpec, lower: tuple[SandboxSpec, ...] = ()
) -> tuple[SandboxSpec, ...]:
    """Layers of a sandbox that is made from something, lowest first, as far as they hold together.

    Parameters
    ----------
    captured
        Layer as it was captured; None for nothing.
    lower
        What lies below it.
    """
    upper = (captured_below(captured, own), own) if captured is not None else (own,)
    return of_one_repository((*lower, *upper)) if lower else upper


def readable_layer(obj: Json | None) -> SandboxSpec | None:
    """Read what was captured with a claim or a VolumeSnapshot; None for nothing, or what can't be read."""
    try:
        return next(iter(captured_layers(captured_text(obj))), None)
    except UnreadableError:
        return None


@lru_cache(maxsize=256)
def _parsed(text: str) -> SandboxSpec | str:
    try:
        # What is a sandbox's own never comes along, whatever a claim says.
        layer = captured_layer(SandboxSpec.model_validate_json(text))
        resolve(layer)
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        return str(error) or type(error).__name__
    return fault_of(layer) or layer


def note_of(claim: Json | None) -> Json:
    """Read what a claim was made from; empty for one that began empty, or whose note can't be read."""
    text = _annotation(claim, SOURCE_ANNOTATION)
    try:
        note = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        return {}
    return note if isinstance(note, dict) else {}


def is_restored(claim: Json | None) -> bool:
    """Whether a claim was made from something, with what is packed on it."""
    return bool(_annotation(claim, SOURCE_ANNOTATION))


def reinstall_mark(claim: Json | None) -> str:
    """Mark without which a pack on a claim is of somebody who is not trusted; empty where it comes along."""
    return str(note_of(claim).get("reinstall", ""))


def new_mark(sandbox_uid: str, claim: str) -> str:
    """Make the mark of a claim that is not there yet: 16 hexadecimal digits."""
    return sha256(f"{sandbox_uid}/{claim}".encode()).hexdigest()[:16]


def in_words(note: Json) -> str:
    """Name a claim's source for people."""
    if "sandbox" in note:
        return f"Sandbox {harmless(str(note['sandbox']), _LONGEST)}"
    if "claim" in note:
        return f"PersistentVolumeClaim {harmless(str(note['claim']), _LONGEST)}"
    return f"SandboxSnapshot {harmless(str(note.get('snapshot', 'unknown')), _LONGEST)}"


def source_key(source: Source) -> tuple[str, str, str]:
    """Kind, name and revision, which make the name of the claim."""
    return (*source.words(), source.revision or "")


def _annotation(obj: Json | None, name: str) -> str:
    return str(((obj or {}).get("metadata", {}).get("annotations") or {}).get(name, ""))
