"""The table that pods, namespaces and policies ask for; a pod's change costs no more than that pod.

An address belongs to the one pod that claims it. Where several do, one that is being deleted gives way, and an address
that is still disputed is nobody's: what nobody owns is dropped.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from localcluster.native.policy.hooks import EGRESS, EMPTY, INGRESS, ITSELF
from localcluster.native.policy.objects import Clause, Group, Pod, Policy
from localcluster.native.policy.rules import CLIENT, SERVER, chain_name, group_set, name_set, rules_of
from localcluster.native.policy.selectors import Labels
from localcluster.native.policy.table import ADDRESS_PORTS, ADDRESSES, Collection, Table

Name = tuple[str, str]
OPEN = "return"


@dataclass(frozen=True)
class Part:
    """What one pod contributes: elements as (collection, key, verdict), and the chains that they lead to."""

    elements: tuple[tuple[str, str, str], ...]
    chains: tuple[tuple[str, tuple[str, ...]], ...]


class Desired:
    """All that is known of the cluster, and the table that follows from it.

    Each ``set_…`` tells whether anything changed that the table depends on.
    """

    def __init__(self) -> None:
        self._pods: dict[Name, Pod] = {}
        self._claims: defaultdict[str, set[Name]] = defaultdict(set)
        self._namespaces: dict[str, Labels] = {}
        self._policies: dict[Name, Policy] = {}
        self._parts: dict[Name, Part] = {}
        self._compiled = Compiled(())
        self._stale = False

    @property
    def policies(self) -> dict[Name, Policy]:
        """Return the policies by namespace and name."""
        return dict(self._policies)

    def set_pod(self, name: Name, pod: Pod | None) -> bool:
        """Learn a pod's state, None where it is gone or has no address of its own."""
        before = self._pods.get(name)
        if before == pod:
            return False
        self._parts.pop(name, None)
        if before is not None:
            del self._pods[name]
            self._claims[before.address].discard(name)
            if not self._claims[before.address]:
                del self._claims[before.address]
        if pod is not None:
            self._pods[name] = pod
            self._claims[pod.address].add(name)
        return True

    def set_namespace(self, name: str, labels: Labels | None) -> bool:
        """Learn a namespace's labels, None where it is gone."""
        if self._namespaces.get(name) == labels:
            return False
        self._namespaces.pop(name, None)
        if labels is not None:
            self._namespaces[name] = labels
        self._forget_parts(name)
        return True

    def set_policy(self, name: Name, policy: Policy | None) -> bool:
        """Learn a policy, None where it is gone."""
        if self._policies.get(name) == policy:
            return False
        self._policies.pop(name, None)
        if policy is not None:
            self._policies[name] = policy
        self._stale = True
        self._forget_parts(name[0])
        return True

    def table(self) -> Table:
        """Return the table for the present state."""
        self._compile()
        elements: dict[str, dict[str, str]] = {name: {} for name in EMPTY.collections}
        elements |= {name: {} for name in self._compiled.collections}
        chains: dict[str, tuple[str, ...]] = {}
        for pod in self._owners():
            part = self._part(pod)
            for collection, key, verdict in part.elements:
                elements[collection][key] = verdict
            chains.update(part.chains)
        types = {**{name: one.type for name, one in EMPTY.collections.items()}, **self._compiled.collections}
        return Table({name: Collection(types[name], elements[name]) for name in types}, chains)

    def _owners(self) -> Iterable[Pod]:
        for claimants in self._claims.values():
            pods = [self._pods[name] for name in claimants]
            staying = [pod for pod in pods if not pod.leaving] or pods
            if len(staying) == 1:
                yield staying[0]

    def _compile(self) -> None:
        if self._stale:
            before, self._compiled = self._compiled, Compiled(self._policies.values())
            self._stale = False
            # Pods of other namespaces than the policy's are concerned only where it names peers or ports in a new way.
            if before.collections != self._compiled.collections:
                self._parts.clear()

    def _forget_parts(self, namespace: str) -> None:
        self._parts = {name: part for name, part in self._parts.items() if name[0] != namespace}

    def _part(self, pod: Pod) -> Part:
        name = (pod.namespace, pod.name)
        if name not in self._parts:
            self._parts[name] = self._compiled.part(pod, self._namespaces.get(pod.namespace))
        return self._parts[name]


class Compiled:
    """What follows from the policies alone.

    Parameters
    ----------
    policies
        All of them.
    """

    def __init__(self, policies: Iterable[Policy]) -> None:
        self._policies: defaultdict[str, list[Policy]] = defaultdict(list)
        self._groups: defaultdict[str | None, dict[Group, str]] = defaultdict(dict)
        self._names: dict[tuple[str, str], str] = {}
        for policy in sorted(policies, key=lambda one: one.name):
            self._policies[policy.namespace].append(policy)
            for clause in (*(policy.ingress or ()), *(policy.egress or ())):
                self._learn(clause)
        self.collections = {
            **{name: ADDRESSES for groups in self._groups.values() for name in groups.values()},
            **dict.fromkeys(self._names.values(), ADDRESS_PORTS),
        }

    def part(self, pod: Pod, namespace: Labels | None) -> Part:
        """Return what a pod contributes, whose namespace has these labels, or is not known yet."""
        selecting = [policy for policy in self._policies.get(pod.namespace, ()) if policy.selects(pod)]
        elements, chains = self._memberships(pod, namespace), []
        if selecting:
            elements.append((ITSELF, f"{pod.address} . {pod.address}", ""))
        for map_name, side, clauses in (
            (EGRESS, SERVER, [policy.egress for policy in selecting if policy.egress is not None]),
            (INGRESS, CLIENT, [policy.ingress for policy in selecting if policy.ingress is not None]),
        ):
            verdict = OPEN
            if clauses:
                lines = _lines(side, [clause for several in clauses for clause in several])
                chains.append((chain_name(lines), lines))
                verdict = f"goto {chain_name(lines)}"
            elements.append((map_name, pod.address, verdict))
        return Part(tuple(elements), tuple(chains))

    def _memberships(self, pod: Pod, namespace: Labels | None) -> list[tuple[str, str, str]]:
        candidates = {**self._groups.get(None, {}), **self._groups.get(pod.namespace, {})}
        groups = [(name, pod.address, "") for group, name in candidates.items() if group.has(pod, namespace)]
        named = [
            (self._names[name, protocol], f"{pod.address} . {number}", "")
            for name, protocol, number in pod.named_ports
            if (name, protocol) in self._names
        ]
        return [*groups, *named]

    def _learn(self, clause: Clause) -> None:
        for group in clause.groups:
            self._groups[group.namespace][group] = group_set(group)
        for port in clause.ports:
            if port.name is not None:
                self._names[port.name, port.protocol] = name_set(port.protocol, port.name)


def _lines(side: str, clauses: list[Clause]) -> tuple[str, ...]:
    lines = dict.fromkeys(rule.line(side) for clause in clauses for rule in rules_of(clause))
    return (*lines, "drop")
