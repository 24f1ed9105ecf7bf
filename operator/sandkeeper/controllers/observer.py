"""Gathers what a decision on a sandbox is made on: from stores and memory alone, so that a pass asks nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sandkeeper.plan.captured import moment_of
from sandkeeper.plan.observed import Observed, SourceFacts
from sandkeeper.plan.policy import policy_in
from sandkeeper.plan.uncopied import uncopied
from sandkeeper.plan.workspace_choice import asked_name, current_claim, pods_claim
from sandkeeper.runtime.resource import Json, Key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sandkeeper.api.source import Source
    from sandkeeper.controllers.aides import Aides
    from sandkeeper.controllers.cluster import Cluster
    from sandkeeper.controllers.failures import Failures
    from sandkeeper.controllers.forks import Forks
    from sandkeeper.controllers.uses import Uses
    from sandkeeper.plan.observed import Settings


class Observer:
    """Observes sandboxes.

    Parameters
    ----------
    failures, uses
        What is remembered of failed pods and of clients.
    """

    def __init__(
        self, cluster: Cluster, settings: Settings, aides: Aides, failures: Failures, uses: Uses, forks: Forks
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._proof, self._usages = aides.proof, aides.usages
        self._packer, self._quiescer = aides.packer, aides.quiescer
        self._failures = failures
        self._uses = uses
        self._forks = forks
        self._first_seen: dict[str, datetime] = {}

    def seen(self, uid: str, now: datetime) -> None:
        """Note the moment when a new sandbox was heard of."""
        self._first_seen[uid] = now

    def forget(self, uid: str) -> None:
        """Drop what is remembered of a sandbox that is gone."""
        self._first_seen.pop(uid, None)
        self._uses.forget(uid)

    def observe(self, key: Key, raw: Json, now: datetime) -> Observed:
        """Observe a sandbox.

        Parameters
        ----------
        raw
            The sandbox as the store keeps it.
        """
        uid, pod = raw["metadata"]["uid"], self._cluster.pod(key)
        sandbox = self._cluster.parsed.of(raw)
        observed = Observed(
            sandbox=sandbox,
            status=raw.get("status", {}),
            settings=self._settings,
            nodes=self._cluster.nodes.support,
            classes=self._cluster.classes,
            pod=pod,
            service=self._cluster.service(key),
            ports_policy=self._cluster.ports_policy(key),
            fence=self._cluster.fence(key.namespace),
            fence_sign=self._cluster.fence_sign(key.namespace),
            node=self._cluster.nodes.of(pod),
            failure=self._failures.get(uid),
            first_seen=self._first_seen.get(uid),
            cluster_verdict=self._proof.cluster,
            namespace_verdict=self._proof.namespace(key.namespace),
            policies=self._cluster.foreign_policies(key.namespace),
            used_at=self._uses.last(sandbox, raw, now),
            secrets=self._cluster.secrets.versions(key.namespace),
            gateway=self._cluster.gateway.addresses,
        )
        observed = self._with_copies(self._with_claims(self._with_rules(observed), key), key, now)
        return self._with_measurements(observed, pod, key) if pod else observed

    def _with_rules(self, observed: Observed) -> Observed:
        policy = self._cluster.rules.of(observed.sandbox.metadata.namespace)
        base = self._cluster.templates.base_of(observed.sandbox, observed.pod, policy)
        return replace(observed, base=base, policy=policy_in(policy["rules"]) if policy else None)

    def _with_claims(self, observed: Observed, key: Key) -> Observed:
        claims = self._cluster.claims(key)
        # By its name too: what is in the way of the workspace may be labelled as somebody else's.
        named = self._cluster.claim(Key(key.namespace, asked_name(observed.sandbox)))
        if named is not None and named not in claims:
            claims = (*claims, named)
        claim = current_claim(observed.sandbox, claims, observed.pod, observed.status, observed.classes)
        observed = replace(observed, claims=claims, claim=claim)
        source = observed.sandbox.spec.source
        if source is None or any(
            each["metadata"]["name"] == asked_name(observed.sandbox) for each in claims if _settled(each)
        ):
            return observed
        return replace(observed, source=self._source(source, key.namespace))

    def _with_copies(self, observed: Observed, key: Key, now: datetime) -> Observed:
        if len(observed.claims) <= 1:
            return observed
        snapshots = self._cluster.copies.of(key)
        return replace(observed, uncopied=uncopied(snapshots, self._volumes(snapshots), now))

    def _source(self, source: Source, namespace: str) -> SourceFacts:
        """What is known of a source, as long as it may be needed."""
        copies = self._cluster.copies
        drivers = {name: each["driver"] for name, each in copies.classes.items()}
        if source.snapshot_ref:
            snapshot = copies.snapshot(Key(namespace, source.snapshot_ref.name))
            volumes = self._volumes([snapshot] if snapshot else [])
            nodes = self._nodes(volumes.values())
            return SourceFacts(snapshot=snapshot, volume_snapshots=volumes, drivers=drivers, nodes=nodes)
        if source.sandbox_ref is None:
            return SourceFacts(drivers=drivers)
        forked = Key(namespace, source.sandbox_ref.name)
        forks = self._forks.of(forked)
        volumes = self._volumes(forks)
        return SourceFacts(
            sandbox=self._cluster.sandboxes.get(forked),
            forks=forks,
            volume_snapshots=volumes,
            heard=tuple(self._heard(forked)),
            drivers=drivers,
            nodes=self._nodes(volumes.values()),
        )

    def _nodes(self, volumes: Iterable[Json]) -> dict[str, Json]:
        """Nodes that alone have what is behind VolumeSnapshots, by name."""
        names = {name for each in volumes if (name := moment_of(each).node)}
        return {name: node for name in names if (node := self._cluster.nodes.named(name))}

    def _volumes(self, snapshots: Iterable[Json]) -> dict[str, Json]:
        names = [(each["metadata"]["namespace"], each["metadata"]["name"]) for each in snapshots]
        found = {name: self._cluster.copies.volume_snapshot(Key(namespace, name)) for namespace, name in names}
        return {name: each for name, each in found.items() if each is not None}

    def _heard(self, forked: Key) -> Iterable[datetime]:
        """When the sandboxes were first heard of that fork one and have no workspace yet."""
        for key in self._cluster.sandboxes.referring(Key(forked.namespace, f"sandboxRef/{forked.name}")):
            waiting = self._cluster.sandboxes.get(key)
            heard = self._first_seen.get(waiting["metadata"]["uid"]) if waiting else None
            if heard and not self._cluster.claims(key):
                yield heard

    def _with_measurements(self, observed: Observed, pod: Json, key: Key) -> Observed:
        uid = pod["metadata"]["uid"]
        return replace(
            observed,
            packing=self._packer.running(uid),
            pack_result=self._packer.result(uid),
            quiesced_at=self._quiescer.worked_at(uid),
            usage=self._usages.of(uid),
            volume=self._usages.volume(Key(key.namespace, pods_claim(pod, key.name))),
        )


def _settled(claim: Json) -> bool:
    """Whether nothing is to be known any more of what a claim was made from."""
    return claim["status"].get("phase") == "Bound" and "deletionTimestamp" not in claim["metadata"]
