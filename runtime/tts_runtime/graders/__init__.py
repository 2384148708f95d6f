"""Graders: whether a strategy's answer is right, by the kind of the problem.

`--grader` takes `math`, `text`, `number`, `choice`, `none`, `exec:python?field=TESTS` (unit tests),
`python:MODULE:NAME` (a function), `judge:POLICY_ENGINE` (a language model), what an installed
package registers, or any scorer per solution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from tts_lang.diagnostics import did_you_mean
from tts_runtime.answers.boundary import Grade
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.options import (
    EngineName,
    NoOptions,
    options_of,
    parse_name,
    with_options,
)
from tts_runtime.graders.base import Grader, Submission
from tts_runtime.problems.model import Problem

__all__ = ["DEFAULT", "Grade", "Grader", "Graders", "Submission", "find_grader"]

#: The grader if neither the run nor the problem names one.
DEFAULT: Final = "math"

_SHIPPED: Final = ("math", "text", "number", "choice", "none")
_SUPPORTED: Final = (
    *_SHIPPED,
    "exec:python?field=TESTS",
    "python:MODULE:NAME",
    "judge:POLICY_ENGINE",
    "a scorer per solution",
)


class _NoGrader(Grader):
    """Grades nothing."""

    needs_gold = False

    async def verdict(self, submission: Submission) -> Grade:  # noqa: ARG002
        return Grade(None)

    grade = verdict


def find_grader(written: str) -> Callable[[], Grader]:
    """A function that opens the named grader: options are checked, nothing is loaded yet.

    Raises:
        EngineError: No such grader or option.
    """
    name = parse_name(written)
    if name.plain in _SHIPPED:
        return _shipped(name)
    if name.kind == "judge":
        return _judge(name)
    if name.kind == "python":
        options_of(name, NoOptions)
        from tts_runtime.graders.function import FunctionGrader
        from tts_runtime.plugins import function_named

        function = function_named(name.argument)
        return lambda: FunctionGrader(function, written)
    from tts_runtime.plugins import registered

    factory = registered("grader", name.plain)
    if factory is not None:
        from tts_runtime.graders.function import FunctionGrader

        plugin = factory
        return lambda: FunctionGrader(plugin, written)
    return _scorer(name)


def _shipped(name: EngineName) -> Callable[[], Grader]:
    from tts_runtime.graders import kinds

    if name.plain == "text":
        text = options_of(name, kinds.TextOptions)
        return lambda: kinds.TextGrader(text)
    if name.plain == "number":
        number = options_of(name, kinds.NumberOptions)
        return lambda: kinds.NumberGrader(number)
    options_of(name, NoOptions)
    plain = {"math": kinds.MathGrader, "choice": kinds.ChoiceGrader, "none": _NoGrader}
    return plain[name.plain]


def _judge(name: EngineName) -> Callable[[], Grader]:
    from tts_runtime.engines.registry import find_policy
    from tts_runtime.graders.judged import PROMPT, JudgeGrader, prompt_of

    options = dict(name.options)
    prompt_file = options.pop("prompt", None)
    if not name.argument:
        raise EngineError(f"grader `{name.written}`: expected judge:POLICY_ENGINE")
    prompt = PROMPT if prompt_file is None else prompt_of(prompt_file)
    opener = find_policy(with_options(name.argument, options))
    return lambda: JudgeGrader(opener(), prompt)


def _scorer(name: EngineName) -> Callable[[], Grader]:
    from tts_runtime.engines.registry import find_scorer
    from tts_runtime.graders.scored import ScorerGrader
    from tts_runtime.plugins import names_registered

    if name.kind == "exec" and "score" not in dict(name.options):
        name = parse_name(with_options(name.plain, {**dict(name.options), "score": "all"}))
    try:
        opener = find_scorer(name.written)
    except EngineError as error:
        if "unknown scorer engine" not in str(error):
            raise
        installed = names_registered("grader")
        hint = did_you_mean(name.plain, [*_SHIPPED, *installed])
        raise EngineError(
            f"unknown grader `{name.written}`"
            + (f"; {hint}" if hint else "")
            + f"; supported: {', '.join([*_SUPPORTED, *installed])}"
        ) from error
    return lambda: ScorerGrader(opener())


class Graders:
    """The graders of a run: one for all problems, or each problem's own.

    Args:
        chosen: `--grader`: a name, or a grader, which stays open; absent: each problem's own.
        problems: What is to be graded.

    Raises:
        EngineError: There is no such grader.
    """

    def __init__(self, chosen: str | Grader | None, problems: Sequence[Problem]) -> None:
        self._only = chosen if isinstance(chosen, Grader) else None
        self._chosen = chosen if isinstance(chosen, str) else None
        names = dict.fromkeys(map(self.name, problems)) if self._only is None else {}
        self.names = tuple(names) or (str(getattr(chosen, "written", type(chosen).__name__)),)
        self._openers = {name: find_grader(name) for name in names}
        self._opened: dict[str, Grader] = {}

    def open(self, opened: Callable[[str, Callable[[], Grader]], Grader]) -> None:
        """Opens them: `opened` gives a grader by its name and what opens it, and closes it later.

        Raises:
            EngineError: One cannot be used here.
        """
        self._opened = {name: opened(name, opener) for name, opener in self._openers.items()}

    def name(self, problem: Problem) -> str:
        """The name of a problem's grader."""
        return self._chosen or problem.grader or DEFAULT

    async def of_answers(self, problem: Problem, answers: Iterable[str | None]) -> dict[str, bool]:
        """Grades of candidates' answers, each text once, where `Grader.every_candidate`."""
        grader = self._only or self._opened[self.name(problem)]
        if not grader.every_candidate or problem.answer is None:
            return {}
        grades: dict[str, bool] = {}
        for answer in dict.fromkeys(answers):
            if answer is not None:
                grade = await grader.verdict(Submission(problem, answer, ""))
                if grade.correct is not None:
                    grades[answer] = grade.correct
        return grades

    async def verdict(
        self, problem: Problem, answer: str | None, text: str, *, failed: bool = False
    ) -> Grade:
        """The grade of an answer; whatever it is, this does not fail."""
        grader = self._only or self._opened[self.name(problem)]
        return await grader.verdict(Submission(problem, answer, text, failed))
