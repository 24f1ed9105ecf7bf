"""The kind SandboxPolicy: one pass over a key is observe, plan, apply, and one write of the status at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import structlog

from sandkeeper.api.names import POLICY_NAME
from sandkeeper.api.policy import SandboxPolicy
from sandkeeper.controllers.children import IN_THE_WAY_SECONDS, ChildWriter, InTheWayError
from sandkeeper.controllers.passes import concluded
from sandkeeper.controllers.policies import POLICIES
from sandkeeper.controllers.status_write import write_status
from sandkeeper.plan.ownership import is_managed
from sandkeeper.plan.policy_status import plan_policy
from sandkeeper.plan.refusal import refusal_state
from sandkeeper.plan.writes import Create
from sandkeeper.runtime.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.controllers.cluster import Cluster
    from sandkeeper.controllers.policies import Policies
    from sandkeeper.plan.writes import Write
    from sandkeeper.runtime.client import ApiClient
    from sandkeeper.runtime.clock import Clock
    from sandkeeper.runtime.resource import Json, Key


class PolicyController:
    """Brings the quotas of policies about, and tells how much of them is used.

    Parameters
    ----------
    priority_class
        Of sandboxes' pods; empty for none.
    holds
        Whether this replica is to work on a namespace.
    """

    def __init__(
        self,
        client: ApiClient,
        cluster: Cluster,
        priority_class: str,
        holds: Callable[[str], bool],
        clock: Clock,
    ) -> None:
        self._client = client
        self._policies: Policies = cluster.rules
        self._priority_class = priority_class
        self._holds = holds
        self._clock = clock
        self._children = ChildWriter(client, cluster)
        self._log = structlog.get_logger()

    async def reconcile(self, key: Key) -> float | None:
        """Run one pass.

        Returns
        -------
        float or None
            Seconds until time alone may change something.
        """
        raw = self._policies.store.get(key) if self._holds(key.namespace) else None
        if raw is None or "deletionTimestamp" in raw["metadata"]:
            # What it owns goes with it, by garbage collection.
            return None
        return await concluded(self._bring_about(key, raw))

    async def _bring_about(self, key: Key, raw: Json) -> float | None:
        policy = SandboxPolicy.model_validate({"metadata": raw["metadata"], "spec": orjson.loads(raw["rules"])})
        known = (policy, raw["status"], self._owned(raw), self._priority_class, self._clock.now())
        plan = plan_policy(*known)
        # One that is refused keeps no other one from being written.
        refusals = [each for write in plan.writes if (each := await self._refusal(key, write))]
        if refusals:
            plan = plan_policy(*known, refused=refusals[0][0])
        if plan.status:
            answer = await write_status(self._client, POLICIES, self._policies.store, raw["metadata"], plan.status)
            self._policies.store.upsert(answer)
            self._log.info("status", key=str(key), reason=plan.reason, why=plan.message)
        for _, error in refusals:
            # What is bounded less than it should be is to alarm somebody.
            if error:
                raise error
        return IN_THE_WAY_SECONDS if refusals else None

    async def _refusal(self, key: Key, write: Write) -> tuple[str, ApiError | None] | None:
        """Carry out a write; where that can't be done, tell why, and what the server said."""
        child = write.obj if isinstance(write, Create) else write.child
        name = f"ResourceQuota {child['metadata']['name']}"
        try:
            await self._children.apply(write, None)
        except InTheWayError:
            return f"{name} is there and not of the operator's making; delete it.", None
        except ApiError as error:
            state = refusal_state(name, error.status, error.message)
            if state is None:
                raise
            return f"{state.message.rstrip('.')}.", error
        self._log.info("wrote", key=str(key), action=type(write).__name__.lower(), child=name)
        return None

    def _owned(self, raw: Json) -> dict[str, Json]:
        """ResourceQuotas that are a policy's, by name."""
        quotas, metadata = self._policies.quotas, raw["metadata"]
        if metadata["name"] != POLICY_NAME:
            return {}
        found = filter(None, map(quotas.get, quotas.in_namespace(metadata["namespace"])))
        return {each["metadata"]["name"]: each for each in found if is_managed(each)}
