"""Continuous batching with prefix reuse, for every model that runs in this process."""
