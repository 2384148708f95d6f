"""Models behind OpenAI-compatible servers, as policies and as scorers."""
