"""tts-lang: a small language for test-time scaling of language models."""
