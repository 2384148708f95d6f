"""A scorer that gives the scores of a record."""

from __future__ import annotations

import logging
from asyncio import Future, get_running_loop
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from tts_lang.plan.expr import Reduce, fields_in, walk
from tts_lang.plan.graph import Plan, operations
from tts_runtime.engines.base import EngineError, ScorerEngine, ScoreReply, ScoreRequest
from tts_runtime.replay.options import ReplayOptions, ReplayScorerOptions
from tts_runtime.replay.samples import MISSING, Recorded, Score, ScoredText, ScorerAbout
from tts_runtime.replay.sources import open_recorded
from tts_runtime.tokens import split_text

_LOGGER = logging.getLogger(__name__)
#: Problems whose scores are kept.
_KEPT = 64
#: Reductions of equal numbers that give that number.
_HARMLESS = ("last", "first", "min", "max", "mean")


class ReplayScorer(ScorerEngine):
    """Scores of recorded texts.

    Where the record has one number per solution that stands for the scores of its steps (their
    mean), every step has this number: `mean` gives it back, `last`, `min` and `max` give it too,
    which is said; `prod` and `sum` are refused.

    Tokens are the policy's, spread over the steps by length, and an estimate for the problem: the
    record does not have the scorer's own.

    Args:
        path: A run directory or files of samples.
        options: Those of the policy, and which scorer.

    Raises:
        EngineError: The record has no scores, or none of this name.
    """

    def __init__(self, path: str, options: ReplayScorerOptions | None = None) -> None:
        options = options or ReplayScorerOptions()
        read = ReplayOptions.model_validate(options.model_dump(exclude={"scorer"}))
        self.recorded: Recorded = open_recorded(path, read)
        self.name, self.about = _chosen(self.recorded, options.scorer)
        self.steps = self.about.steps
        self.low, self.high, self.card = self.about.low, self.about.high, self.about.card
        self._told: set[str] = set()
        self._problems: OrderedDict[str, Mapping[str, ScoredText]] = OrderedDict()

    def unfit(self, plan: Plan, name: str) -> Iterator[str]:
        """Reductions that one number per solution does not give."""
        reduced = self.about.reduced
        if reduced is None:
            return
        used = {
            part.how
            for operation in operations(plan.body)
            for expression in fields_in(operation.spec)
            for part in walk(expression)
            if isinstance(part, Reduce) and part.column == name
        }
        what = f"record {self.recorded.name} has one number per solution for `{name}` ({reduced})"
        for how in sorted(used):
            if how not in _HARMLESS:
                yield f"{what}, so there is no {how}({name}): use mean({name}), `reduce=mean`"
            elif how != "mean" and how not in self._told:
                self._told.add(how)
                _LOGGER.warning("%s: %s(%s) is this number", what, how, name)

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """The recorded scores, at once."""
        future: Future[ScoreReply] = get_running_loop().create_future()
        try:
            future.set_result(self.score_now(request))
        except EngineError as error:
            future.set_exception(error)
        return future

    def score_now(self, request: ScoreRequest) -> ScoreReply:
        """The recorded scores of a text.

        Raises:
            EngineError: The record has none for it.
        """
        scores, tokens = self._of(request)
        sizes = _spread(tokens, [len(step) for step in request.steps])
        opening = len(split_text(request.problem))
        if MISSING in request.fields:
            opening = 0
        if not self.steps:
            whole = opening + sum(sizes)
            assert not isinstance(scores, tuple)
            return ScoreReply((scores,), whole, sizes=(whole,))
        if not isinstance(scores, tuple):
            scores = (scores,) * len(request.steps)
        if len(scores) != len(request.steps):
            raise EngineError(
                f"{self._record}: {len(scores)} scores for a text of {len(request.steps)} steps, "
                f"{_shown(request.text)}: what ends a step is another text there; say which, "
                "`--engine-arg policy.delimiter=TEXT`"
            )
        new = sizes[request.known :]
        read = sum(new) + (0 if request.known else opening)
        return ScoreReply(scores[request.known :], read, opening, tuple(new))

    @property
    def _record(self) -> str:
        return f"record {self.recorded.name}"

    def _of(self, request: ScoreRequest) -> tuple[Score, int]:
        texts = self._problems.get(request.problem)
        if texts is None:
            texts = self._problems[request.problem] = self.recorded.scores(request.problem)
            if len(self._problems) > _KEPT:
                self._problems.popitem(last=False)
        scored = texts.get(request.text)
        if scored is None or self.name not in scored.scores:
            raise EngineError(
                f"{self._record} has no score of `{self.name}` for the candidate "
                f"{_shown(request.text)}: score it with the model itself (`--scorer "
                f"{self.name}=...`)"
            )
        return scored.scores[self.name], scored.tokens


def _chosen(recorded: Recorded, scorer: str | None) -> tuple[str, ScorerAbout]:
    scorers = recorded.scorers
    if not scorers:
        raise EngineError(f"record {recorded.name} has no scores")
    listed = ", ".join(scorers)
    if scorer is None and len(scorers) == 1:
        return next(iter(scorers.items()))
    if scorer is None:
        raise EngineError(
            f"record {recorded.name} has the scorers {listed}: name one, "
            f"`replay:{recorded.name}?scorer=NAME`"
        )
    if scorer not in scorers:
        raise EngineError(f"record {recorded.name} has no scorer `{scorer}`; its scorers: {listed}")
    return scorer, scorers[scorer]


def _spread(total: int, lengths: Sequence[int]) -> list[int]:
    """A number of tokens over steps, by their lengths."""
    borders = [total * sum(lengths[:at]) // max(1, sum(lengths)) for at in range(len(lengths) + 1)]
    return [end - start for start, end in pairwise(borders)]


def _shown(text: str) -> str:
    return repr(" ".join(text.split())[-60:])
