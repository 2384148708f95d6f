"""Paths as scorers read them: ids, and the positions where scores are read."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import pairwise, takewhile

from tts_runtime.engines.base import CandidateError, Fault, ScoreReply, ScoreRequest

#: Problems whose opening is cached.
_OPENINGS = 4096
#: Places whose scores are remembered.
_PLACES = 1 << 16


@dataclass(frozen=True, slots=True)
class Path:
    """A path as a scorer reads it.

    Args:
        ids: Everything up to the last place.
        places: Position of each score: one per step, or one for an outcome.
        opening: Tokens before the first step, if the first place is that of the first step.
        start: Tokens up to the last step that was known; `opening` if none was.
    """

    ids: tuple[int, ...]
    places: tuple[int, ...]
    opening: int = 0
    start: int = 0

    def reply(self, scores: Sequence[float | None], tokens: int) -> ScoreReply:
        """The reply with these scores; `tokens` were processed for it."""
        ends = [self.start, *(place + 1 for place in self.places)]
        sizes = tuple(end - begin for begin, end in pairwise(ends))
        return ScoreReply(tuple(scores), tokens, self.opening, sizes)


class KnownScores:
    """Scores by the ids up to their places, on which alone they depend.

    Candidates of one problem often begin with the same steps; these are read once. The least
    recently used scores are forgotten.
    """

    def __init__(self) -> None:
        self._scores: OrderedDict[bytes, float] = OrderedDict()

    def keys(self, path: Path) -> list[bytes]:
        """A key for each of a path's places."""
        digest = blake2b(digest_size=16)
        keys = []
        for begin, end in pairwise((0, *(place + 1 for place in path.places))):
            digest.update(array("q", path.ids[begin:end]).tobytes())
            keys.append(digest.digest())
        return keys

    def leading(self, keys: Sequence[bytes]) -> list[float]:
        """The scores of the first places, as far as all are known."""
        found = list(takewhile(self._scores.__contains__, keys))
        for key in found:
            self._scores.move_to_end(key)
        return [self._scores[key] for key in found]

    def add(self, keys: Sequence[bytes], scores: Sequence[float]) -> None:
        """Remembers scores."""
        self._scores.update(zip(keys, scores, strict=True))
        while len(self._scores) > _PLACES:
            self._scores.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Outline:
    """How a scorer lays out paths, independent of the model that reads them.

    Args:
        name: For messages.
        lay_out: Converts a request to ids and places, or raises CandidateError.
        context: Maximum number of tokens of a path.
        steps: One score per step, or one per path.
    """

    name: str
    lay_out: Callable[[ScoreRequest], Path]
    context: int
    steps: bool = True
    _openings: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    def path(self, request: ScoreRequest) -> Path | None:
        """The path with the places of the new scores; `None` if there are none.

        Raises:
            CandidateError: The path cannot be read; the message says why.
        """
        if self.steps and len(request.steps) <= request.known:
            return None
        if self.steps and not all(map(str.strip, request.steps)):
            blank = next(n for n, step in enumerate(request.steps, 1) if not step.strip())
            raise CandidateError(
                Fault.BLANK, f"scorer `{self.name}`: step {blank} is blank, so it has no score"
            )
        path = self.lay_out(request)
        wanted = len(request.steps) if self.steps else 1
        if len(path.places) != wanted:
            raise CandidateError(
                Fault.MARKED,
                f"scorer `{self.name}` finds {len(path.places)} places to read {wanted} scores at",
            )
        if len(path.ids) > self.context:
            raise CandidateError(
                Fault.TOO_LONG,
                f"a path of {len(path.ids)} tokens is too long for scorer `{self.name}`, which "
                f"reads {self.context}; bound the path with `within` or `max`",
            )
        known = request.known if self.steps else 0
        if known:
            return Path(path.ids, path.places[known:], start=path.places[known - 1] + 1)
        opening = self._opening(request) if self.steps else 0
        return Path(path.ids, path.places, opening, opening)

    def _opening(self, request: ScoreRequest) -> int:
        """Tokens before the first step: the common prefix of two layouts with different steps."""
        found = self._openings.get(request.problem)
        if found is None:
            if len(self._openings) >= _OPENINGS:
                self._openings.clear()
            one, other = (
                self.lay_out(replace(request, text=text, steps=(text,), known=0)).ids
                for text in ("a", "1")
            )
            pairs = enumerate(zip(one, other, strict=False))
            found = next((at for at, (left, right) in pairs if left != right), 0)
            self._openings[request.problem] = found
        return found
