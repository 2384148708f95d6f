"""Talking to model servers: addresses and keys, retries, and scorers behind an endpoint."""
