"""What lies below what was captured and a sandbox's own spec: the defaults of the policy, and the template.

A pod remembers both as it was made from them. So a later change of either waits until it is started anew, an operator
that starts meanwhile knows of it, and a template may go without taking anything from what runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from sandkeeper.api.names import BASE_ANNOTATION
from sandkeeper.api.resolve import environment_part
from sandkeeper.api.sandbox import SandboxSpec, UsedTemplate
from sandkeeper.plan.ownership import Ownership, ownership

if TYPE_CHECKING:
    from sandkeeper.api.sandbox import Sandbox

Json = dict[str, Any]


@dataclass(frozen=True)
class Lower:
    """Layers below a sandbox's own, each as the JSON that a pod remembers; empty for none.

    Attributes
    ----------
    defaults
        What the policy gives to all sandboxes.
    template
        Name, generation and spec of the template.
    """

    defaults: str = ""
    template: str = ""

    @property
    def layers(self) -> tuple[SandboxSpec, ...]:
        """The layers, lowest first."""
        given = (_layer(self.defaults),) if self.defaults else ()
        return (*given, _template(self.template)[1]) if self.template else given

    @property
    def used(self) -> UsedTemplate | None:
        """Which template it is."""
        return _template(self.template)[0] if self.template else None

    def note(self) -> dict[str, str]:
        """Annotation by which a pod remembers them; empty for nothing."""
        parts = {"defaults": self.defaults, "template": self.template}
        text = ",".join(f'"{name}":{part}' for name, part in parts.items() if part)
        return {BASE_ANNOTATION: f"{{{text}}}"} if text else {}


@dataclass(frozen=True)
class Base:
    """What lies below a sandbox's own spec.

    Attributes
    ----------
    used
        What it is now: of a pod that is there what it was made from, unless its template rolls out at once.
    latest
        What a pod gets that is made now.
    absent
        Name of the template if it is not there; empty where it is, or none is asked for.
    """

    used: Lower = Lower()
    latest: Lower = Lower()
    absent: str = ""

    @property
    def missing(self) -> bool:
        """Whether nobody knows what the template gives."""
        return bool(self.absent) and not self.used.template


def base_of(sandbox: Sandbox, pod: Json | None, template: Json | None, defaults: str = "") -> Base:
    """Tell what lies below a sandbox's own spec.

    Parameters
    ----------
    pod
        The one of its name, ours or not; None where there is none.
    template
        The SandboxTemplate that its spec names, as the store keeps it; None where it is not there.
    defaults
        Those of the policy, as JSON; empty for none.
    """
    asked = sandbox.spec.template_ref
    latest = Lower(defaults, template["layer"] if template and asked else "")
    absent = asked.name if asked and not template else ""
    if pod is None or ownership(pod, sandbox) is not Ownership.OURS:
        return Base(latest, latest, absent)
    noted = _noted(pod)
    kept = noted.template if asked and noted.used and noted.used.name == asked.name else ""
    waits = absent or (asked and not asked.at_once)
    return Base(Lower(noted.defaults, kept if kept and waits else latest.template), latest, absent)


def layer_text(template: Json) -> str:
    """Write down what a SandboxTemplate gives, as pods remember it."""
    metadata = template["metadata"]
    known = {"name": metadata["name"], "generation": metadata.get("generation", 0), "spec": template.get("spec", {})}
    return _compact(known)


def _noted(pod: Json) -> Lower:
    """Read what a pod was made from; of what can't be read, as of an older operator's pod, nothing is known."""
    try:
        return _parts(pod["metadata"].get("annotations", {}).get(BASE_ANNOTATION, "{}"))
    except (LookupError, TypeError, ValueError):
        return Lower()


@lru_cache(maxsize=1024)
def _parts(note: str) -> Lower:
    noted = orjson.loads(note)
    found = Lower(*(_compact(noted[name]) if name in noted else "" for name in ("defaults", "template")))
    # What can't be read is found out here, before it is relied on.
    _ = found.layers
    return found


@lru_cache(maxsize=1024)
def _template(text: str) -> tuple[UsedTemplate, SandboxSpec]:
    noted = orjson.loads(text)
    return UsedTemplate.model_validate(noted), environment_part(SandboxSpec.model_validate(noted["spec"]))


@lru_cache(maxsize=1024)
def _layer(text: str) -> SandboxSpec:
    return environment_part(SandboxSpec.model_validate_json(text))


def _compact(known: Json) -> str:
    return orjson.dumps(known, option=orjson.OPT_SORT_KEYS).decode()
