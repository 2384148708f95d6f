"""A policy that draws from a record: the n-th child of a path is the one that was recorded."""

from __future__ import annotations

import logging
from asyncio import Future, get_running_loop
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tts_lang.plan.graph import Plan
from tts_runtime.engines.base import (
    Ability,
    CandidateError,
    EngineError,
    Fault,
    Finish,
    GenerateRequest,
    Generation,
    Limits,
    NotRecordedError,
    PolicyEngine,
)
from tts_runtime.problems.model import Trial
from tts_runtime.replay.clauses import clauses_of, same_limits, unfit
from tts_runtime.replay.options import ReplayOptions
from tts_runtime.replay.reached import Reached, reached_in
from tts_runtime.replay.samples import DRAWING, MISSING, ROOM, Place, Recorded, parted, text_of
from tts_runtime.replay.sources import open_recorded
from tts_runtime.streams import Key, child_key, root_key, thinking_key
from tts_runtime.tokens import TEXT, TextTokenizer, split_evenly

_LOGGER = logging.getLogger(__name__)
#: Seeds that are tried to say which one a run has.
_TRIED = 1000

_NO_STATISTICS = "is a record, and has no statistics of tokens: bind the model itself"
_NO_TOKENS = "is a record, which does not say where its tokens end: bind the model itself"


class _Pieces(TextTokenizer):
    """The shared tokenizer of texts, but for those whose number of ids is recorded."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._counts = counts

    @property
    def pieces(self) -> Sequence[bytes]:
        """The pieces of the shared tokenizer."""
        return TEXT.pieces

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of a text."""
        count = self._counts.get(text)
        if count is None:
            return TEXT.encode(text)
        return tuple(
            self.id(piece.encode("utf-8", "replace")) for piece in split_evenly(text, count)
        )

    def id(self, data: bytes) -> int:
        """The id of a piece."""
        return TEXT.id(data)


class ReplayPolicy(PolicyEngine):
    """Serves recorded samples.

    A request is answered from the record if the record has this very draw: this child of this path,
    sampled by the same clauses, as far as it is asked for. Anything else fails its problem with
    what is missing; nothing is made up.

    Args:
        path: A run directory or files of samples.
        options: What the files do not say.

    Raises:
        EngineError: They cannot be read.
    """

    borders = False

    def __init__(self, path: str, options: ReplayOptions | None = None) -> None:
        self.recorded: Recorded = open_recorded(path, options or ReplayOptions())
        recorded = self.recorded
        self.binding = recorded.binding
        self.tokenizer = _Pieces(recorded.forced)
        self.card = recorded.card
        lacks = {
            Ability.FIRST_TOKENS: _NO_STATISTICS,
            Ability.CONFIDENCE: _NO_STATISTICS,
            Ability.CERTAINTY: _NO_STATISTICS,
            Ability.ENTROPY: _NO_STATISTICS,
            Ability.MARGIN: _NO_STATISTICS,
            Ability.STREAMING: _NO_TOKENS,
        }
        if not recorded.logprobs:
            lacks[Ability.LOGPROBS] = (
                "is a record without log-probabilities: bind the model itself, or run with "
                "`--keep logprobs`"
            )
        self.lacks = MappingProxyType(lacks)
        self._roots: dict[Key, Trial] = {
            root_key(trial.seed, trial.problem): trial for trial in recorded.trials
        }
        self._reached = reached_in(recorded)
        #: Places of recorded streams that are neither the problem nor drawn, by trial.
        self._starts: dict[Trial, dict[tuple[Key | None, int], Place]] = {}
        self._told: set[str] = set()
        #: Messages about problems that are not recorded: finding their seed takes a while.
        self._strangers: dict[Key, str] = {}
        if any(MISSING in problem.fields for problem in recorded.problems):
            _LOGGER.warning(
                "record %s does not have the texts of its problems: prompt tokens are not counted",
                recorded.name,
            )

    def unfit(self, plan: Plan, name: str) -> Iterator[str]:
        """Requests of a plan to this policy that the record cannot have."""
        return unfit(self.recorded, plan, name)

    async def close(self) -> None:
        """Leaves the table of paths to the policies that are still open."""
        self._reached = Reached()

    # ------------------------------------------------------------------ requests

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """The recorded draw, at once."""
        future: Future[Generation] = get_running_loop().create_future()
        try:
            future.set_result(self.generate_now(request))
        except EngineError as error:
            future.set_exception(error)
        return future

    def generate_now(self, request: GenerateRequest) -> Generation:
        """The recorded draw.

        Raises:
            EngineError: The record does not have it: where it ends, and what to do.
            CandidateError: It is a candidate that failed when it was recorded.
        """
        origin = request.origin
        if origin is None:
            raise EngineError(
                f"record {self.recorded.name}: replies to judges and graders, and texts of "
                "look-ahead, are not recorded: bind the model itself"
            )
        trial = self._roots.get(origin.root)
        if trial is None:
            if origin.root not in self._strangers:
                self._strangers[origin.root] = self._unknown(request, origin.root)
            raise EngineError(self._strangers[origin.root])
        start = self._place(trial, request)
        return self._served(trial, start, request, origin.number)

    def _unknown(self, request: GenerateRequest, root: Key) -> str:
        """The message about a problem, or a seed, that is not recorded."""
        recorded = self.recorded
        seeds = ", ".join(map(str, recorded.seeds))
        prompt = text_of(request.prompt)
        for problem in recorded.problems:
            for seed in range(_TRIED):
                if root_key(seed, problem.id) == root:
                    return (
                        f"record {recorded.name}: problem {problem.id} is not there under seed "
                        f"{seed}; its seeds are {seeds}"
                    )
        shown = " ".join(prompt.split())[:60]
        return (
            f"record {recorded.name} has no such problem under this seed: {shown!r}; take the "
            f"problems from it (`--problems replay:{recorded.name}`), or give them its ids; "
            f"its seeds are {seeds}"
        )

    # ------------------------------------------------------------------ where a path lies

    def _place(self, trial: Trial, request: GenerateRequest) -> Place:
        """The place of the path that a request continues."""
        origin = request.origin
        assert origin is not None
        position = len(request.prefix)
        reached = self._reached.places.get((trial, origin.parent, position, origin.level))
        if reached is not None:
            return reached
        root = self.recorded.root(trial)
        prompt = text_of(request.prompt)
        problem = self.recorded.by_id[trial.problem]
        own = [
            self.binding.open(problem.text, thinking=thinks, before=problem.before)
            for thinks in (False, True)
        ]
        if not position and origin.parent in (origin.root, thinking_key(origin.root)):
            self._check_prompt(trial, prompt, own)
            place = root
            if origin.parent != origin.root:
                place = self._started(trial).get((origin.parent, 0), root)
        else:
            place = self._started(trial).get((origin.parent, position)) or self._place_by_text(
                trial, request, root, prompt, own
            )
        self._reached.places[trial, origin.parent, position, origin.level] = place
        self._reached.keys[place] = origin.parent
        return place

    def _check_prompt(self, trial: Trial, prompt: str, own: Sequence[str]) -> None:
        problem = self.recorded.by_id[trial.problem]
        if prompt not in own and not problem.fields.get(MISSING):
            raise EngineError(
                f"record {self.recorded.name}: problem {trial.problem} has another text here than "
                "in the record: take the problems from the record "
                f"(`--problems replay:{self.recorded.name}`)"
            )

    def _started(self, trial: Trial) -> dict[tuple[Key | None, int], Place]:
        """Places that are neither the problem nor drawn, by key and position."""
        starts = self._starts.get(trial)
        if starts is None:
            others = self.recorded.root(trial).others
            starts = {(each.key, each.position): each for each in others if each.key is not None}
            self._starts[trial] = starts
        return starts

    def _place_by_text(
        self, trial: Trial, request: GenerateRequest, root: Place, prompt: str, own: Sequence[str]
    ) -> Place:
        """The place of a path whose key is another than the recorded one.

        Keys of what is forced depend on ids, and those of this record are not the policy's; so such
        a place is found by its text, and by the key that this run gives it. A question about such a
        path is found by its text.
        """
        origin = request.origin
        assert origin is not None
        text = text_of(request.prefix)
        candidates = [
            candidate
            for candidate in root.others
            if candidate.whole == text and (prompt in own if candidate.prompt is None else True)
        ]
        if prompt not in own:
            opened = {
                candidate.prompt: self.binding.open(candidate.prompt, thinking=False)
                for candidate in candidates
                if candidate.prompt is not None
            }
            thinking = {
                candidate.prompt: self.binding.open(candidate.prompt, thinking=True)
                for candidate in candidates
                if candidate.prompt is not None
            }
            candidates = [
                candidate
                for candidate in candidates
                if candidate.prompt is not None
                and prompt in (opened[candidate.prompt], thinking[candidate.prompt])
            ]
        for candidate in candidates:
            if origin.parent in self._reached.own_keys(trial, root, candidate, request.prefix):
                return candidate
        if prompt not in own:
            used = {
                place
                for (other, key, *_), place in self._reached.places.items()
                if other == trial and key != origin.parent
            }
            free = [candidate for candidate in candidates if candidate not in used]
            if free:
                return free[0]
        raise self._off(trial, request, prompt in own)

    def _off(self, trial: Trial, request: GenerateRequest, own: bool) -> EngineError:
        name = f"record {self.recorded.name}: problem {trial.problem}"
        if not own:
            shown = " ".join(text_of(request.prompt).split())[-60:]
            return EngineError(f"{name}: a question that was not asked there: ...{shown!r}")
        if not request.prefix:
            return EngineError(
                f"{name}: this samples the problem a second time, independently of the first, and "
                "the record has one set of samples"
            )
        text = text_of(request.prefix)
        shown = " ".join(text.split())[-60:]
        return EngineError(
            f"{name}: nothing was sampled there after a path that ends {shown!r}"
            + parted(self.recorded.root(trial), text)
        )

    # ------------------------------------------------------------------ what was drawn there

    def _served(
        self, trial: Trial, start: Place, request: GenerateRequest, number: int
    ) -> Generation:
        origin = request.origin
        assert origin is not None
        clauses = clauses_of(request, self.recorded.policy)
        child = self._child(trial, start, clauses, request.limits, number)
        if child.error is not None:
            raise CandidateError(Fault.UNUSABLE, f"as recorded: {child.error}")
        drawn = self._as_far_as(trial, child, clauses, request.limits, number)
        ids = tuple(token for each in drawn for token in each.ids)
        segments = request.segments
        delimiter = self.binding.step_delimiter.encode()
        for token in ids:
            segments = segments.add(TEXT.pieces[token], delimiter)
        last = drawn[-1]
        if segments.steps != last.steps:  # the last token closed a step, or began the next
            segments = segments.with_grown(last.steps != segments.many_closed)
        position = len(request.prefix) + len(ids)
        level = 0 if ids else origin.level + 1
        self._reached.places[trial, request.key, position, level] = last
        self._reached.keys[last] = request.key
        if not request.sampling.temperature and request.first_rank is None:
            self._reach_siblings(trial, start, request, clauses)
        finish = last.finish or Finish.STOP
        before = start.logprob if start.clauses is not None else 0.0
        measured = last.logprob is not None and before is not None
        sums = [float("nan")] * len(ids)
        end = 0.0
        if measured:
            assert last.logprob is not None
            assert before is not None
            sums = [0.0] * len(ids)
            if ids:
                sums[0] = last.logprob - before
            else:
                end = last.logprob - before
        return Generation(
            ids,
            tuple(sums),
            finish,
            segments,
            end,
            last.done and finish is not Finish.END,
            sum(each.drawn for each in drawn) + _withheld(start, last, request.limits),
            len(request.prompt) + len(request.prefix),
        )

    def _reach_siblings(
        self, trial: Trial, start: Place, request: GenerateRequest, clauses: Mapping[str, Any]
    ) -> None:
        """Greedy children are one request (C15); what was drawn behind each is found by its key."""
        origin, limits = request.origin, request.limits
        assert origin is not None
        for number in start.children:
            try:
                child = self._child(trial, start, clauses, limits, number)
                drawn = self._as_far_as(trial, child, clauses, limits, number)
            except NotRecordedError:
                continue
            begin, tag = len(request.prefix), child.claimed
            key = child_key(origin.parent, start.claimed, begin, origin.level, number, tag)
            grown = sum(each.count for each in drawn)
            level = 0 if grown else origin.level + 1
            self._reached.places.setdefault((trial, key, begin + grown, level), drawn[-1])

    def _child(
        self, trial: Trial, start: Place, clauses: Mapping[str, Any], limits: Limits, number: int
    ) -> Place:
        """The draw of this number; of several, that with the same limits, else the longest."""
        there = start.children.get(number, [])
        failed = start.prompt is not None and start.key is None  # as every draw from it did
        fit = [each for each in there if each.drawn_as(clauses)]
        if not fit and (failed or not clauses["temperature"]):  # greedy: all are the same draw
            there = [each for group in start.children.values() for each in group]
            fit = [each for each in there if each.drawn_as(clauses)]
        if fit:
            return next((each for each in fit if same_limits(each, limits)), max(fit, key=_size))
        name = f"record {self.recorded.name}: problem {trial.problem}"
        if there:
            recorded = there[0].clauses or {}
            differing = [
                f"{key.replace('_', ' ')} {recorded[key]} there, {clauses.get(key, off)} here"
                for key, off in DRAWING.items()
                if key in recorded and recorded[key] != clauses.get(key, off)
            ]
            raise NotRecordedError(
                f"{name}: draw {number + 1} was sampled by other clauses: {', '.join(differing)}"
            )
        many = len(start.children)
        where = ""
        if start.whole:
            where = f" after a path that ends {' '.join(start.whole.split())[-40:]!r}"
        if not many:
            raise NotRecordedError(f"{name}: the record ends{where}: nothing was sampled there")
        raise NotRecordedError(
            f"{name}: the record ends{where} with draw {many}, and draw {number + 1} is asked for: "
            "use fewer samples, or another record"
        )

    def _as_far_as(
        self, trial: Trial, child: Place, clauses: Mapping[str, Any], limits: Limits, number: int
    ) -> list[Place]:
        """The recorded draws that together are what a request with these limits would give."""
        drawn, count = [child], child.count
        name = f"record {self.recorded.name}: problem {trial.problem}, draw {number + 1}"
        while True:
            last = drawn[-1]
            if count > limits.max_tokens or (
                limits.unit_tokens and count > limits.unit_tokens and len(drawn) == 1
            ):
                most = min(limits.max_tokens, limits.unit_tokens or limits.max_tokens)
                raise NotRecordedError(
                    f"{name} has {count} tokens, and this stops after {most}: the record does not "
                    "say where tokens end"
                )
            if same_limits(last, limits) and len(drawn) == 1:
                return drawn
            if last.finish is Finish.END or (last.done and last.finish is not None):
                return self._whole(name, drawn, limits)
            if last.finish is Finish.LENGTH and self._limit_reached(last, limits):
                return drawn
            further = [
                draw
                for draw in last.children.get(0, [])
                if draw.drawn_as(clauses) and not draw.error
            ]
            if not further or (self.recorded.flat and last.finish is Finish.LENGTH):
                raise NotRecordedError(
                    f"{name} was stopped after {count} tokens when it was recorded, and this goes "
                    "on: the record ends there"
                )
            drawn.append(max(further, key=_size))
            count += drawn[-1].count

    def _whole(self, name: str, drawn: list[Place], limits: Limits) -> list[Place]:
        """Draws that ended by themselves, if nothing would have stopped them before."""
        delimiter = self.binding.step_delimiter
        text = "".join(each.text for each in drawn)
        stops = (
            (limits.steps and text.rstrip().count(delimiter) >= limits.steps)
            or (limits.stop_at and limits.stop_at in text.encode())
            or limits.thought
        )
        if stops:
            raise NotRecordedError(
                f"{name} is recorded as a whole, and this stops inside: the record does not say "
                "where its tokens end"
            )
        return drawn

    def _limit_reached(self, last: Place, limits: Limits) -> bool:
        """Whether a draw that was cut at the engine's own limit is what this request would give."""
        limit = self.recorded.limit
        if limit is None or last.count < limit:
            return last.count == limits.max_tokens
        if limits.max_tokens < ROOM // 2 and limits.max_tokens != limit:
            return False
        if "limit" not in self._told:
            self._told.add("limit")
            _LOGGER.info(
                "record %s: samples of %s tokens were cut there when they were recorded",
                self.recorded.name,
                f"{limit:,}",
            )
        return True


def _withheld(start: Place, last: Place, limits: Limits) -> int:
    """Tokens that ended a thought, and are no part of its text."""
    stop = limits.stop_at.decode("utf-8", "replace")  # may begin in the text that was continued
    stopped = stop and last.whole.find(stop, max(0, len(start.whole) - len(stop) + 1)) >= 0
    return len(limits.thought) if last.finish is Finish.STOP and not stopped else 0


def _size(place: Place) -> int:
    return place.count
