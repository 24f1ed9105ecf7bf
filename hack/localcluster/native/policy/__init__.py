"""NetworkPolicies enforced on the native node, by nftables. Development tooling: a cluster of one node, IPv4, no more.

It is there so that what Sandkeeper promises can be tried on a machine without a container engine. Whoever runs a real
cluster has Cilium, Calico or their cloud's. What decides is pure (:mod:`desired` and below); :mod:`daemon` watches and
writes. Every packet from or to a pod is judged, on open connections too, and what nobody knows is dropped.
"""
