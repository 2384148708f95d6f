"""Scorers without a model: reductions, fields of the problem, comparisons of a pool.

`--scorer NAME=ENGINE:REDUCTION`, for example `orm=bundled:last`, reduces a process scorer to an
outcome scorer. `field:answer` scores a candidate 1 if its answer equals the gold answer, else 0;
any other `field:FIELD` is a number of the problem, every candidate's score.

`similarity`, `clusters`, `answer-clusters` and `diversity` score whole solutions of a pool that is
scored `together`. Definitions, sources and limits are in docs/engines.md.
"""

from __future__ import annotations

import asyncio
import threading
from abc import abstractmethod
from asyncio import Future
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations
from typing import Final, Literal

from pydantic import Field

from tts_lang.diagnostics import did_you_mean
from tts_lang.values import REDUCTIONS, mean
from tts_runtime.engines.base import (
    CandidateError,
    EngineError,
    Fault,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.options import EngineName, NoOptions, options_of


class ReducedScorer(ScorerEngine):
    """Scores solutions by a reduction of another engine's scores of their steps.

    Args:
        inner: The process scorer; closed with this one.
        reduction: A name of `REDUCTIONS`, as in `last(prm)` (C33); a solution without steps has a
            missing score.

    Raises:
        EngineError: `inner` scores whole solutions already.
    """

    steps = False

    def __init__(self, inner: ScorerEngine, reduction: str) -> None:
        if not inner.steps:
            raise EngineError(
                "this engine scores per solution, so there is nothing to reduce: "
                f"omit `:{reduction}`"
            )
        self.inner = inner
        self.exact, self.same_bits = inner.exact, inner.same_bits
        self.card = inner.card
        if reduction != "sum":  # a sum of several scores is outside their range
            self.low, self.high = inner.low, inner.high
        else:
            self.low, self.high = None, None
        self._reduce = REDUCTIONS[reduction]

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """One score; every step is read, since a reduction may need them all."""
        return asyncio.ensure_future(self._score(replace(request, known=0)))

    async def _score(self, request: ScoreRequest) -> ScoreReply:
        return self._reduced(await self.inner.score(request))

    @property
    def pools(self) -> bool:
        """Whether the process scorer does."""
        return self.inner.pools

    def score_together(self, requests: Sequence[ScoreRequest]) -> Future[Sequence[ScoreReply]]:
        """One score for each candidate of a pool, if the process scorer sees whole pools."""
        return asyncio.ensure_future(self._score_together(requests))

    async def _score_together(self, requests: Sequence[ScoreRequest]) -> Sequence[ScoreReply]:
        whole = [replace(request, known=0) for request in requests]
        return [self._reduced(reply) for reply in await self.inner.score_together(whole)]

    def _reduced(self, reply: ScoreReply) -> ScoreReply:
        whole = reply.opening + sum(reply.sizes)
        return ScoreReply((self._reduce(reply.scores),), reply.tokens, sizes=(whole,))

    async def close(self) -> None:
        """Closes the process scorer."""
        await self.inner.close()


GOLD = "answer"


class FieldScorer(ScorerEngine):
    """Scores by one field of the problem."""

    steps = False

    def __init__(self, field: str) -> None:
        self.field = self.read_field = field
        gold = field == GOLD
        self.low = 0.0 if gold else None
        self.high = 1.0 if gold else None

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """Scores immediately."""
        future: Future[ScoreReply] = asyncio.get_running_loop().create_future()
        try:
            future.set_result(self.score_now(request))
        except EngineError as error:
            future.set_exception(error)
        return future

    def score_now(self, request: ScoreRequest) -> ScoreReply:
        """The score of one candidate.

        Raises:
            EngineError: The problem has no such field, or it holds no number.
        """
        if self.field not in request.fields:
            hint = did_you_mean(self.field, request.fields)
            raise EngineError(
                f"scorer `field:{self.field}`: this problem has no field `{self.field}`"
                + (f"; {hint}" if hint else f"; its fields: {', '.join(request.fields) or 'none'}")
            )
        value = request.fields[self.field]
        if self.field == GOLD:
            return ScoreReply((_matches(request.answer, value),))
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise EngineError(
                f"scorer `field:{self.field}`: expected a number in the problem file, "
                f"found {value!r}"
            )
        return ScoreReply((float(value),))


def _matches(answer: str | None, gold: object) -> float:
    if answer is None:
        return 0.0
    from tts_runtime.answers.boundary import form

    return float(form(answer).key == form(str(gold)).key)


#: Limit on the work of comparing a pool: about 10 seconds of one core.
MOST_WORK: Final = 10**11
#: Cost of each item of the shorter text, besides the length of the longer one.
_STEP: Final = 3000


class PoolOptions(NoOptions):
    """Options of scorers that compare texts."""

    last: int = Field(
        default=0, ge=0, description="Compare only the last N steps; 0: the whole text"
    )


class RatioOptions(PoolOptions):
    """Options of scorers that compare texts pairwise."""

    by: Literal["characters", "words"] = "characters"


class ClusterOptions(RatioOptions):
    """Options of `clusters`."""

    threshold: float = Field(default=0.8, ge=0, le=1)


class DiversityOptions(PoolOptions):
    """Options of `diversity`."""

    n: int = Field(default=4, ge=1, le=16, description="Longest n-grams, in words")


def ratio(first: Sequence[str], second: Sequence[str]) -> float:
    """The string ratio: twice the longest common subsequence, over both lengths.

    It is 1 for equal texts (also for two empty ones) and 0 for texts with nothing in common; what
    RapidFuzz calls the normalized indel similarity, and python-Levenshtein `ratio`. Symmetric.
    """
    if first == second:
        return 1.0
    return 2 * common(first, second) / (len(first) + len(second))


def common(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common subsequence.

    Hyyrö (2004), Bit-parallel LCS-length computation revisited: a column of the table is one
    whole number, so a step costs `len(first) / 64` machine words, whatever the texts contain.
    """
    if len(first) < len(second):
        first, second = second, first
    places: dict[str, int] = {}
    for place, item in enumerate(first):
        places[item] = places.get(item, 0) | 1 << place
    full = (1 << len(first)) - 1
    column = full
    for item in second:
        matched = column & places.get(item, 0)
        if matched:
            column = (column + matched | column - matched) & full
    return len(first) - column.bit_count()


class PoolScorer(ScorerEngine):
    """Scores the candidates of a pool by comparing them, in a thread of its own.

    One pool at a time, since comparing is CPU-bound. An error in `scores` fails the pool's request.
    """

    steps = False
    alone = False

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "tts-pool-scorer")

    @abstractmethod
    def scores(
        self, requests: Sequence[ScoreRequest], stopped: Callable[[], bool]
    ) -> Sequence[float | None]:
        """A number, or a missing score, for each candidate of a pool, in order.

        A pure function of the requests. `stopped`: the result is no longer needed.
        """

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """There is nothing to compare one candidate with: `bind` refuses such plans."""
        raise EngineError(
            f"this engine compares candidates, so it cannot score {request.text[:40]!r} alone: "
            "declare the scorer `together`"
        )

    def score_together(self, requests: Sequence[ScoreRequest]) -> Future[Sequence[ScoreReply]]:
        """Scores a pool; cancelling the future stops the work."""
        stop = threading.Event()
        task = asyncio.get_running_loop().create_task(self._scored(requests, stop))
        task.add_done_callback(lambda _: stop.set())
        return task

    async def _scored(
        self, requests: Sequence[ScoreRequest], stop: threading.Event
    ) -> Sequence[ScoreReply]:
        work = asyncio.get_running_loop().run_in_executor(
            self._thread, self.scores, requests, stop.is_set
        )
        return [ScoreReply((number,)) for number in await work]

    async def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class _TextScorer(PoolScorer):
    """Compares texts, or their last steps."""

    def __init__(self, options: PoolOptions) -> None:
        super().__init__()
        self._last = options.last

    def scores(
        self, requests: Sequence[ScoreRequest], stopped: Callable[[], bool]
    ) -> Sequence[float | None]:
        return self.compared([self._text(request) for request in requests], stopped)

    @abstractmethod
    def compared(self, texts: Sequence[str], stopped: Callable[[], bool]) -> Sequence[float | None]:
        """A number for each text."""

    def _text(self, request: ScoreRequest) -> str:
        return "\n\n".join(request.steps[-self._last :]) if self._last else request.text


class _RatioScorer(_TextScorer):
    """Compares texts pairwise; pairs of equal texts are compared once."""

    def __init__(self, name: str, options: RatioOptions) -> None:
        super().__init__(options)
        self._name = name
        self._words = options.by == "words"

    def items(self, text: str) -> Sequence[str]:
        """The part of a text to compare."""
        return text.split() if self._words else text

    @staticmethod
    def work(first: Sequence[str], second: Sequence[str]) -> int:
        """Cost of comparing two texts."""
        shorter, longer = sorted((len(first), len(second)))
        return shorter * (longer + _STEP)

    def check(self, work: int, pool: Sequence[str]) -> None:
        """Refuses a pool that would take minutes.

        Raises:
            CandidateError: The message says what to do.
        """
        if work > MOST_WORK:
            cheaper = "" if self._words else "`?by=words`, or "
            raise CandidateError(
                Fault.TOO_LONG,
                f"scorer `{self._name}`: {len(pool)} candidates of up to "
                f"{max(map(len, pool)):,} characters are too many to compare pairwise; compare "
                f"less: {cheaper}only the last steps with `?last=1`",
            )


class SimilarityScorer(_RatioScorer):
    """A candidate's mean string ratio to the others of its pool; missing if it is alone.

    The mean over a pool is the mean over its pairs. Source: optillm, `uncertainty_cot.py`
    (reasoning consistency), which compares in lower case too.
    """

    def __init__(self, options: RatioOptions | None = None) -> None:
        super().__init__("similarity", options or RatioOptions())

    def compared(self, texts: Sequence[str], stopped: Callable[[], bool]) -> Sequence[float | None]:
        if len(texts) < 2:
            return [None for _ in texts]
        many = Counter(text.lower() for text in texts)
        items = {text: self.items(text) for text in many}
        pairs = combinations(items.values(), 2)
        self.check(sum(self.work(first, second) for first, second in pairs), texts)
        alike: dict[str, list[float]] = {text: [1.0] * (many[text] - 1) for text in many}
        for first, second in combinations(many, 2):
            if stopped():
                return []
            found = ratio(items[first], items[second])
            alike[first] += [found] * many[second]
            alike[second] += [found] * many[first]
        means = {text: mean(ratios) for text, ratios in alike.items()}
        return [means[text.lower()] for text in texts]


class ClusterScorer(_RatioScorer):
    """The number of a candidate's cluster of similar texts, from 0 in order of appearance.

    A candidate joins the first cluster whose first member has a string ratio to it of at least
    the threshold, else it starts a new one. Source: optillm, `self_consistency.py`.
    """

    low = None
    high = None

    def __init__(self, options: ClusterOptions | None = None) -> None:
        options = options or ClusterOptions()
        super().__init__("clusters", options)
        self._threshold = options.threshold

    def compared(self, texts: Sequence[str], stopped: Callable[[], bool]) -> Sequence[float | None]:
        leaders: list[Sequence[str]] = []
        found: dict[str, int] = {}
        work = 0
        for text in texts:
            if text in found:
                continue
            items = self.items(text)
            for number, leader in enumerate(leaders):
                work += self.work(items, leader)
                self.check(work, texts)
                if stopped():
                    return []
                if ratio(leader, items) >= self._threshold:
                    found[text] = number
                    break
            else:
                found[text] = len(leaders)
                leaders.append(items)
        return [found[text] for text in texts]


class AnswerClusterScorer(PoolScorer):
    """The number of a candidate's class of equal answers, from 0 in order of appearance.

    Answers are equal as in a vote (C42); a candidate without an answer has no number.
    """

    low = None
    high = None

    def scores(
        self, requests: Sequence[ScoreRequest], stopped: Callable[[], bool]
    ) -> Sequence[float | None]:
        from tts_runtime.answers.boundary import form

        numbers: dict[str, int] = {}
        found: list[float | None] = []
        for request in requests:
            if stopped():
                return []
            answer = request.answer
            key = None if answer is None else form(answer).key
            found.append(None if key is None else numbers.setdefault(key, len(numbers)))
        return found


class DiversityScorer(_TextScorer):
    """The share of a candidate that no other of its pool contains, from 0 to 1.

    For each length up to n, the share of its different n-grams of words that no other candidate
    has; the mean over the lengths that it has n-grams of. Missing for a text without words. The
    share of distinct n-grams is Li et al.'s (2016, distinct-n), averaged over lengths as the n-gram
    diversity of Meister et al. (2023, Locally typical sampling, section 5), here of one candidate
    against the others.
    """

    def __init__(self, options: DiversityOptions | None = None) -> None:
        options = options or DiversityOptions()
        super().__init__(options)
        self._n = options.n

    def compared(self, texts: Sequence[str], stopped: Callable[[], bool]) -> Sequence[float | None]:
        words = [text.lower().split() for text in texts]
        shares: list[list[float]] = [[] for _ in texts]
        for length in range(1, self._n + 1):
            grams = [_grams(each, length) for each in words]
            owners = Counter(gram for each in grams for gram in each)
            for found, each in zip(shares, grams, strict=True):
                if stopped():
                    return []
                if each:
                    found.append(sum(owners[gram] == 1 for gram in each) / len(each))
        return [mean(found) for found in shares]


def _grams(words: Sequence[str], length: int) -> set[tuple[str, ...]]:
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


#: By name.
POOL_SCORERS: Final[Mapping[str, type[PoolScorer]]] = {
    "clusters": ClusterScorer,
    "answer-clusters": AnswerClusterScorer,
    "similarity": SimilarityScorer,
    "diversity": DiversityScorer,
}


def pool_scorer(name: EngineName) -> Callable[[], PoolScorer]:
    """A function that opens a pool scorer (one of `POOL_SCORERS`).

    Raises:
        EngineError: An invalid option.
    """
    match name.plain:
        case "similarity":
            ratios = options_of(name, RatioOptions)
            return lambda: SimilarityScorer(ratios)
        case "clusters":
            clusters = options_of(name, ClusterOptions)
            return lambda: ClusterScorer(clusters)
        case "diversity":
            grams = options_of(name, DiversityOptions)
            return lambda: DiversityScorer(grams)
        case _:
            options_of(name, NoOptions)
            return AnswerClusterScorer
