"""The arithmetic of quantities, in the texts that the apiserver itself would write."""

from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Final

from kubernetes.utils.quantity import parse_quantity

_MOST: Final = Decimal(2**63 - 1)
"""Kubernetes knows no larger one. Of an exponent of six digits, a number of a million is made: half a minute's work."""


@lru_cache(maxsize=1024)
def parsed(quantity: str) -> Decimal:
    """Parse a quantity as the apiserver does, which takes one that is too large for the largest.

    Raises
    ------
    ValueError
        If it is not a quantity; the schema lets none of these in.
    """
    number: Decimal = parse_quantity(quantity)  # type: ignore[no-untyped-call]
    return max(-_MOST, min(number, _MOST))


@lru_cache(maxsize=1024)
def canonical(quantity: str) -> str:
    """Write a quantity as the apiserver stores it in a pod, so that texts can be compared instead of numbers.

    See ``Quantity.CanonicalizeBytes`` in k8s.io/apimachinery: the largest suffix that leaves a whole number. A binary
    suffix stays binary unless the number is below 1024 or fractional, an exponent stays an exponent. Pods round up to
    thousandths.
    """
    value = parsed(quantity)
    if quantity.endswith("i"):
        return binary(value)
    exponent = any(letter in quantity[:-1] for letter in "eE")
    return _largest(_thousandths(value), 1000, _EXPONENTS if exponent else _DECIMAL)


def decimal(value: Decimal) -> str:
    """Write a number with a decimal suffix, such as ``500m``."""
    return _largest(_thousandths(value), 1000, _DECIMAL)


def binary(value: Decimal) -> str:
    """Write a number with a binary suffix, such as ``4Gi``, where it has one."""
    if value < 1024 or value != value.to_integral_value():
        return decimal(value)
    return _largest(int(value), 1024, _BINARY)


_DECIMAL = ("m", "", "k", "M", "G", "T", "P", "E")
_EXPONENTS = ("e-3", "", "e3", "e6", "e9", "e12", "e15", "e18")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


def _thousandths(value: Decimal) -> int:
    return int((value * 1000).to_integral_value(ROUND_CEILING))


def _largest(number: int, base: int, suffixes: tuple[str, ...]) -> str:
    if number == 0:
        return "0"
    step = 0
    while number % base == 0 and step < len(suffixes) - 1:
        number //= base
        step += 1
    return f"{number}{suffixes[step]}"
