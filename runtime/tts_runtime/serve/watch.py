"""What a search has found so far: for progress while it runs, and for an answer at its deadline."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from tts_runtime.executor.generation import CandidateMade
from tts_runtime.executor.model import Row
from tts_runtime.executor.problem_run import Events, ReplyArrived
from tts_runtime.executor.scope import Decided, Scored


@dataclass(frozen=True, slots=True)
class Best:
    """The best complete candidate so far, and the tokens drawn on its path."""

    text: str
    answer: str | None
    finish: str | None
    tokens: int


class Watch:
    """Listens to the run of one request."""

    def __init__(self) -> None:
        #: Counts up with everything that happens: whether there is something new to say.
        self.changes = 0
        self.tokens = 0
        self.calls = 0
        self._round = 0
        self._made = 0
        self._score: tuple[str, float] | None = None
        self._scores: dict[int, float] = {}
        self._done: list[Row] = []

    def subscribe(self, events: Events) -> None:
        """Listens to a run; what a first run said is forgotten when it is replayed."""
        self.__init__()  # type: ignore[misc]
        events.subscribe(ReplyArrived, self._replied)
        events.subscribe(CandidateMade, self._candidate)
        events.subscribe(Scored, self._scored)
        events.subscribe(Decided, self._decided)

    def _replied(self, event: ReplyArrived) -> None:
        self.changes += 1
        self.calls += 1
        self.tokens += event.tokens

    def _candidate(self, event: CandidateMade) -> None:
        self.changes += 1
        self._made += 1
        node = event.row.node
        if node.done and node.error is None and node.conversation.own:
            self._done.append(event.row)

    def _scored(self, event: Scored) -> None:
        self.changes += 1
        column: Any = event.column
        last = column[-1] if isinstance(column, tuple) and column else column
        if isinstance(last, int | float):
            self._scores[id(event.row.candidate)] = last
            if self._score is None or last > self._score[1]:
                self._score = event.scorer, float(last)

    def _decided(self, event: Decided) -> None:
        if event.round:
            self._round = max(self._round, event.round[0])

    def said(self) -> str:
        """One line of progress."""
        parts = [f"round {self._round}"] if self._round else []
        parts.append(f"{len(self._done)} of {self._made} candidates complete, {self.tokens} tokens")
        if self._score is not None:
            parts.append(f"best {self._score[0]} {self._score[1]:.2f}")
        return ", ".join(parts)

    def best(self) -> Best | None:
        """Of the complete candidates, the one with the best score, or with the commonest answer."""
        if not self._done:
            return None
        common = Counter(row.node.written for row in self._done)

        def rank(row: Row) -> tuple[bool, float, int]:
            score = self._scores.get(id(row.candidate))
            answer = row.node.written
            known = 0.0 if score is None else score
            return answer is not None, known, common[answer]

        node = max(self._done, key=rank).node
        finish = None if node.finish is None else node.finish.value
        return Best(node.text, node.written, finish, node.tokens)
