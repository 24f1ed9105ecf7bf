"""The benchmark: sandboxes beside raw pods, by the same generator, on a bare control plane with simulated nodes."""
