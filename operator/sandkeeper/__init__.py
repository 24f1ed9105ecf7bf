"""Sandkeeper gives every AI agent a machine of its own on Kubernetes."""
