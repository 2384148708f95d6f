"""A client for model servers: addresses, keys, retries, refused fields."""
