"""Strategies as models of evaluation harnesses: inspect_ai, lm-evaluation-harness.

`strategy_model` answers texts with a strategy; the other modules are how each harness calls it, and
are the only ones that import it.
"""
