"""nftables in small: carries out the text that the daemon writes, and judges connections by what came of it."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from localcluster.native.policy.table import NAME


@dataclass
class Connection:
    """A connection from address to address; the server's are those behind a Service."""

    client: str
    server: str
    protocol: str
    port: int


@dataclass
class Nftables:
    """One table with its sets, maps and chains, as the kernel would have it."""

    collections: dict[str, dict[str, str]] = field(default_factory=dict)
    chains: dict[str, list[str]] = field(default_factory=dict)

    def run(self, text: str) -> None:
        """Carry out commands; what the kernel would refuse fails here."""
        for line in text.splitlines():
            verb, kind, rest = re.fullmatch(rf"(\w+) (\w+) {NAME} ?(.*)", line).groups()  # type: ignore[union-attr]
            getattr(self, f"_{verb}_{'set' if kind == 'map' else kind}")(*rest.split(" ", 1))

    def allows(self, connection: Connection) -> bool:
        """Tell whether a connection between two known pods, or of one with an outsider, passes."""
        if f"{connection.client} . {connection.server}" in self.collections["itself"]:
            return True
        return self._side("egress", connection.client, connection) and self._side(
            "ingress", connection.server, connection
        )

    def _side(self, map_name: str, address: str, connection: Connection) -> bool:
        verdict = self.collections[map_name].get(address)
        if verdict is None:
            # Nobody's address: dropped where it is a pod's, not asked for where it is not.
            return not address.startswith("10.244.")
        if verdict == "return":
            return True
        rules = self.chains[verdict.removeprefix("goto ")]
        verdict = next(rule.split()[-1] for rule in rules if self._fits(rule, connection))
        return verdict == "return"

    def _fits(self, rule: str, connection: Connection) -> bool:
        left = rule.rpartition(" ")[0]
        while left:
            fits, left = self._condition(left, connection)
            if not fits:
                return False
        return True

    def _condition(self, text: str, connection: Connection) -> tuple[bool, str]:
        addresses = {"original": connection.client, "reply": connection.server}
        if found := re.match(r"ct (original|reply) ip saddr (@\w+|\{[^}]*\}) ?", text):
            return self._within(addresses[found[1]], found[2]), text[found.end() :]
        if found := re.match(r"ct reply ip saddr \. ct reply proto-src @(\w+) ?", text):
            return f"{connection.server} . {connection.port}" in self.collections[found[1]], text[found.end() :]
        if found := re.match(r"meta l4proto (\w+) ?", text):
            return found[1] == connection.protocol.lower(), text[found.end() :]
        found = re.match(r"ct reply proto-src (\d+)(?:-(\d+))? ?", text)
        assert found, text
        return int(found[1]) <= connection.port <= int(found[2] or found[1]), text[found.end() :]

    def _within(self, address: str, operand: str) -> bool:
        if operand.startswith("@"):
            return address in self.collections[operand[1:]]
        return any(ip_address(address) in ip_network(one.strip()) for one in operand.strip("{} ").split(","))

    def _add_table(self, rest: str) -> None:
        assert not rest

    def _delete_table(self, rest: str) -> None:
        assert not rest
        self.collections, self.chains = {}, {}

    def _add_set(self, name: str, _type: str) -> None:
        assert name not in self.collections
        self.collections[name] = {}

    def _delete_set(self, name: str) -> None:
        assert not any(f"@{name} " in rule for rules in self.chains.values() for rule in rules)
        del self.collections[name]

    def _add_chain(self, name: str) -> None:
        assert name not in self.chains
        self.chains[name] = []

    def _add_rule(self, chain: str, rule: str) -> None:
        assert all(name in self.collections for name in re.findall(r"@(\w+)", rule))
        self.chains[chain].append(rule)

    def _delete_chain(self, name: str) -> None:
        assert not any(f"goto {name}" == verdict for one in self.collections.values() for verdict in one.values())
        del self.chains[name]

    def _add_element(self, name: str, elements: str) -> None:
        for element in elements.strip("{ }").split(", "):
            key, _, verdict = element.partition(" : ")
            assert key not in self.collections[name]
            assert not verdict.startswith("goto ") or verdict.removeprefix("goto ") in self.chains
            self.collections[name][key] = verdict

    def _delete_element(self, name: str, elements: str) -> None:
        for key in elements.strip("{ }").split(", "):
            del self.collections[name][key]
