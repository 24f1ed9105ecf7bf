"""Tenants beside each other on a shared cluster: what governing them costs, and what they take from each other."""
