"""The native driver: a node made of this machine's kernel and plain processes, without a container engine around it.

Everything that runs is in unnamed Linux namespaces whose first process is ours. When it ends, the kernel ends every
process, mount, interface and rule with it; what can be left is cgroup folders under one name, and the state folder.
"""
