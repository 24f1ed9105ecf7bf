"""The nftables table as a value, and the text that turns one state of it into another, all at once or not at all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

NAME = "inet network_policy"
ADDRESSES = "ipv4_addr"
ADDRESS_PAIRS = "ipv4_addr . ipv4_addr"
ADDRESS_PORTS = "ipv4_addr . inet_service"
VERDICTS = "ipv4_addr : verdict"


@dataclass(frozen=True)
class Collection:
    """A set or a verdict map.

    Parameters
    ----------
    type
        What its elements are, as nftables says it.
    elements
        Key and verdict; of a set the verdicts are empty.
    """

    type: str
    elements: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Return what nftables calls it."""
        return "map" if self.type == VERDICTS else "set"


@dataclass(frozen=True)
class Table:
    """Everything that changes.

    Parameters
    ----------
    collections
        Sets and maps by name.
    chains
        Rules of each chain by name; two chains of the same name have the same rules.
    """

    collections: Mapping[str, Collection]
    chains: Mapping[str, tuple[str, ...]]


def replacement(table: Table, fixed: str) -> str:
    """Return the text that puts a table in place of whatever is there.

    Parameters
    ----------
    fixed
        The chains that never change; they use the collections.
    """
    nothing = Table({}, {})
    return f"add table {NAME}\ndelete table {NAME}\nadd table {NAME}\n{difference(nothing, table)}{fixed}"


def difference(old: Table, new: Table) -> str:
    """Return the text that makes one table the other; it is empty where they are equal."""
    lines = [
        *_new_collections(old, new),
        *_new_chains(old, new),
        *_elements(old, new),
        *(f"delete chain {NAME} {name}" for name in sorted(old.chains.keys() - new.chains.keys())),
        *(f"delete {old.collections[name].kind} {NAME} {name}" for name in _gone(old, new)),
    ]
    return "".join(f"{line}\n" for line in lines)


def _gone(old: Table, new: Table) -> list[str]:
    return sorted(old.collections.keys() - new.collections.keys())


def _new_collections(old: Table, new: Table) -> Iterable[str]:
    for name in sorted(new.collections.keys() - old.collections.keys()):
        added = new.collections[name]
        yield f"add {added.kind} {NAME} {name} {{ type {added.type}; }}"


def _new_chains(old: Table, new: Table) -> Iterable[str]:
    for name in sorted(new.chains.keys() - old.chains.keys()):
        yield f"add chain {NAME} {name}"
        yield from (f"add rule {NAME} {name} {rule}" for rule in new.chains[name])


def _elements(old: Table, new: Table) -> Iterable[str]:
    """Take away before adding: an address whose verdict changes is in both."""
    for name, collection in sorted(new.collections.items()):
        before = old.collections[name].elements if name in old.collections else {}
        after = collection.elements
        if before == after:
            continue
        if lost := sorted(key for key, verdict in before.items() if after.get(key) != verdict):
            yield f"delete element {NAME} {name} {{ {', '.join(lost)} }}"
        if won := sorted(key for key, verdict in after.items() if before.get(key) != verdict):
            written = (f"{key} : {after[key]}" if after[key] else key for key in won)
            yield f"add element {NAME} {name} {{ {', '.join(written)} }}"
