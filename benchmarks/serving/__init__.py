"""Parts of `benchmarks/serve.py`: a server on simulated engines, clients, what they do to it."""
