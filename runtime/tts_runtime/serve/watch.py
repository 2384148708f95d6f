"""Follows a running search: for its progress, and for an answer at its deadline."""

from __future__ import annotations

import asyncio
from asyncio import Future
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from tts_lang.printable import concealed, concealed_beginning
from tts_runtime.engines.base import Finish, Partial
from tts_runtime.executor.generation import AnswerDrawn, CandidateMade
from tts_runtime.executor.nodes import Node
from tts_runtime.executor.problem import Events
from tts_runtime.executor.problem_run import (
    ProblemRun,
    ReplyArrived,
    Request,
    RequestMade,
    RunStopped,
)
from tts_runtime.executor.requests import Counts
from tts_runtime.executor.rows import Row
from tts_runtime.executor.scope import Decided, Scored
from tts_runtime.thoughts import ThoughtSplit, split_thought

_Decoder = getincrementaldecoder("utf-8")


@dataclass(frozen=True, slots=True)
class Best:
    """The best solution so far, and the tokens drawn on its path."""

    thought: str
    text: str
    answer: str | None
    finish: str | None
    tokens: int


class DrawnAnswer:
    """The answer while it is drawn; `thought` and `text`: what is certain of them by now."""

    def __init__(self, event: AnswerDrawn) -> None:
        self._node = event.node
        self._policy = event.policy
        self._partial = event.partial
        #: Tokens of the partial that were read.
        self.read_tokens = 0
        thinking = event.node.conversation.thinking
        self._split = ThoughtSplit(event.policy.binding, thinking=thinking)
        self._decoder = _Decoder("replace")
        self._whole = ""
        self._take(event.node.data)

    @property
    def thought(self) -> str:
        """The policy's thought before the reply."""
        return self._split.thought

    @property
    def text(self) -> str:
        """The reply after the thought."""
        return self._split.reply

    @property
    def shown(self) -> tuple[str, str]:
        """Both without keys (`concealed`), and without what may turn out to begin one."""
        # Once the reply has begun, nothing is added to the thought.
        thought = concealed(self.thought) if self.text else concealed_beginning(self.thought)
        return thought, concealed_beginning(self.text)

    def follows(self, partial: Partial) -> bool:
        """Whether these tokens continue those that were read; else the engine began again."""
        return partial is self._partial

    def read(self) -> None:
        """Reads the tokens that are new."""
        new: Sequence[int] = self._partial.ids[self.read_tokens :]
        self.read_tokens += len(new)
        pieces = self._policy.pieces
        self._take(b"".join([pieces[token] for token in new]))

    def best(self) -> Best:
        """The answer, cut off here."""
        answer, _ = self._policy.written(self._whole, Finish.LENGTH)
        tokens = self._node.tokens + self.read_tokens
        return Best(self.thought, self.text, answer, Finish.LENGTH.value, tokens)

    def _take(self, data: bytes) -> None:
        text = self._decoder.decode(data)
        self._whole += text
        self._split.feed(text)


class Watch:
    """Listens to the run of one request.

    `answer`: what has been drawn of its answer, where the plan ends in one sample.
    """

    answer: DrawnAnswer | None = None
    _news: Future[None] | None = None

    def __init__(self) -> None:
        #: Counts up with everything that happens: whether there is something new to say.
        self.changes = 0
        self.tokens = 0
        self.calls = 0
        self._round = 0
        self._rounds: int | None = None
        self._rows: list[Row] = []
        self._score: tuple[str, float] | None = None
        self._scores: dict[int, float] = {}
        self._done: list[Row] = []
        #: Requests that have no reply, and whether it is going to be the answer.
        self._pending: dict[Request, bool] = {}
        self._run: ProblemRun | None = None

    def subscribe(
        self, events: Events, rounds: int | None = None, *, drawing: bool = False
    ) -> None:
        """Listens to a run; what a first run said is forgotten when it is replayed.

        Args:
            events: Of the run.
            rounds: Of its only loop, at most.
            drawing: Listens to the answer while it is drawn, too: engines may have to work for it.
        """
        self.__init__()  # type: ignore[misc]
        self._rounds = rounds
        if drawing:
            events.subscribe(AnswerDrawn, self._drawn)
        events.subscribe(RequestMade, self._requested)
        events.subscribe(ReplyArrived, self._replied)
        events.subscribe(RunStopped, self._stopped)
        events.subscribe(CandidateMade, self._candidate)
        events.subscribe(Scored, self._scored)
        events.subscribe(Decided, self._decided)

    @property
    def begun(self) -> bool:
        """Whether there has been a run."""
        return self._run is not None

    def news(self) -> Future[None]:
        """Done when more of the answer has been drawn than at the last `take_news`."""
        if self._news is None:
            self._news = asyncio.get_running_loop().create_future()
        return self._news

    def take_news(self) -> DrawnAnswer | None:
        """The answer so far; `None` if there is nothing new."""
        if self._news is None or not self._news.done():
            return None
        self._news = None
        return self.answer

    def _drawn(self, event: AnswerDrawn) -> None:
        if self.answer is None or not self.answer.follows(event.partial):
            self.answer = DrawnAnswer(event)
        self.answer.read()
        news = self.news()
        if not news.done():
            news.set_result(None)

    def _requested(self, event: RequestMade) -> None:
        self._pending[event.entry] = event.request.on_token is not None

    def _stopped(self, event: RunStopped) -> None:
        self._run = event.run

    def _replied(self, event: ReplyArrived) -> None:
        self._pending.pop(event.entry, None)
        self.changes += 1
        self.calls += 1
        self.tokens += event.tokens

    def _candidate(self, event: CandidateMade) -> None:
        self.changes += 1
        self._rows.append(event.row)
        node = event.row.node
        if node.done and node.error is None and node.conversation.own:
            self._done.append(event.row)

    def _scored(self, event: Scored) -> None:
        self.changes += 1
        column: Any = event.column
        last = column[-1] if isinstance(column, Sequence) and column else column
        if isinstance(last, int | float):
            self._scores[id(event.row.candidate)] = last
            if self._score is None or last > self._score[1]:
                self._score = event.scorer, float(last)

    def _decided(self, event: Decided) -> None:
        if event.round and event.scope.caller is None:
            self._round = max(self._round, event.round[0] + 1)

    def said(self) -> str:
        """One line of progress."""
        most = "" if self._rounds is None else f" of {self._rounds}"
        parts = [f"round {self._round}{most}"] if self._round else []
        parts.append(
            f"{len(self._done)} of {len(self._rows)} candidates complete, {self.tokens} tokens"
        )
        if self._score is not None:
            parts.append(f"best {self._score[0]} {self._score[1]:.2f}")
        return ", ".join(parts)

    def spent(self) -> Counts:
        """What a run that was broken off has cost, as far as engines tell.

        Of what was in flight: the prompts, and the answer's tokens that were drawn.
        """
        if self._run is None:
            return Counts()
        costs = self._run.costs
        while self._pending:
            entry, is_answer = self._pending.popitem()
            drawn = self.answer.read_tokens if is_answer and self.answer is not None else 0
            costs.generated(entry.policy, entry.node, drawn)
        return costs.counts

    def best(self, *, streaming: bool) -> Best | None:
        """The answer as far as it is drawn, if it is `streaming` or no candidate is complete; else
        the complete candidate with the best score, or with the commonest answer."""
        if self.answer is not None and (streaming or not self._done):
            return self.answer.best()
        if not self._done:
            return None
        common = Counter(row.node.written for row in self._done)

        def rank(row: Row) -> tuple[bool, float, int]:
            score = self._scores.get(id(row.candidate))
            answer = row.node.written
            number = 0.0 if score is None else score
            return answer is not None, number, common[answer]

        node = max(self._done, key=rank).node
        finish = None if node.finish is None else node.finish.value
        return Best(*_parts(node), node.written, finish, node.tokens)

    def parts(self, uids: Collection[int]) -> dict[int, tuple[str, str]]:
        """Thoughts and replies of candidates of an ended run, by their numbers in it."""
        nodes = {row.candidate.uid: row.node for row in self._rows}
        return {uid: _parts(nodes[uid]) for uid in uids if uid in nodes}


def _parts(node: Node) -> tuple[str, str]:
    """What the candidate's own policy thought, and what it said after that."""
    thinking = node.conversation.thinking
    return split_thought(node.text, node.policy.binding, thinking=thinking)
