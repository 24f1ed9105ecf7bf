"""The egress gateway: lets each sandbox reach the domains that it is allowed, by name, and records what it tried."""
