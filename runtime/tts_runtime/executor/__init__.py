"""Executes plans: an asynchronous dataflow interpreter that works row by row.

`bind` fits a plan to engines; `execute` runs it on one problem, `execute_all` on many at once. The
life of a problem: one task walks the plan's operations in program order (`program.Block.walk`);
each gives a pool whose places (`pools.PendingRow`) fill in later; row-wise operations map place to
place (`Scheduler.map`), the others wait for their pool (`Scheduler.rows`).
"""

from tts_runtime.executor.bind import Bound, bind, check_names
from tts_runtime.executor.early_exit import PASSES
from tts_runtime.executor.errors import BindError, RunError
from tts_runtime.executor.execute import execute, execute_all, execute_together
from tts_runtime.executor.outcome import (
    CandidateRecord,
    Counts,
    Observer,
    Outcome,
    ProblemLike,
    ScoreColumn,
    Work,
)

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
]
