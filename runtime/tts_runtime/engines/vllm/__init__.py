"""vLLM in this process's hands: exact streams, prefix caching, policies and reward models."""
