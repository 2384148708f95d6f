"""Searches for counterexamples to laws on random policies, scorers and problems.

`hunt` is the entry point that `tts-compile --laws` finds (group `tts_lang.laws`).
"""

from tts_runtime.laws.search import hunt

__all__ = ["hunt"]
