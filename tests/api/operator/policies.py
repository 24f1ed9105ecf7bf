"""A namespace's policy, as the platform team writes and reads it."""

from typing import Any

from api.operator.kubernetes_api import Json
from api.operator.team import Team, condition
from api.operator.waiting import eventually
from sandkeeper.controllers.policies import POLICIES


def rule(team: Team, name: str = "default", **spec: Any) -> None:
    """Write the policy of a namespace, or other rules into it, and wait until the operator has read them."""
    if team.find(POLICIES, name):
        team.api.merge(POLICIES, team.namespace, name, {"spec": spec})
    else:
        team.api.create(POLICIES, team.namespace, {"metadata": {"name": name}, "spec": spec})

    def read() -> bool:
        found = team.get(POLICIES, name)
        return bool(found["status"].get("observedGeneration") == found["metadata"]["generation"])

    eventually(read, "policy that was read")


def ready(team: Team, name: str = "default") -> Json:
    return condition(team.get(POLICIES, name), "Ready")
