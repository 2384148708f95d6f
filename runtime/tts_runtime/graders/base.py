"""Graders: they decide whether a strategy's answer to a problem is right.

Graders are chosen by `--grader`, else by the problem (`Problem.grader`), else by `math`. They see
the run's problems and answers, never its candidates: nothing that a strategy does depends on them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from tts_runtime.answers.boundary import EXCEPTION, Grade
from tts_runtime.plugins import FunctionError, called
from tts_runtime.problems.model import Problem

__all__ = ["EXCEPTION", "NO_VERDICT", "Grade", "Grader", "Submission"]

#: Kind of fault of a judge that gives no verdict.
NO_VERDICT = "no verdict"


@dataclass(frozen=True, slots=True)
class Submission:
    """An answer to be graded, with its problem and the text that it stands in.

    Args:
        problem: With its gold answer and other fields.
        answer: As written in the returned candidate; missing if it has none.
        text: The returned candidate's whole text; empty if none was returned.
        failed: Whether the strategy failed, and returned nothing.
    """

    problem: Problem
    answer: str | None
    text: str
    failed: bool = False


class Grader(ABC):
    """Grades submissions, several at once."""

    #: Problems without a gold answer are not graded.
    needs_gold: bool = True
    #: A grade depends on the answer and the gold answer alone and costs little: a record has one of
    #: every candidate. Others run programs or ask models, and grade what is returned.
    every_candidate: bool = False

    async def verdict(self, submission: Submission) -> Grade:
        """The grade; a missing one, with its reason, where grading goes wrong. Never raises.

        What failed is wrong: a grader of texts might find that the empty one is right.
        """
        if self.needs_gold and submission.problem.answer is None:
            return Grade(None)
        if submission.failed and not self.every_candidate:
            return Grade(False)
        try:
            grade: Grade = await called(self.grade, submission)  # anybody's code
        except FunctionError as error:
            return Grade(None, str(error), EXCEPTION)
        return grade

    @abstractmethod
    async def grade(self, submission: Submission) -> Grade:
        """Whether the answer is right. Any exception leaves this one submission ungraded."""

    async def close(self) -> None:  # noqa: B027  (most graders hold nothing)
        """Frees what the grader holds."""
