"""A slow, obvious interpreter of plans: what the executor must agree with.

Plain recursion over regions, lists of rows, one request after another. Written from
docs/semantics.md without looking at the executor; it shares only what both are defined by: stream
keys, random numbers, segmentation, answer extraction, and the engines.
"""

from tests.support.reference.interpreter import run
from tests.support.reference.model import ReferenceOutcome, StrategyFailure

__all__ = ["ReferenceOutcome", "StrategyFailure", "run"]
