"""Executes plans: an asynchronous dataflow interpreter that works row by row.

`bind` fits a plan to engines; `execute` runs it on one problem, `execute_all` on many at once. The
life of a problem: one task walks the plan's operations in program order (`CompiledRegion.walk`);
each gives a pool whose rows may be pending (`pools.PendingRow`); row-wise operations map row to
row (`Scheduler.map`), the others wait for their pool (`Scheduler.rows`).

The floors, each of which imports only lower ones (`tests/test_layers.py`): paths, rows; pools and
scheduler; expressions; one problem; programs; operations; the features that subscribe to a run's
events (`early_exit`, `speculation`); all problems.
"""

from tts_lang.optimise.early_exit import PASSES
from tts_runtime.executor.abilities import wants_logprobs
from tts_runtime.executor.bind import BindError, Bound, bind, check_names
from tts_runtime.executor.execute import (
    Observer,
    Outcome,
    execute,
    execute_all,
    execute_together,
    patient_collector,
)
from tts_runtime.executor.problem import ProblemLike, RunError
from tts_runtime.executor.requests import Counts, Work
from tts_runtime.record.nodes import CandidateRecord, ScoreColumn

__all__ = [
    "PASSES",
    "BindError",
    "Bound",
    "CandidateRecord",
    "Counts",
    "Observer",
    "Outcome",
    "ProblemLike",
    "RunError",
    "ScoreColumn",
    "Work",
    "bind",
    "check_names",
    "execute",
    "execute_all",
    "execute_together",
    "patient_collector",
    "wants_logprobs",
]
