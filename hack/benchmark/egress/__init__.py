"""The gateway beside no proxy at all and beside a bare Envoy, on one machine's loopback."""
