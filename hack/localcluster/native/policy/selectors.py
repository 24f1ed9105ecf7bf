"""Label selectors, as parsed values that can be compared, hashed and asked often."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Requirement:
    """One condition on one label.

    Parameters
    ----------
    operator
        ``In``, ``NotIn``, ``Exists`` or ``DoesNotExist``.
    """

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, labels: dict[str, str]) -> bool:
        """Tell whether labels fulfil it. What is absent is also not in any list, as in Kubernetes."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels
        return False


@dataclass(frozen=True)
class Selector:
    """All requirements of a LabelSelector; none of them select everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Labels) -> bool:
        """Tell whether labels fulfil every requirement."""
        return not self.requirements or _matches(self.requirements, labels)


@lru_cache(maxsize=200_000)
def _matches(requirements: tuple[Requirement, ...], labels: Labels) -> bool:
    found = dict(labels)
    return all(requirement.holds(found) for requirement in requirements)


def labels_of(labels: dict[str, str] | None) -> Labels:
    """Return labels in the form that selectors take."""
    return frozenset((labels or {}).items())


def selector_of(content: dict[str, Any]) -> Selector:
    """Parse a LabelSelector."""
    equal = [Requirement(key, "In", frozenset([value])) for key, value in (content.get("matchLabels") or {}).items()]
    others = [
        Requirement(entry["key"], entry["operator"], frozenset(entry.get("values") or ()))
        for entry in content.get("matchExpressions") or ()
    ]
    return Selector(tuple(sorted(equal + others, key=repr)))
