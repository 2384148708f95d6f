"""Paths as scorers read them: ids, and the places that scores are read at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tts_runtime.engines.base import CandidateError, Fault, ScoreRequest


@dataclass(frozen=True, slots=True)
class Path:
    """A path as a scorer reads it.

    Args:
        ids: Everything up to the last place.
        places: The position that each score is read at: one per step, or one for an outcome.
    """

    ids: tuple[int, ...]
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """How one scorer lays paths out, whatever reads them.

    Args:
        name: For messages.
        lay_out: A request as ids and places; raises CandidateError for one that it cannot read.
        context: Most tokens of a path.
        steps: One score per step, or one per path.
    """

    name: str
    lay_out: Callable[[ScoreRequest], Path]
    context: int
    steps: bool = True

    def path(self, request: ScoreRequest) -> Path | None:
        """The path with the places of the scores that are wanted; nothing if none is.

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
        return Path(path.ids, path.places[request.known if self.steps else 0 :])
