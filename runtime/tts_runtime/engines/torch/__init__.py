"""Models of transformers that run in this process, on torch."""
