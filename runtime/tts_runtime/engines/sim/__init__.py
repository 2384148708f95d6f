"""Random finite models served on a virtual clock. No torch."""
