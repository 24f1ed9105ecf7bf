"""A canary is a caller like a sandbox, by the label that nobody but the operator gives, and no Event tells of it."""

from typing import Any

import pytest

from sandkeeper.gateway.view import SELECTOR, entries, slim_pod

ROLE = {"sandkeeper.dev/role": "sandbox"}
OWNER = [{"kind": "Sandbox", "name": "a", "uid": "uid-a"}]


def pod(labels: dict[str, str], **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "p", "namespace": "team", "uid": "uid-p", "resourceVersion": "1", "labels": labels,
            "annotations": {"sandkeeper.dev/egress": '{"domains":["a.example"]}'}, **metadata,
        },
        "status": {"podIP": "10.0.0.7", "phase": "Running"},
    }  # fmt: skip


def test_a_canary_has_its_own_name_and_no_sandboxs_uid() -> None:
    (caller,) = entries(slim_pod(pod({**ROLE, "sandkeeper.dev/canary": "team"})))

    assert (caller.namespace, caller.name, caller.uid, caller.pod_uid) == ("team", "p", "", "uid-p")
    assert SELECTOR == "sandkeeper.dev/role=sandbox"


@pytest.mark.parametrize(
    ("labels", "owners", "known"),
    [
        ({**ROLE, "sandkeeper.dev/managed": "true", "sandkeeper.dev/sandbox": "a"}, OWNER, True),
        ({**ROLE, "sandkeeper.dev/managed": "true"}, [{**OWNER[0], "kind": "SandboxDiff"}], False),
        (ROLE, OWNER, False),
        ({"sandkeeper.dev/canary": "team"}, [], False),
    ],
    ids=["sandbox", "diff", "not the operator's", "the canary's unfenced half"],
)
def test_whoever_is_neither_is_nobody(labels: dict[str, str], owners: list[dict[str, str]], known: bool) -> None:
    assert bool(entries(slim_pod(pod(labels, ownerReferences=owners)))) is known
