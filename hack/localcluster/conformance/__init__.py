"""Kubernetes' own tests on this checkout's cluster: somebody else judges whether its network policies hold."""
