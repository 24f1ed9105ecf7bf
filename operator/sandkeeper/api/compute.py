"""Limits and requests, and the arithmetic of quantities that they need."""

from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Final

from kubernetes.utils.quantity import parse_quantity
from pydantic import Field

from .model import JsonSchema, Model, Quantity, checks, rule

NATIVE: Final = ("cpu", "memory", "ephemeral-storage")
"""Resources that every node has. All others are extended ones: whole devices, never overcommitted."""


def is_extended(resource: str) -> bool:
    """Tell whether a resource is counted in devices, such as ``nvidia.com/gpu``."""
    return resource not in NATIVE


@lru_cache(maxsize=1024)
def parsed(quantity: str) -> Decimal:
    """Parse a quantity as the apiserver does.

    Raises
    ------
    ValueError
        If it is not a quantity; the schema lets none of these in.
    """
    number: Decimal = parse_quantity(quantity)  # type: ignore[no-untyped-call]
    return number


def canonical(quantity: str) -> str:
    """Write a quantity as the apiserver stores it, so that texts can be compared instead of numbers.

    See ``Quantity.CanonicalizeBytes`` in ``k8s.io/apimachinery``: the largest suffix that leaves a whole number; a
    binary suffix stays binary unless the number is below 1024 or fractional.
    """
    return _written(parsed(quantity), binary=quantity.endswith("i"))


@lru_cache(maxsize=1024)
def quarter(resource: str, limit: str) -> str:
    """Compute the request that goes with a limit for which none was given.

    A quarter, rounded up to what the kernel can count (a milli-CPU, a byte); all of it for devices.
    """
    if is_extended(resource):
        return canonical(limit)
    unit = Decimal("0.001") if resource == "cpu" else Decimal(1)
    value = (parsed(limit) / 4 / unit).to_integral_value(ROUND_CEILING) * unit
    return _written(value, binary=resource != "cpu")


def _written(value: Decimal, *, binary: bool) -> str:
    if binary and value >= 1024 and value == value.to_integral_value():
        return _largest(int(value), 1024, ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))
    nano = int((value * 10**9).to_integral_value(ROUND_CEILING))
    return _largest(nano, 1000, ("n", "u", "m", "", "k", "M", "G", "T", "P", "E"))


def _largest(number: int, base: int, suffixes: tuple[str, ...]) -> str:
    if number == 0:
        return "0"
    step = 0
    while number % base == 0 and step < len(suffixes) - 1:
        number //= base
        step += 1
    return f"{number}{suffixes[step]}"


POSITIVE: Final = rule(
    "isQuantity(string(self)) && quantity(string(self)).sign() > 0",
    "must be a quantity above zero, such as 2, 500m or 4Gi",
)

_NAMES: Final = rule(
    "self.all(name, name in ['cpu', 'memory', 'ephemeral-storage'] || "
    "name.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?[.])+[a-z0-9]([-a-z0-9]*[a-z0-9])?/[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?$')"
    " && !name.contains('kubernetes.io/'))",
    "every resource must be cpu, memory, ephemeral-storage or an extended resource such as nvidia.com/gpu",
)
_WHOLE: Final = rule(
    "self.all(name, name in ['cpu', 'memory', 'ephemeral-storage'] || !isQuantity(string(self[name])) "
    "|| quantity(string(self[name])).isInteger())",
    "an extended resource must be a whole number",
)


def _quantities() -> JsonSchema:
    return checks(_NAMES, _WHOLE, maxProperties=8)


class Resources(Model):
    """Limits and requests, as in a core/v1 container."""

    limits: dict[str, Quantity] | None = Field(
        default=None,
        description="Most that the sandbox may use, per resource: cpu, memory, ephemeral-storage, or an extended one "
        "such as nvidia.com/gpu. Merged by resource. Default: cpu 2, memory 4Gi, ephemeral-storage 10Gi.",
        json_schema_extra=_quantities(),
    )
    requests: dict[str, Quantity] | None = Field(
        default=None,
        description="What a node has to have free for the sandbox, per resource. Default: a quarter of the limit; all "
        "of it for an extended resource.",
        json_schema_extra=_quantities(),
    )
