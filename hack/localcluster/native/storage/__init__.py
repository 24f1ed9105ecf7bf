"""Volumes on the native node: a CSI driver over a btrfs in a file. Development tooling, for one node.

A volume is a subvolume with a quota; a snapshot is a read-only snapshot of it, and what is made from either is a
writable one. Everything that the driver knows stands in the file system, so that it may be killed at any moment; the
file itself is thrown away with the node, as etcd's data is. Claims are provisioned, grown and snapshotted by the same
programs that drivers elsewhere are served by.
"""
