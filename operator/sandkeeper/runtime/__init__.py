"""What any operator needs and none of it about sandboxes: client, informers, queue, leases, events, metrics."""
