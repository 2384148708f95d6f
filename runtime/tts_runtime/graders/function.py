"""A grader that is a Python function: `--grader python:MODULE:NAME`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tts_runtime.answers.boundary import Grade
from tts_runtime.engines.base import EngineError
from tts_runtime.graders.base import EXCEPTION, NO_VERDICT, Grader, Submission
from tts_runtime.plugins import FunctionError, GraderSpec, ScorerSpec, called, spec_of, takes


class FunctionGrader(Grader):
    """Calls `(problem, answer)` or `(problem, answer, text)`; see `tts_runtime.plugins.grader`.

    A missing answer is wrong, without a call, unless the function looks at the text too.

    Raises:
        EngineError: The function is a scorer, or takes other arguments.
    """

    def __init__(self, function: Callable[..., Any], written: str) -> None:
        spec = spec_of(function) or GraderSpec()
        if isinstance(spec, ScorerSpec):
            raise EngineError(f"`{written}` is a scorer: use it with --scorer NAME={written}")
        self.needs_gold = spec.needs_gold
        self._function = function
        self.written = written
        self._with_text = takes(function, 3)
        if not self._with_text and not takes(function, 2):
            raise EngineError(f"`{written}` must take (problem, answer) or (problem, answer, text)")

    async def grade(self, submission: Submission) -> Grade:
        """The function's verdict: right, wrong, or (None) not graded."""
        if submission.answer is None and not self._with_text:
            return Grade(False)
        arguments = (submission.problem, submission.answer, submission.text)
        try:
            verdict = await called(self._function, *arguments[: 3 if self._with_text else 2])
        except FunctionError as error:
            return Grade(None, f"grader `{self.written}`: {error}", EXCEPTION)
        if verdict is None:
            return Grade(None, f"grader `{self.written}` gave no verdict", NO_VERDICT)
        if not isinstance(verdict, int) and type(verdict).__name__ != "bool_":  # NumPy's
            return Grade(
                None,
                f"grader `{self.written}`: expected True, False or None, found {verdict!r}"[:300],
                EXCEPTION,
            )
        return Grade(bool(verdict))
