"""Limits and requests of a sandbox's container."""

from typing import Final

from pydantic import ConfigDict, Field

from .model import WHOLE, Model, Quantity, checks, rule

NATIVE: Final = ("cpu", "memory", "ephemeral-storage")
"""Resources that every node has. All others are extended ones: whole devices, never overcommitted."""

_NATIVE: Final = f"[{', '.join(repr(name) for name in NATIVE)}]"
_EXTENDED: Final = "^([-a-z0-9]+[.])+[-a-z0-9]+/[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?$"
_KNOWN: Final = (
    f"(name in {_NATIVE} || name.matches('{_EXTENDED}') "
    "&& !name.contains('kubernetes.io/') && !name.startsWith('requests.'))"
)
_FRACTIONAL: Final = f"(name != 'cpu' && !{WHOLE.format(value='self[name]')})"
_NAMES: Final = "cpu, memory, ephemeral-storage, or an extended resource such as nvidia.com/gpu"

_PER_RESOURCE: Final = (
    rule(
        f"self.all(name, {_KNOWN})",
        f"must be of {_NAMES}",
        messageExpression=f"'\"' + self.filter(name, !{_KNOWN})[0] + '\" is unknown: a resource must be {_NAMES}'",
    ),
    rule(
        f"!self.exists(name, {_FRACTIONAL})",
        "must be whole numbers, except for cpu",
        messageExpression=f"self.filter(name, {_FRACTIONAL}).map(name, name + ' must be a whole number, such as 4Gi of "
        "memory or 1 GPU, not ' + string(self[name]))[0]",
    ),
)
PER_RESOURCE: Final = checks(*_PER_RESOURCE, maxProperties=8)
"""For a map of quantities by resource."""

_IS_ZERO: Final = "isQuantity(string(self[name])) && quantity(string(self[name])).compareTo(quantity('0')) == 0"
_NOTHING: Final = f"(name in {_NATIVE} && {_IS_ZERO})"
_NONE_ONLY_OF_DEVICES: Final = "since every sandbox has some; zero is for extended resources such as nvidia.com/gpu"
BOUND_PER_RESOURCE: Final = checks(
    *_PER_RESOURCE,
    rule(
        f"!self.exists(name, {_NOTHING})",
        f"must not be zero of cpu, memory and ephemeral-storage, {_NONE_ONLY_OF_DEVICES}",
        messageExpression=f"self.filter(name, {_NOTHING})[0] + ' can\\'t be zero, {_NONE_ONLY_OF_DEVICES}'",
    ),
    maxProperties=8,
)
"""For a map of the most that there may be of each resource."""

_BOTH: Final = "has(self.requests) && has(self.limits)"
_COMPARABLE: Final = (
    "name in self.limits && isQuantity(string(self.requests[name])) && isQuantity(string(self.limits[name]))"
)
_COMPARED: Final = "quantity(string(self.requests[name])).compareTo(quantity(string(self.limits[name])))"
_WITHIN_LIMITS: Final = rule(
    f"!({_BOTH}) || !self.requests.exists(name, {_COMPARABLE} && {_COMPARED} > 0)",
    "a request must be at most the limit of the same resource",
    messageExpression=f"self.requests.filter(name, {_COMPARABLE} && {_COMPARED} > 0).map(name, 'the request of ' + "
    "name + ' must be at most its limit, but ' + string(self.requests[name]) + ' is above ' "
    "+ string(self.limits[name]))[0]",
)
_DEVICES_EQUAL: Final = rule(
    f"!({_BOTH}) || !self.requests.exists(name, !(name in {_NATIVE}) && {_COMPARABLE} && {_COMPARED} < 0)",
    "the request of an extended resource must equal its limit",
)


class Resources(Model):
    """Limits and requests, as in a core/v1 container."""

    model_config = ConfigDict(json_schema_extra=checks(_WITHIN_LIMITS, _DEVICES_EQUAL))

    limits: dict[str, Quantity] | None = Field(
        default=None,
        description="Most that the sandbox may use, per resource: cpu, memory, ephemeral-storage, or an extended one "
        "such as nvidia.com/gpu. A resource that is left out keeps its default: cpu 2, memory 4Gi, "
        "ephemeral-storage 10Gi.",
        json_schema_extra=PER_RESOURCE,
    )
    requests: dict[str, Quantity] | None = Field(
        default=None,
        description="What a node has to have free for the sandbox, per resource. A request above a default limit "
        "raises that limit. Default: a quarter of the limit, or all of it for an extended resource.",
        json_schema_extra=PER_RESOURCE,
    )


class EffectiveResources(Model):
    """Limits and requests of every resource, as canonical quantities."""

    limits: dict[str, str] = Field(description="Most that the sandbox may use, per resource.")
    requests: dict[str, str] = Field(description="What is set aside for it on its node, per resource.")
