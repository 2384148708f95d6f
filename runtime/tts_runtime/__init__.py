"""Executes plans: engines, executor, problems, answers, runs.

`run` is the whole of `tts-run` as a function; it and the types around it are imported when they are
first used, so that `import tts_runtime` loads no engine.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if sys.platform == "win32":
    # Without its limits of memory and time, answers would be compared as text: other grades.
    raise ImportError("tts_runtime needs Linux or macOS; on Windows, run it in WSL")

if TYPE_CHECKING:
    from tts_runtime.binding import BindingError
    from tts_runtime.engines.base import EngineError, PolicyEngine, ScorerEngine
    from tts_runtime.executor.bind import BindError
    from tts_runtime.graders import Grade, Grader, Submission
    from tts_runtime.plugins import grader, scorer
    from tts_runtime.problems import Problem, ProblemFileError, load_problems, problems_named
    from tts_runtime.record.files import DirectoryError
    from tts_runtime.record.reader import Run, Tree, open_run
    from tts_runtime.runs.defaults import UnnamedError
    from tts_runtime.runs.progress import Progress
    from tts_runtime.runs.response import AnswerError, Response, Solution, TokenUsage
    from tts_runtime.runs.results import Answer, Result, Results, Summary
    from tts_runtime.runs.rundir import RunDirectoryError
    from tts_runtime.runs.session import Session, arun, run
    from tts_runtime.runs.settings import Settings

__all__ = [
    "Answer",
    "AnswerError",
    "BindError",
    "BindingError",
    "DirectoryError",
    "EngineError",
    "Grade",
    "Grader",
    "PolicyEngine",
    "Problem",
    "ProblemFileError",
    "Progress",
    "Response",
    "Result",
    "Results",
    "Run",
    "RunDirectoryError",
    "ScorerEngine",
    "Session",
    "Settings",
    "Solution",
    "Submission",
    "Summary",
    "TokenUsage",
    "Tree",
    "UnnamedError",
    "arun",
    "grader",
    "load_problems",
    "open_run",
    "problems_named",
    "run",
    "scorer",
]

_HOMES = {
    name: f"tts_runtime.{module}"
    for module, names in {
        "binding": ("BindingError",),
        "engines.base": ("EngineError", "PolicyEngine", "ScorerEngine"),
        "executor.bind": ("BindError",),
        "graders": ("Grade", "Grader", "Submission"),
        "plugins": ("grader", "scorer"),
        "problems": ("Problem", "ProblemFileError", "load_problems", "problems_named"),
        "record.files": ("DirectoryError",),
        "record.reader": ("Run", "Tree", "open_run"),
        "runs.defaults": ("UnnamedError",),
        "runs.progress": ("Progress",),
        "runs.response": ("AnswerError", "Response", "Solution", "TokenUsage"),
        "runs.results": ("Answer", "Result", "Results", "Summary"),
        "runs.rundir": ("RunDirectoryError",),
        "runs.settings": ("Settings",),
        "runs.session": ("Session", "arun", "run"),
    }.items()
    for name in names
}


def __getattr__(name: str) -> object:
    """The interface, from where it is defined."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    """The interface, for completion."""
    return sorted(__all__)
