"""What the operator knows of the cluster: a store per kind, and the informers that feed them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sandkeeper.api.names import (
    CHILD_PREFIX,
    DIFF_LABEL,
    FENCE_KIND,
    FENCE_NAME,
    FENCE_PLURAL,
    GROUP,
    MANAGED_LABEL,
    MANAGED_VALUE,
    SANDBOX_KIND,
    SANDBOX_PLURAL,
    VERSION,
    pod_name,
    ports_policy_name,
    service_name,
)
from sandkeeper.controllers.copies import SNAPSHOTS, Copies
from sandkeeper.controllers.diffs import Diffs
from sandkeeper.controllers.gateway import GatewayWatch
from sandkeeper.controllers.nodes import Nodes
from sandkeeper.controllers.parsed import ParsedSandboxes
from sandkeeper.controllers.policies import Policies
from sandkeeper.controllers.references import claim_refers, sandbox_of, sandbox_refers
from sandkeeper.controllers.secrets import SecretWatch
from sandkeeper.controllers.templates import Templates
from sandkeeper.plan.claim_state import is_bound, is_going
from sandkeeper.plan.fence import allows, is_fence, is_foreign
from sandkeeper.plan.made_from import note_of
from sandkeeper.plan.secrets import noted_secrets
from sandkeeper.plan.slim import (
    slim_claim,
    slim_fence,
    slim_network_policy,
    slim_pod,
    slim_sandbox,
    slim_service,
    slim_storage_class,
)
from sandkeeper.plan.storage_classes import StorageClasses
from sandkeeper.runtime.informer import Informer
from sandkeeper.runtime.resource import (
    CLAIMS,
    NETWORK_POLICIES,
    NODES,
    PODS,
    RESOURCE_QUOTAS,
    SERVICES,
    STORAGE_CLASSES,
    VOLUME_SNAPSHOTS,
    Json,
    Key,
    Resource,
    key_of,
)
from sandkeeper.runtime.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandkeeper.plan.observed import EgressGateway
    from sandkeeper.runtime.client import ApiClient

SANDBOXES = Resource(GROUP, VERSION, SANDBOX_PLURAL, SANDBOX_KIND)
FENCES = Resource(GROUP, VERSION, FENCE_PLURAL, FENCE_KIND)
_SLIM = {
    SANDBOXES: slim_sandbox,
    FENCES: slim_fence,
    PODS: slim_pod,
    CLAIMS: slim_claim,
    SERVICES: slim_service,
    NETWORK_POLICIES: slim_network_policy,
    STORAGE_CLASSES: slim_storage_class,
}
_CHILDREN = (PODS, CLAIMS, SERVICES, FENCES)
RESOURCES = {resource.kind: resource for resource in (*_SLIM, SNAPSHOTS, VOLUME_SNAPSHOTS, RESOURCE_QUOTAS)}


class Cluster:
    """Stores of all kinds that decisions need.

    Parameters
    ----------
    wake, wake_snapshot, wake_diff, wake_policy
        Called with the key of an object that a change concerns; for a SandboxPolicy with a delay in seconds.
    secrets_watched
        Whether the operator may see that a Secret changed.
    gateway
        The egress gateway; None where there is none.

    Attributes
    ----------
    copies, diffs, secrets, gateway, nodes, templates, rules
        What it knows of snapshots, of diffs, of Secrets, of where the gateway is, of nodes, of templates, and of
        policies with their quotas.
    parsed
        Its sandboxes as models.
    """

    def __init__(
        self,
        client: ApiClient,
        wake: Callable[[Key], None],
        wake_snapshot: Callable[[Key], None],
        wake_diff: Callable[[Key], None] = lambda _: None,
        wake_policy: Callable[[Key, float], None] = lambda _, __: None,
        *,
        secrets_watched: bool = False,
        gateway: EgressGateway | None = None,
    ) -> None:
        self._client = client
        self._wake = wake
        self._wake_snapshot = wake_snapshot
        self._stores = {resource: Store(slim) for resource, slim in _SLIM.items()}
        self._stores[PODS] = Store(slim_pod, refers=noted_secrets)
        self._stores[CLAIMS] = Store(slim_claim, refers=claim_refers)
        self._stores[SANDBOXES] = Store(slim_sandbox, refers=sandbox_refers)
        self.parsed = ParsedSandboxes()
        self.diffs = Diffs(client, self._stores[CLAIMS], wake_diff)
        self.copies = Copies(client, self._stores[SANDBOXES], wake, self._snapshot_concerned)
        self._foreign: defaultdict[str, set[Key]] = defaultdict(set)
        self.secrets = SecretWatch(client, self._stores[PODS], wake, watched=secrets_watched)
        self.gateway = GatewayWatch(client, gateway, self._wake_all)
        self.nodes = Nodes(client, wake, self._node_turned)
        self._stores[NODES] = self.nodes.store
        self.templates = Templates(client, self._stores[SANDBOXES], self._sandbox_concerned)
        self.rules = Policies(client, self._stores[SANDBOXES], wake, wake_policy)
        self._stores[RESOURCE_QUOTAS] = self.rules.quotas
        watches = (self.copies, self.diffs, self.secrets, self.gateway, self.nodes, self.templates, self.rules)
        beside = [informer for watch in watches for informer in watch.informers]
        self.informers = [*self._new_informers(), *beside]

    def _new_informers(self) -> list[Informer]:
        managed = f"{MANAGED_LABEL}={MANAGED_VALUE}"
        informers = [
            Informer(self._client, resource, self._stores[resource], self._child_changed, label_selector=managed)
            for resource in _CHILDREN
        ]
        rest = {
            STORAGE_CLASSES: self._class_changed,
            # All of them, whatever their labels: policies add up, so anybody's may open a sandbox.
            NETWORK_POLICIES: self._policy_changed,
        }
        return informers + [
            Informer(self._client, resource, self._stores[resource], changed) for resource, changed in rest.items()
        ]

    def store(self, resource: Resource) -> Store:
        """Store of a kind."""
        return self._stores[resource] if resource in self._stores else self.copies.store(resource)

    @property
    def sandboxes(self) -> Store:
        """All sandboxes; Kopf delivers them."""
        return self._stores[SANDBOXES]

    def pod(self, sandbox: Key) -> Json | None:
        """Pod that has the name of the sandbox's."""
        return self._stores[PODS].get(Key(sandbox.namespace, pod_name(sandbox.name)))

    def claim(self, key: Key) -> Json | None:
        """PersistentVolumeClaim of a name, whoever it is labelled for."""
        return self._stores[CLAIMS].get(key)

    def claims(self, sandbox: Key) -> tuple[Json, ...]:
        """PersistentVolumeClaims whose label says that they are a sandbox's: a rollback makes another one."""
        store = self._stores[CLAIMS]
        return tuple(filter(None, map(store.get, store.referring(sandbox))))

    @property
    def classes(self) -> StorageClasses:
        """The StorageClasses that there are."""
        store = self._stores[STORAGE_CLASSES]
        return StorageClasses({key.name: found for key in store if (found := store.get(key))})

    def service(self, sandbox: Key) -> Json | None:
        """Service that has the name of the sandbox's."""
        return self._stores[SERVICES].get(Key(sandbox.namespace, service_name(sandbox.name)))

    def ports_policy(self, sandbox: Key) -> Json | None:
        """NetworkPolicy that has the name of the sandbox's own."""
        return self._stores[NETWORK_POLICIES].get(Key(sandbox.namespace, ports_policy_name(sandbox.name)))

    def fence(self, namespace: str) -> Json | None:
        """Fence of a namespace."""
        return self._stores[NETWORK_POLICIES].get(Key(namespace, FENCE_NAME))

    def fence_sign(self, namespace: str) -> Json | None:
        """Sign of the fence of a namespace."""
        return self._stores[FENCES].get(Key(namespace, FENCE_NAME))

    @property
    def fenced(self) -> set[str]:
        """Namespaces that have a fence or its sign."""
        keys = (key for resource in (FENCES, NETWORK_POLICIES) for key in self._stores[resource])
        return {key.namespace for key in keys if key.name == FENCE_NAME}

    def foreign_policies(self, namespace: str) -> tuple[Json, ...]:
        """NetworkPolicies of a namespace that are not ours."""
        return tuple(filter(None, map(self._stores[NETWORK_POLICIES].get, self._foreign.get(namespace, ()))))

    async def list_policies(self, namespace: str) -> None:
        """Read a namespace's NetworkPolicies from the API server, of which the watch may not have told yet."""
        store = self._stores[NETWORK_POLICIES]
        async for page in self._client.list_pages(NETWORK_POLICIES, namespace=namespace):
            for each in page["items"] or ():
                key = key_of(each)
                before = store.get(key)
                if store.upsert(each):
                    self._policy_changed(key, before, store.get(key))

    def lacks(self, child: Json) -> bool:
        """Whether there is no object of a child's kind and name any more."""
        return key_of(child) not in self._stores[RESOURCES[child["kind"]]]

    def _sandbox_concerned(self, sandbox: Key) -> None:
        self._wake(sandbox)
        self.copies.sandbox_changed(sandbox)

    def _snapshot_concerned(self, snapshot: Key) -> None:
        self._wake_snapshot(snapshot)
        self.diffs.source_changed(snapshot.namespace)

    def _child_changed(self, key: Key, before: Json | None, after: Json | None) -> None:
        child = after or before or {}
        diff = child["metadata"].get("labels", {}).get(DIFF_LABEL)
        if diff:
            # No sandbox's, whatever its name.
            self.diffs.child_changed(key.namespace, diff)
            self.claim_changed(key, before, after)
        elif is_fence(child):
            # One that is on its way out would not mend the fence; with none left, the key of the fence removes it.
            for sandbox in self.sandboxes.in_namespace(key.namespace) or (key,):
                self._wake(sandbox)
        else:
            if child["kind"] == CLAIMS.kind:
                self.claim_changed(key, before, after)
            elif child["kind"] == PODS.kind:
                self.copies.sandbox_changed(Key(key.namespace, key.name.removeprefix(CHILD_PREFIX)))
            # By its name, as it is looked up: what is in the way carries no label of ours.
            service = child["kind"] == SERVICES.kind
            self._wake(Key(key.namespace, key.name if service else key.name.removeprefix(CHILD_PREFIX)))

    def claim_changed(self, key: Key, before: Json | None, after: Json | None) -> None:
        """Wake whom it concerns that a claim changed, came or went."""
        claim = after or before or {}
        for name in sandbox_of(claim):
            self._wake(Key(key.namespace, name))
            self.copies.sandbox_changed(Key(key.namespace, name))
        source = note_of(claim).get("snapshot")
        if isinstance(source, str) and _reading(before) != _reading(after):
            self.copies.wake_snapshot(Key(key.namespace, source))

    def _policy_changed(self, key: Key, before: Json | None, after: Json | None) -> None:
        if after and is_foreign(after):
            self._foreign[key.namespace].add(key)
        elif key in self._foreign.get(key.namespace, ()):
            self._foreign[key.namespace].discard(key)
        if any(each and is_foreign(each) and allows(each) for each in (before, after)):
            for sandbox in self.sandboxes.in_namespace(key.namespace):
                self._wake(sandbox)
        if key.name == FENCE_NAME or key.name.startswith(CHILD_PREFIX):
            self._child_changed(key, before, after)

    def _class_changed(self, _: Key, __: Json | None, ___: Json | None) -> None:
        # Seldom enough to ask them all: some wait for a class, others for one whose volumes grow.
        self._wake_all()

    def _wake_all(self) -> None:
        for sandbox in self.sandboxes:
            self._wake(sandbox)

    def _node_turned(self, node: str) -> None:
        for pod in filter(None, map(self._stores[PODS].get, self._stores[PODS])):
            if pod["spec"].get("nodeName") == node:
                self._child_changed(key_of(pod), None, pod)


def _reading(claim: Json | None) -> str:
    """How a claim stands to its source: it reads it, is on its way out before it was made, or needs it no more."""
    if claim is None or is_bound(claim):
        return ""
    return "going" if is_going(claim) else "reads"
