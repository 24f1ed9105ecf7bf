"""Images for a cluster that reaches no registry."""
