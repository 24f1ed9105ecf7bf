"""The part of the ruleset that never changes: where packets are caught, and who may say that he is whom.

Whatever comes from a pod is dropped unless the maps know its address, so a table whose maps are empty is closed.
"""

from string import Template

from localcluster.native.policy.table import ADDRESS_PAIRS, NAME, VERDICTS, Collection, Table, replacement

EGRESS, INGRESS, ITSELF = "egress", "ingress", "itself"
EMPTY = Table(
    {EGRESS: Collection(VERDICTS), INGRESS: Collection(VERDICTS), ITSELF: Collection(ADDRESS_PAIRS)},
    {},
)
# The priority puts judging after kube-proxy's rewriting (DNAT, at -100 in prerouting), so that a Service is judged by
# the pod behind it. What the node itself sends is not caught, nor what is said in reply to it, so that probes reach
# pods whatever the policies say; it speaks to pods from the gateway's address, which is of their range.
# An ICMP error ("related") counts for the connection that it quotes, and its sender need not be party to that: from a
# closed pod it would reach whomever it can guess a connection of. So none pass, at the price that a closed UDP port is
# silent. Loopback addresses are reachable from outside where a CNI plugin asks for it (portmap does); not from pods.
CHAINS = Template("""\
table $table {
  chain prerouting {
    type filter hook prerouting priority raw; policy accept;
    iifname "lo" accept
    meta nfproto ipv6 drop
    ip daddr 127.0.0.0/8 drop
    iifname "veth*" ip saddr != $pods drop
    fib saddr . iif oif missing drop
  }
  chain forward {
    type filter hook forward priority filter - 5; policy accept;
    ct state { invalid, related, untracked } drop
    ct original ip saddr $pods jump from_pod
    ct reply ip saddr $pods jump to_pod
  }
  chain input {
    type filter hook input priority filter - 5; policy accept;
    iifname "lo" accept
    iifname "veth*" ct state { invalid, related, untracked } drop
    ct direction reply accept
    ct original ip saddr $pods jump from_pod
  }
  chain from_pod {
    ct original ip saddr . ct reply ip saddr @itself return
    ct original ip saddr vmap @egress
    drop
  }
  chain to_pod {
    ct original ip saddr . ct reply ip saddr @itself return
    ct reply ip saddr vmap @ingress
    drop
  }
}
""")


def fixed_chains(pod_cidr: str) -> str:
    """Return the chains that catch packets, for pods with addresses of a range."""
    return CHAINS.substitute(table=NAME, pods=pod_cidr)


def closed(pod_cidr: str) -> str:
    """Return the text of a table that knows no pod yet and so lets none speak or be spoken to but by the node."""
    return replacement(EMPTY, fixed_chains(pod_cidr))
