"""Engines: what generates and what scores. Each is imported only when it is chosen."""
