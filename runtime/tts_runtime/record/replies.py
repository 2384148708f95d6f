"""What engines reply, kept as it arrives until the problem that asked has ended.

A problem is written when it ends (`record.writer`). Until then its replies stand in
`replies.jsonl`, so that a run that was killed draws again only what was being drawn. A program asks
the same again when it is given the same replies, so the next session serves them by what was asked.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, BinaryIO, Final, Self, cast

from tts_lang.readers import MAX_LINE_BYTES
from tts_runtime.engines.base import (
    GenerateRequest,
    Generation,
    PolicyEngine,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.stopping import stops_alike
from tts_runtime.problems.model import Trial
from tts_runtime.record.files import PRIVATE, REPLIES, seal_of, trial_of
from tts_runtime.record.lines import Damage, lines_of
from tts_runtime.record.reply_lines import (
    KeptGeneration,
    Name,
    digest_of,
    digest_of_call,
    generation_columns,
    generations_in,
    parts,
    path_name,
    score_lines,
)
from tts_runtime.record.writer import SYNC_EVERY
from tts_runtime.tokens import TextTokenizer

_LOGGER = logging.getLogger(__name__)

#: Lines of problems that have ended are taken out once they are most of the file, and this large.
_LEAST_WASTE: Final = 4 << 20
#: Kinds of calls that are remembered.
_MOST_CALLS: Final = 4096


@dataclass(slots=True)
class _New:
    """What has arrived since the last write."""

    generations: list[tuple[str, PolicyEngine, GenerateRequest, Generation]] = field(
        default_factory=list
    )
    scores: list[tuple[str, Sequence[ScoreRequest], Sequence[ScoreReply]]] = field(
        default_factory=list
    )


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
        self._new: dict[Trial, _New] = {}
        #: Lines of problems that have not ended: where they begin, and their lengths.
        self._places: dict[Trial, list[tuple[int, int]]] = {}
        self._size = self._live = 0
        self._ended: set[Trial] = set()
        self._scheduled = False
        self._synced = monotonic()
        self._file: BinaryIO | None = None
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
        return ProblemReplies(self, trial, self._values(trial))

    def drop(self, trial: Trial) -> None:
        """The problem is in the record."""
        self._ended.add(trial)
        self._new.pop(trial, None)
        self._live -= sum(length for _, length in self._places.pop(trial, ()))
        if self._size - self._live > max(self._live, _LEAST_WASTE):
            try:
                self._rewrite(self._living())
            except OSError as error:
                self._give_up(error)

    # ------------------------------------------------------------------ names

    def name(self, engine: PolicyEngine | ScorerEngine) -> str | None:
        """What the strategies call an engine; `None`: its replies are not kept."""
        return self._names.get(id(engine))

    def call(self, request: GenerateRequest) -> str:
        """A digest of how a request's tokens are drawn, and where they stop."""
        limits = request.limits
        if limits.watched:
            limits = replace(limits, stop_when=None, end_when=None)
        kind = (
            *(request.sampling, limits, request.first_rank, request.statistics),
            *(request.limits.stop_when is None, request.limits.end_when is None),
        )
        found = self._calls.get(kind)
        if found is None:
            if len(self._calls) >= _MOST_CALLS:
                self._calls.clear()
            found = self._calls[kind] = digest_of_call(request.sampling, limits, kind[2:])
        return found

    # ------------------------------------------------------------------ lines

    def add(self, trial: Trial) -> _New:
        """Where what arrives for a problem is collected until the event loop's next turn."""
        if trial in self._ended or self._file is None:
            return _New()
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._write)
        return self._new.setdefault(trial, _New())

    def _write(self) -> None:
        """Writes what has arrived, in one go."""
        self._scheduled = False
        arrived, self._new = self._new, {}
        if self._file is None or not arrived:
            return
        found: list[bytes] = []
        for trial, new in arrived.items():
            head = {"problem": trial.problem} | ({"seed": trial.seed} if trial.seed else {})
            for value in (*self._generated(new.generations), *score_lines(new.scores)):
                line = self._seal.line(head | value).encode("utf-8", "surrogatepass")
                if len(line) < MAX_LINE_BYTES:
                    found.append(line)
                    self._placed(trial, len(line))
        try:
            self._file.write(b"".join(found))
            self._file.flush()
            if monotonic() - self._synced > SYNC_EVERY:
                self._synced = monotonic()
                os.fsync(self._file.fileno())
        except OSError as error:
            self._give_up(error)

    def _placed(self, trial: Trial, length: int) -> None:
        self._places.setdefault(trial, []).append((self._size, length))
        self._size += length
        self._live += length

    def _generated(
        self, generations: Iterable[tuple[str, PolicyEngine, GenerateRequest, Generation]]
    ) -> Iterator[dict[str, Any]]:
        """Lines of generations: those that one policy drew alike stand side by side."""
        groups: dict[tuple[str, str], list[tuple[GenerateRequest, Generation]]] = {}
        of_text: dict[str, PolicyEngine] = {}
        for name, engine, request, generation in generations:
            groups.setdefault((name, self.call(request)), []).append((request, generation))
            if isinstance(engine.tokenizer, TextTokenizer):
                of_text[name] = engine
        for (name, call), pairs in groups.items():
            engine_of_text = of_text.get(name)
            for part in parts(pairs):
                line = {"policy": name, "call": call, **generation_columns(part)}
                if engine_of_text is not None:
                    pieces = engine_of_text.tokenizer.pieces
                    line["pieces"] = [pieces[token].decode("latin-1") for token in line.pop("ids")]
                yield line

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
        new = self._path.with_name(REPLIES + ".new")
        places: dict[Trial, list[tuple[int, int]]] = {}
        size = 0
        with _private(new, "wb") as file:
            for trial, line in lines:
                file.write(line)
                places.setdefault(trial, []).append((size, len(line)))
                size += len(line)
        self._close()
        new.replace(self._path)
        self._places, self._size, self._live = places, size, size
        self._file = _private(self._path, "ab")

    def _give_up(self, error: OSError) -> None:
        """Keeps nothing more; the run continues while its record can be written."""
        _LOGGER.warning(
            "%s cannot be written (%s): a kill would now lose the problems in flight",
            self._path,
            (error.strerror or type(error).__name__).lower(),
        )
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # what a full disk kept from being written was said before
                self._file.close()
            self._file = None


class ProblemReplies:
    """What one problem's requests were given, by what was asked."""

    def __init__(self, log: ReplyLog, trial: Trial, values: Iterator[dict[str, Any]]) -> None:
        self._log = log
        self._trial = trial
        self._generations: dict[Name, KeptGeneration] = {}
        self._scores: dict[tuple[str, str], Any] = {}
        for value in values:
            try:
                if "policy" in value:
                    self._generations |= generations_in(value)
                else:
                    for request, replies in zip(value["requests"], value["replies"], strict=True):
                        self._scores[str(value["scorer"]), str(request)] = replies
            except (KeyError, TypeError, ValueError) as error:
                _LOGGER.warning("%s: %r; it is drawn again", REPLIES, error)

    def generation(self, engine: PolicyEngine, request: GenerateRequest) -> Generation | None:
        """What this request was given; `None`: it has to be asked."""
        name = self._log.name(engine) if self._generations else None
        if name is None:
            return None
        found = self._generations.get((name, self._log.call(request), *path_name(request)))
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
        self, engine: PolicyEngine, request: GenerateRequest, generation: Generation
    ) -> None:
        """Keeps a generation."""
        name = self._log.name(engine)
        if name is not None:
            new = self._log.add(self._trial)
            new.generations.append((name, engine, request, generation))

    def scores(
        self, engine: ScorerEngine, requests: Sequence[ScoreRequest]
    ) -> Sequence[ScoreReply] | None:
        """What these requests were given: one path, or a pool that is scored together."""
        name = self._log.name(engine) if self._scores else None
        found = None if name is None else self._scores.get((name, digest_of(requests)))
        if found is None:
            return None
        return [
            ScoreReply(tuple(scores), opening=opening, sizes=tuple(sizes))
            for scores, opening, sizes in found
        ]

    def scored(
        self,
        engine: ScorerEngine,
        requests: Sequence[ScoreRequest],
        replies: Sequence[ScoreReply],
    ) -> None:
        """Keeps the scores of a path, or of a pool."""
        name = self._log.name(engine)
        if name is not None:
            self._log.add(self._trial).scores.append((name, requests, replies))


def _private(path: Path, mode: str) -> BinaryIO:
    file = open(  # noqa: SIM115  (the caller closes it)
        path, mode, opener=lambda name, flags: os.open(name, flags, PRIVATE)
    )
    return cast("BinaryIO", file)
