"""Answers as JSON until they are read: a tenth of the memory, as a run holds all of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import overload

from tts_runtime.problems.model import Trial
from tts_runtime.record.lines import encoded
from tts_runtime.runs.results import Answer


def encoded_answer(answer: Answer) -> bytes:
    """An answer as JSON in one line, without what has its default value."""
    return encoded(answer.model_dump(mode="json", exclude_defaults=True))


def _decoded(line: bytes) -> Answer:
    return Answer.model_validate(json.loads(line))


class Answers(Sequence[Answer]):
    """Answers in order; equal to every sequence of the same ones."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = tuple(lines)

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, place: int) -> Answer: ...
    @overload
    def __getitem__(self, place: slice) -> Answers: ...
    def __getitem__(self, place: int | slice) -> Answer | Answers:
        if isinstance(place, slice):
            return Answers(self._lines[place])
        return _decoded(self._lines[place])

    def __iter__(self) -> Iterator[Answer]:
        return map(_decoded, self._lines)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __repr__(self) -> str:
        return f"<{len(self)} answers>"


class AnswerTable(Mapping[Trial, Answer]):
    """Answers by problem and seed, in the order in which they were added."""

    def __init__(self, answers: Iterable[Answer] = ()) -> None:
        self._lines: dict[Trial, bytes] = {}
        self._failed: set[Trial] = set()
        for answer in answers:
            self.add(answer, encoded_answer(answer))

    def add(self, answer: Answer, line: bytes) -> None:
        """One more, in place of an earlier one; `line`: the answer, encoded."""
        trial = answer.trial
        self._lines[trial] = bytes(memoryview(line))  # a copy: orjson's has room for four kilobytes
        if answer.error is None:
            self._failed.discard(trial)
        else:
            self._failed.add(trial)

    def __getitem__(self, trial: Trial) -> Answer:
        return _decoded(self._lines[trial])

    def __contains__(self, trial: object) -> bool:
        return trial in self._lines

    def __iter__(self) -> Iterator[Trial]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def failed(self, trial: Trial) -> bool:
        """Whether the problem failed."""
        return trial in self._failed

    def listed(self, trials: Iterable[Trial]) -> Answers:
        """The answers to these, in their order."""
        return Answers(self._lines[trial] for trial in trials)
