"""Where the paths of a run lie in a record."""

from __future__ import annotations

from threading import get_ident
from weakref import WeakValueDictionary

from tts_runtime.problems.model import Trial
from tts_runtime.replay.samples import Place, Recorded
from tts_runtime.streams import Key, cut_key, forced_key, root_key, split_key, thinking_key

#: Pieces that a path may have been split into.
_PIECES = 64


class Reached:
    """The places of a run's paths, for all policies on one record.

    One policy may continue what another drew (`expand p` of a pool `from small`), so those that are
    open at a time in one thread share it (`reached_in`).
    """

    def __init__(self) -> None:
        #: By trial, key, position and level.
        self.places: dict[tuple[Trial, Key, int, int], Place] = {}
        #: The latest key of each place in this run.
        self.keys: dict[Place, Key] = {}

    def own_keys(
        self, trial: Trial, root: Place, place: Place, prefix: tuple[int, ...]
    ) -> set[Key]:
        """The keys that a place has in this run; `prefix`: the ids of the whole path."""
        keys = {key for key in (self.keys.get(place), place.key) if key is not None}
        if place is root:
            key = root_key(trial.seed, trial.problem)
            return {key, thinking_key(key)}
        if place.clauses is not None or not place.text:
            return keys
        start = 0 if place.before is None else place.before.position
        ids = prefix[start : start + place.count]
        sources = [place.before]
        if place.before is None:
            sources = [root, *(each for each in root.others if not each.whole)]
        for source in filter(None, sources):
            for key in self.own_keys(trial, root, source, prefix):
                keys.add(forced_key(key, start, ids))
        if place.before is None:  # cut or split: its text is written whole
            for other, key, position, _ in self.places:
                if other == trial and position >= place.count:
                    keys.add(cut_key(key, position, place.count))
                    keys.update(split_key(key, position, piece, ids) for piece in range(_PIECES))
        return keys


_OPEN: WeakValueDictionary[tuple[int, object], Reached] = WeakValueDictionary()


def reached_in(recorded: Recorded) -> Reached:
    """The table of this thread's open policies on a record; a new one if none is open."""
    return _OPEN.setdefault((get_ident(), recorded.trees), Reached())
