"""Which candidates of a record have a grade."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tts_runtime.problems.model import Problem

#: Graders that grade every candidate (`Grader.every_candidate`); others, what is returned.
COMPARING: Final = ("math", "text", "number", "choice")


def compares(problem: Problem, graders: Sequence[str]) -> bool:
    """Whether every candidate of a problem was graded.

    Args:
        problem: Of the run.
        graders: Of the run: one for all problems, or each problem's own.
    """
    grader = grader_of(problem, graders).partition("?")[0]
    return problem.answer is not None and grader in COMPARING


def grader_of(problem: Problem, graders: Sequence[str]) -> str:
    """What graded a problem, of the run's graders: the one for all problems, or its own."""
    return graders[0] if len(graders) == 1 else problem.grader or COMPARING[0]
