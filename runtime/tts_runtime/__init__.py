"""Executes plans: engines, executor, problems, answers, runs.

`run` is the whole of `tts-run` as a function; it and the types around it are imported when they are
first used, so that `import tts_runtime` loads no engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tts_runtime.problems import Problem, load_problems, problems_named
    from tts_runtime.runs.progress import Progress
    from tts_runtime.runs.results import Answer, Result, Summary
    from tts_runtime.runs.runner import Settings, run

__all__ = [
    "Answer",
    "Problem",
    "Progress",
    "Result",
    "Settings",
    "Summary",
    "load_problems",
    "problems_named",
    "run",
]

_HOMES = {
    "Answer": "tts_runtime.runs.results",
    "Problem": "tts_runtime.problems",
    "Progress": "tts_runtime.runs.progress",
    "Result": "tts_runtime.runs.results",
    "Settings": "tts_runtime.runs.runner",
    "Summary": "tts_runtime.runs.results",
    "load_problems": "tts_runtime.problems",
    "problems_named": "tts_runtime.problems",
    "run": "tts_runtime.runs.runner",
}


def __getattr__(name: str) -> object:
    """The interface, from where it is defined."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOMES[name]), name)
    return value
