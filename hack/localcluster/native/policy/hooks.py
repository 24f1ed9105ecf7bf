"""The part of the ruleset that never changes: where packets are caught, and who may say that he is whom.

Whatever comes from a pod is dropped unless the maps know its address, so a table whose maps are empty is closed.
"""

from localcluster.native.policy.rules import CLIENT, SERVER
from localcluster.native.policy.table import ADDRESS_PAIRS, NAME, VERDICTS, Collection, Table, replacement

EGRESS, INGRESS, ITSELF = "egress", "ingress", "itself"
POD_INTERFACES = "veth*"
EMPTY = Table(
    {EGRESS: Collection(VERDICTS), INGRESS: Collection(VERDICTS), ITSELF: Collection(ADDRESS_PAIRS)},
    {},
)


def fixed_chains(pod_cidr: str) -> str:
    """Return the chains that catch packets, for pods with addresses of a range.

    Notes
    -----
    The priority puts judging after kube-proxy's rewriting (DNAT, at -100 in prerouting), so that a Service is judged by
    the pod behind it. What the node itself sends is not caught, nor what is said in reply to it: probes reach pods
    whatever the policies say. The node speaks to pods from the gateway's address, which is of the pods' range.
    """
    return f"""\
table {NAME} {{
  chain prerouting {{
    type filter hook prerouting priority raw; policy accept;
    iifname "lo" accept
    meta nfproto ipv6 drop
    iifname "{POD_INTERFACES}" ip saddr != {pod_cidr} drop
    fib saddr . iif oif missing drop
  }}
  chain forward {{
    type filter hook forward priority filter - 5; policy accept;
    ct state {{ invalid, untracked }} drop
    {CLIENT} {pod_cidr} jump from_pod
    {SERVER} {pod_cidr} jump to_pod
  }}
  chain input {{
    type filter hook input priority filter - 5; policy accept;
    iifname "lo" accept
    iifname "{POD_INTERFACES}" ct state {{ invalid, untracked }} drop
    ct direction reply accept
    {CLIENT} {pod_cidr} jump from_pod
  }}
  chain from_pod {{
    {CLIENT} . {SERVER} @{ITSELF} return
    {CLIENT} vmap @{EGRESS}
    drop
  }}
  chain to_pod {{
    {CLIENT} . {SERVER} @{ITSELF} return
    {SERVER} vmap @{INGRESS}
    drop
  }}
}}
"""


def closed(pod_cidr: str) -> str:
    """Return the text of a table that knows no pod yet and so lets none speak or be spoken to but by the node."""
    return replacement(EMPTY, fixed_chains(pod_cidr))
