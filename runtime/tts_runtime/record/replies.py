"""What engines reply, kept as it arrives until the problem that asked has ended.

A problem is written when it ends (`record.writer`). Until then its replies stand in
`replies.jsonl`, so that a run that was killed draws again only what was being drawn. A program asks
the same again when it is given the same replies, so the next session serves them by what was asked.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import CancelledError, Future
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import process_time
from types import TracebackType
from typing import Any, BinaryIO, Final, Self
from weakref import WeakValueDictionary

from tts_lang.readers import MAX_LINE_BYTES
from tts_runtime.engines.base import (
    GenerateRequest,
    Generation,
    Limits,
    PolicyEngine,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.stopping import stops_alike
from tts_runtime.executor.nodes import Node
from tts_runtime.problems.model import Trial
from tts_runtime.record.disk import DiskSync
from tts_runtime.record.files import REPLIES, open_private, replaced, seal_of, trial_of
from tts_runtime.record.lines import Damage, lines_of
from tts_runtime.record.reply_lines import (
    DrawnReplies,
    KeptGeneration,
    Name,
    ScorerReplies,
    digest_of,
    digest_of_call,
    generations_in,
    path_digest,
    path_name,
    scores_in,
)
from tts_runtime.tokens import TextTokenizer

_LOGGER = logging.getLogger(__name__)

#: Lines of problems that have ended are taken out once they are most of the file, and this large.
_LEAST_WASTE: Final = 4 << 20
#: Seconds of processor time for which what arrives may wait while more arrives all the time, and
#: tokens of what it is about.
_LONGEST_WAIT: Final = 1.0
_MOST_WAITING: Final = 1 << 20
#: Kinds of calls that are remembered.
_MOST_CALLS: Final = 4096


class ReplyLog:
    """The replies to all problems in flight; a context manager that closes the file.

    Args:
        directory: Of the run.
        identity: Of the run.
        engines: By name in the strategies.
        ended: Whether a problem is in the record, so that its replies are of no use.

    `damaged`: lines of an earlier session that cannot be believed; what they held is drawn again.

    Raises:
        OSError: The file cannot be read or written.
    """

    def __init__(
        self,
        directory: Path,
        identity: str,
        engines: Mapping[str, PolicyEngine | ScorerEngine],
        ended: Callable[[Trial], bool],
    ) -> None:
        self._path = directory / REPLIES
        self._seal = seal_of(identity, "", REPLIES)
        self._names = {id(engine): name for name, engine in engines.items()}
        self._calls: dict[Any, str] = {}
        self.damaged: list[Damage] = []
        #: Problems that have been given something since the last write.
        self._new: list[ProblemReplies] = []
        #: Lines of problems that have not ended: where they begin, and their lengths.
        self._places: dict[Trial, list[tuple[int, int]]] = {}
        self._size = self._live = 0
        self._open: WeakValueDictionary[Trial, ProblemReplies] = WeakValueDictionary()
        self._scheduled = False
        #: How often something was given: in all, when `_look` looked last.
        self.arrivals = 0
        self._seen = 0
        #: Tokens of the paths that requests continue which are kept themselves until the write.
        self.waiting_tokens = 0
        self._file: BinaryIO | None = None
        self._disk = DiskSync(lambda: () if self._file is None else (self._file,))
        self._rewrite(
            (trial, line.encode("utf-8", "surrogateescape"))
            for line, value in lines_of(self._path, self._seal, self.damaged)
            if not ended(trial := trial_of(value))
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._write()
        try:
            if self._file is not None and self._live < self._size:
                self._rewrite(self._living())
        except OSError as problem:
            self._give_up(problem)
        self._close()
        if not self._places:
            self._path.unlink(missing_ok=True)

    def of(self, trial: Trial) -> ProblemReplies:
        """The replies to one problem, those of an earlier session read back."""
        found = self._open[trial] = ProblemReplies(self, trial, self._values(trial))
        return found

    def drop(self, trial: Trial) -> None:
        """The problem is in the record."""
        replies = self._open.pop(trial, None)
        if replies is not None:
            if replies in self._new:
                self._new.remove(replies)
            replies.end()
        self._live -= sum(length for _, length in self._places.pop(trial, ()))
        if self._size - self._live > max(self._live, _LEAST_WASTE):
            try:
                self._rewrite(self._living())
            except OSError as error:
                self._give_up(error)

    # ------------------------------------------------------------------ names

    def name(self, engine: PolicyEngine | ScorerEngine) -> str:
        """What the strategies call an engine; empty: its replies are not kept."""
        return self._names.get(id(engine), "")

    def call(self, request: GenerateRequest) -> str:
        """A digest of how a request's tokens are drawn, and where they stop but for their number.

        That depends on how long a path is.
        """
        limits = request.limits
        kind = (
            *(request.sampling, request.first_rank, request.statistics, limits.steps),
            *(limits.thought, limits.unit_tokens, limits.stop_at, limits.at_least),
            *(limits.matching, limits.begun, limits.stop_when is None, limits.end_when is None),
        )
        found = self._calls.get(kind)
        if found is None:
            if len(self._calls) >= _MOST_CALLS:
                self._calls.clear()
            found = self._calls[kind] = digest_of_call(kind)
        return found

    # ------------------------------------------------------------------ lines

    def add(self, replies: ProblemReplies) -> None:
        """A problem was given something: it is written soon."""
        replies.since = process_time()
        self._new.append(replies)
        if not self._scheduled:
            self._scheduled, self._seen = True, -1
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        """Writes what has arrived once a turn of the event loop brings nothing more.

        While every turn does, engines are faster than who asks them: problems that end within a
        second are then never written here.
        """
        if self.arrivals == self._seen:
            self._write()
            return
        self._seen = self.arrivals
        before = process_time() - _LONGEST_WAIT
        many = self.waiting_tokens >= _MOST_WAITING
        if many or (self._new and self._new[0].since <= before):  # the first came first
            left = [each for each in self._new if not many and each.since > before]
            self._new = self._new[: len(self._new) - len(left)]
            self._write()
            self._new = left
            self._scheduled = bool(left)
        if self._scheduled:
            asyncio.get_running_loop().call_soon(self._look)

    def _write(self) -> None:
        """Writes what has arrived, in one go."""
        self._scheduled = False
        arrived, self._new = self._new, []
        found: list[bytes] = []
        for problem in arrived:
            trial = problem.trial
            head = {"problem": trial.problem} | ({"seed": trial.seed} if trial.seed else {})
            for value in problem.lines():
                line = self._seal.line({**head, **value})
                if len(line) < MAX_LINE_BYTES:
                    found.append(line)
                    self._placed(trial, len(line))
        if self._file is None or not found:
            return
        try:
            self._file.write(b"".join(found))
            self._file.flush()
        except OSError as error:
            self._give_up(error)
        self._disk.written()

    def _placed(self, trial: Trial, length: int) -> None:
        self._places.setdefault(trial, []).append((self._size, length))
        self._size += length
        self._live += length

    def _values(self, trial: Trial) -> Iterator[dict[str, Any]]:
        places = self._places.get(trial)
        if not places or self._file is None:
            return
        with self._path.open("rb") as file:
            for start, length in places:
                file.seek(start)
                try:
                    yield self._seal.read(file.read(length).decode("utf-8", "surrogateescape"))
                except ValueError as error:
                    _LOGGER.warning("%s: %s; it is drawn again", REPLIES, error)

    def _living(self) -> Iterator[tuple[Trial, bytes]]:
        places = dict(self._places)
        with self._path.open("rb") as file:
            for trial, found in places.items():
                for start, length in found:
                    file.seek(start)
                    yield trial, file.read(length)

    def _rewrite(self, lines: Iterator[tuple[Trial, bytes]]) -> None:
        """Puts these lines in place of what is there."""
        places: dict[Trial, list[tuple[int, int]]] = {}
        size = 0
        with replaced(self._path) as file:
            for trial, line in lines:
                file.write(line)
                places.setdefault(trial, []).append((size, len(line)))
                size += len(line)
            self._close()
        self._places, self._size, self._live = places, size, size
        self._file = open_private(self._path, "ab")

    def _give_up(self, error: OSError) -> None:
        """Keeps nothing more; the run continues while its record can be written."""
        _LOGGER.warning(
            "%s cannot be written (%s): a kill would now lose the problems in flight",
            self._path,
            (error.strerror or type(error).__name__).lower(),
        )
        self._close()

    def _close(self) -> None:
        self._disk.wait()
        if self._file is not None:
            with suppress(OSError):  # what a full disk kept from being written was said before
                self._file.close()
            self._file = None


class ProblemReplies:
    """What one problem's requests were given, by what was asked.

    `empty`: an earlier session left nothing.
    """

    def __init__(self, log: ReplyLog, trial: Trial, values: Iterator[dict[str, Any]]) -> None:
        self._log = log
        self.trial = trial
        #: Processor time at which the first of what is to be written arrived.
        self.since = 0.0
        #: It is in the record: what still arrives is of no use.
        self._ended = False
        #: What has been given since the last lines: by policy and call, and by scorer.
        self._drawn: dict[tuple[str, str], DrawnReplies] = {}
        self._read: dict[str, ScorerReplies] = {}
        self._listed = False
        #: Its part of `ReplyLog.waiting_tokens`.
        self._waiting_tokens = 0
        #: What was asked last, and where replies to its like go.
        self._limits: Limits | None = None
        self._rank: int | None = None
        self._room = 0
        self._replies = DrawnReplies("", "", False, None)
        self._scorer: ScorerEngine | None = None
        self._scored = ScorerReplies("")
        self._generations: dict[Name, KeptGeneration] = {}
        self._scores: dict[tuple[str, str], Any] = {}
        for value in values:
            try:
                if "policy" in value:
                    self._generations |= generations_in(value)
                else:
                    self._scores |= scores_in(value)
            except (KeyError, TypeError, ValueError) as error:
                _LOGGER.warning("%s: %r; it is drawn again", REPLIES, error)
        self.empty = not self._generations and not self._scores

    def generation(self, engine: PolicyEngine, request: GenerateRequest) -> Generation | None:
        """What this request was given; `None`: it has to be asked."""
        if not self._generations:
            return None
        name = self._log.name(engine), self._log.call(request), *path_name(request)
        found = self._generations.get(name)
        if found is None:
            return None
        try:
            generation = found.generation(engine, request)
        except IndexError:  # a model of the same name with a smaller vocabulary
            return None
        if request.limits.watched and not stops_alike(request, engine, generation):
            return None
        return generation

    def generated(
        self, engine: PolicyEngine, request: GenerateRequest, reply: Future[Generation]
    ) -> None:
        """Keeps a generation that is done, if it is one."""
        if reply.cancelled() or reply.exception() is not None:
            return
        self._of(engine, request).others.append((request, reply.result()))
        self._waiting_tokens += request.position
        self._log.waiting_tokens += request.position

    def drawn(self, request: GenerateRequest, node: Node) -> None:
        """Keeps a generation of which a node was made: that, which is there anyway, has it all.

        One operation's requests share their limits.
        """
        if request.limits is not self._limits or request.first_rank is not self._rank:
            self._replies = self._of(node.policy.engine, request)
            self._limits, self._rank = request.limits, request.first_rank
            self._room = request.limits.max_tokens
        self._replies.nodes.append(node)
        self._replies.rooms.append(self._room)
        self._log.arrivals += 1

    def scores(
        self, engine: ScorerEngine, requests: Sequence[ScoreRequest]
    ) -> Sequence[ScoreReply] | None:
        """What these requests were given: one path, or a pool that is scored together."""
        if not self._scores:
            return None
        found = self._scores.get((self._log.name(engine), digest_of(requests)))
        if found is None:
            return None
        return [
            ScoreReply(tuple(scores), opening=opening, sizes=tuple(sizes))
            for scores, opening, sizes in found
        ]

    def scored(
        self, engine: ScorerEngine, requests: Sequence[ScoreRequest], reply: Future[Any]
    ) -> None:
        """Keeps the scores of a path (one reply), or of a pool (several), if there are any."""
        if reply.cancelled() or reply.exception() is not None:
            return
        self._by(engine).others.append((requests, reply.result()))

    def read(
        self,
        engine: ScorerEngine,
        path: ScoreRequest | bytes,
        known: int,
        reply: Future[ScoreReply],
    ) -> None:
        """`scored` of a path: what was asked, or its digest and how many steps were known."""
        try:
            found = reply.result()
        except (Exception, CancelledError):  # noqa: BLE001  (who waits for it hears of it)
            return
        if engine is not self._scorer:
            self._scored, self._scorer = self._by(engine), engine
        kept = self._scored
        self._log.arrivals += 1
        if not isinstance(path, bytes):
            kept.others.append(((path,), found))
        elif type(found) is ScoreReply and len(found.scores) == len(found.sizes) == 1:
            kept.digests.append(path)
            kept.known.append(known)
            kept.openings.append(found.opening)
            kept.scores += found.scores
            kept.sizes += found.sizes
        else:
            kept.others.append((path_digest(path, known), found))

    def _of(self, engine: PolicyEngine, request: GenerateRequest) -> DrawnReplies:
        """Where replies to such a request go."""
        self._arrives()
        name, call = self._log.name(engine), self._log.call(request)
        found = self._drawn.get((name, call))
        if found is None:
            of_text = isinstance(engine.tokenizer, TextTokenizer)
            found = self._drawn[name, call] = DrawnReplies(
                name,
                call,
                request.sampling.temperature > 0,
                engine.tokenizer.pieces if of_text else None,
            )
        return found

    def _by(self, engine: ScorerEngine) -> ScorerReplies:
        """Where a scorer's replies go."""
        self._arrives()
        name = self._log.name(engine)
        return self._read.setdefault(name, ScorerReplies(name))

    def _arrives(self) -> None:
        """Something is given: it is written soon."""
        self._log.arrivals += 1
        if not self._listed:
            self._listed = True
            self._log.add(self)

    def end(self) -> None:
        """It is in the record."""
        self._ended = True
        self._take()

    def _take(self) -> list[DrawnReplies | ScorerReplies]:
        """What has been given since the last lines."""
        taken: list[DrawnReplies | ScorerReplies] = list(self._drawn.values())
        taken += self._read.values()
        self._drawn, self._read, self._listed = {}, {}, False
        self._limits = self._scorer = None
        self._log.waiting_tokens -= self._waiting_tokens
        self._waiting_tokens = 0
        return taken

    def lines(self) -> Iterator[dict[str, Any]]:
        """What has been given since the last: what one engine did alike stands side by side."""
        taken = self._take()
        if not self._ended:
            for each in taken:
                yield from each.lines() if each.name else ()
