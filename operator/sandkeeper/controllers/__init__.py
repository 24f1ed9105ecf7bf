"""One file per kind: what wakes which key, and the pass over it: observe, plan, apply."""
