"""Where a volume is: a node is named only where nothing else can reach it."""

from typing import Any

import pytest

from sandkeeper.plan.topology import only_node

Json = dict[str, Any]

HOST, DRIVER, ZONE = "kubernetes.io/hostname", "topology.disks.example.com/node", "topology.kubernetes.io/zone"
NODES = frozenset({"n1", "n2"})


def within(key: str, *values: str, operator: str = "In") -> Json:
    return {"key": key, "operator": operator, "values": list(values)}


def term(*expressions: Json, **fields: Json) -> Json:
    return {"matchExpressions": list(expressions), **fields}


def reached(*terms: Json) -> str:
    return only_node({"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": list(terms)}}}}, NODES.__contains__)


@pytest.mark.parametrize("key", [HOST, DRIVER])
def test_a_local_volume_is_on_its_node_whatever_its_driver_calls_that(key: str) -> None:
    assert reached(term(within(key, "n1"))) == "n1"
    assert reached(term(within(ZONE, "a"), within(key, "n1"))) == "n1"
    assert reached({"matchFields": [within("metadata.name", "n2")]}) == "n2"


ELSEWHERE: dict[str, tuple[Json, ...]] = {
    "a zone": (term(within(ZONE, "a")),),
    "several zones": (term(within(ZONE, "a", "b")),),
    "several nodes": (term(within(HOST, "n1", "n2")),),
    "one node or another": (term(within(HOST, "n1")), term(within(HOST, "n2"))),
    "a node or a zone": (term(within(HOST, "n1")), term(within(ZONE, "a"))),
    "every node but one": (term(within(HOST, "n1", operator="NotIn")),),
    "nodes with a label": (term({"key": DRIVER, "operator": "Exists"}),),
    "a node that is gone": (term(within(HOST, "n9")),),
    "an empty term": ({},),
    "no term": (),
}


@pytest.mark.parametrize("where", ELSEWHERE)
def test_of_what_several_nodes_may_reach_none_is_named(where: str) -> None:
    assert reached(*ELSEWHERE[where]) == ""


@pytest.mark.parametrize("affinity", [None, {}, {"required": None}])
def test_a_volume_that_says_nothing_of_nodes_is_anywhere(affinity: Json | None) -> None:
    assert only_node({"spec": {"nodeAffinity": affinity}}, NODES.__contains__) == ""
    assert only_node({"spec": {}}, NODES.__contains__) == ""
