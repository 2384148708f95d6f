"""A scorer that is a Python function: `--scorer NAME=python:MODULE:NAME`."""

from __future__ import annotations

from asyncio import CancelledError, Future, get_running_loop
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, TypeAlias

from tts_lang.explain.models import Model
from tts_runtime.engines.base import (
    CandidateError,
    EngineError,
    Fault,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.plugins import (
    FunctionError,
    GraderSpec,
    ScorerSpec,
    called,
    described,
    spec_of,
    takes,
)
from tts_runtime.problems.model import Problem

_Batch: TypeAlias = list[tuple[ScoreRequest, Future[ScoreReply]]]


class PythonScorer(ScorerEngine):
    """Calls a function with what waits: requests of one problem that come together are one call.

    Args:
        function: `(problem, solutions) -> numbers`; see `tts_runtime.plugins.scorer`. Without the
            decorator it scores per solution, from 0 to 1.
        written: Its name, for messages and records.

    Raises:
        EngineError: The function is a grader, or takes other arguments.
    """

    card = Model(0)

    def __init__(self, function: Callable[..., Any], written: str) -> None:
        spec = spec_of(function) or ScorerSpec()
        if isinstance(spec, GraderSpec):
            raise EngineError(f"`{written}` is a grader: use it with --grader {written}")
        if not takes(function, 2):
            raise EngineError(f"`{written}` must take (problem, solutions)")
        self.steps = spec.per == "step"
        self.alone = spec.per != "pool"
        self.low, self.high, self.exact = spec.low, spec.high, spec.exact
        self._function = function
        self.written = written
        self._waiting: dict[int, _Batch] = {}

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """The score of one path, in a call with those of its problem that wait."""
        loop = get_running_loop()
        future: Future[ScoreReply] = loop.create_future()
        key = id(request.fields)
        batch = self._waiting.setdefault(key, [])
        batch.append((request, future))
        if len(batch) == 1:
            loop.call_soon(lambda: loop.create_task(self._call(key)))
        return future

    def score_together(self, requests: Sequence[ScoreRequest]) -> Future[Sequence[ScoreReply]]:
        """The scores of a pool, in one call."""
        return get_running_loop().create_task(self._scored(requests))

    async def _call(self, key: int) -> None:
        batch = [each for each in self._waiting.pop(key) if not each[1].done()]
        if not batch:
            return
        try:
            await self._answer(batch)
        except BaseException as error:  # the end of the run, or a bug: nobody waits for ever
            for _, future in batch:
                _fail(future, error)
            raise

    async def _answer(self, batch: _Batch) -> None:
        try:
            replies = await self._scored([request for request, _ in batch])
        except EngineError as error:
            if len(batch) == 1:
                _fail(batch[0][1], error)
                return
            # One of them may be at fault: each is tried alone, and the others have their scores.
            for request, future in batch:
                try:
                    _give(future, (await self._scored([request]))[0])
                except EngineError as own:
                    _fail(future, own)
            return
        for (_, future), reply in zip(batch, replies, strict=True):
            _give(future, reply)

    async def _scored(self, requests: Sequence[ScoreRequest]) -> Sequence[ScoreReply]:
        first = requests[0]
        answer = first.fields.get("answer")
        fields = {name: value for name, value in first.fields.items() if name != "answer"}
        problem = Problem("", first.problem, None if answer is None else str(answer), fields)
        texts = [list(each.steps) if self.steps else each.text for each in requests]
        try:
            numbers = await called(self._function, problem, texts)
            return self._replies(requests, numbers)
        except CandidateError:
            raise
        except FunctionError as error:
            if isinstance(error.__cause__, CandidateError):
                raise error.__cause__ from None  # the function says itself what is wrong
            raise CandidateError(Fault.EXCEPTION, f"scorer `{self.written}`: {error}") from error
        except (KeyboardInterrupt, GeneratorExit, CancelledError):
            raise
        except BaseException as error:  # what it returned is somebody's code, too: a generator
            raise CandidateError(
                Fault.EXCEPTION, f"scorer `{self.written}`: {described(error, self._function)}"
            ) from error

    def _replies(self, requests: Sequence[ScoreRequest], numbers: Any) -> list[ScoreReply]:
        found = _listed(numbers)
        if found is None or len(found) != len(requests):
            raise self._unusable(
                f"expected a list of {len(requests)}, an entry per solution, "
                f"found {_shown(numbers)}"
            )
        if not self.steps:
            return [ScoreReply((self._number(each),)) for each in found]
        replies = []
        for request, scores in zip(requests, found, strict=True):
            listed = _listed(scores)
            if listed is None or len(listed) != len(request.steps):
                raise self._unusable(
                    f"expected a list of {len(request.steps)}, a number per step, "
                    f"found {_shown(scores)}"
                )
            replies.append(ScoreReply(tuple(map(self._number, listed[request.known :]))))
        return replies

    def _number(self, value: Any) -> float | None:
        if value is None:
            return None
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise self._unusable(f"expected a number, found {_shown(value)}") from error
        return number if isfinite(number) else None

    def _unusable(self, message: str) -> CandidateError:
        return CandidateError(Fault.UNUSABLE, f"scorer `{self.written}`: {message}")


def _listed(value: Any) -> list[Any] | None:
    """A list, a tuple, an array or a generator as a list; None for a text or a single value."""
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return None
    return list(value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _give(future: Future[ScoreReply], reply: ScoreReply) -> None:
    if not future.done():
        future.set_result(reply)


def _fail(future: Future[ScoreReply], error: BaseException) -> None:
    if isinstance(error, CancelledError):
        future.cancel()
    elif not future.done():
        future.set_exception(error)
