"""A real Kubernetes cluster on a machine that has nothing but Go, Python and a kernel.

Every program comes from its Go module and is built once per version, outside the checkout.
Nothing here knows about sandboxes.
"""
