"""How a pod is kept off certain nodes, whatever else its affinity asks for."""

from __future__ import annotations

from typing import Any, Final

Json = dict[str, Any]

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def keeping_off(host_names: tuple[str, ...], affinity: Json) -> Json:
    """Give an affinity that takes none of some nodes.

    Nodes are named by what they must not be, so that one that joins later is taken. Terms of a selector are
    alternatives, so the condition goes into each; an empty one matches no node and stays so.
    """
    off = {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": list(host_names)}
    try:
        node = affinity.get("nodeAffinity") or {}
        required = node.get(_REQUIRED) or {"nodeSelectorTerms": [{"matchExpressions": []}]}
        terms = [
            {**term, "matchExpressions": [*(term.get("matchExpressions") or ()), off]} if term else term
            for term in required["nodeSelectorTerms"]
        ]
    except (AttributeError, KeyError, TypeError):
        # The schema leaves an affinity open, and the API server's own sentence on a malformed one is the best there is.
        return affinity
    return {**affinity, "nodeAffinity": {**node, _REQUIRED: {**required, "nodeSelectorTerms": terms}}}
