"""Where a volume is: on one node alone, as on a local disk, or where several nodes reach it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]


def only_node(volume: Json, is_node: Callable[[str], bool]) -> str:
    """Find the node that a PersistentVolume is on and can't be reached from another.

    Drivers name topology by labels of their own, so a node is told by its name: of zones and racks none has that.

    Parameters
    ----------
    volume
        As the API server returned it.
    is_node
        Whether there is a node of a name.

    Returns
    -------
    str
        Its name; empty where several nodes may reach the volume.
    """
    affinity = volume["spec"].get("nodeAffinity") or {}
    terms: list[Json] = (affinity.get("required") or {}).get("nodeSelectorTerms") or []
    if len(terms) != 1:
        return ""
    expressions = (*(terms[0].get("matchExpressions") or ()), *(terms[0].get("matchFields") or ()))
    alone = [each["values"][0] for each in expressions if each["operator"] == "In" and len(each["values"]) == 1]
    return next(filter(is_node, alone), "")
