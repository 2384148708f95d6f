"""Search over steps with a PRM: beams and what becomes of finished ones, DVTS, look-ahead."""

from __future__ import annotations

from tests.support.published.choosing import (
    average,
    best,
    by_prm,
    evenly,
    last,
    top,
    top_of,
    vote,
)
from tests.support.published.lab import Lab
from tests.support.published.path import Path
from tests.support.published.worlds import published


def all_done(paths: list[Path]) -> bool:
    """Nothing is left to extend."""
    return all(path.done for path in paths)


def _open(paths: list[Path]) -> list[Path]:
    return [path for path in paths if not path.done]


def _done(paths: list[Path]) -> list[Path]:
    return [path for path in paths if path.done]


def _to_the_end(lab: Lab, paths: list[Path]) -> list[Path]:
    return [end for path in paths for end in lab.sample(path)]


@published
def beam_search(lab: Lab, n: int = 16, width: int = 4, depth: int = 40) -> Path | None:
    """Keep n/width of n, extend each by `width` next steps. Snell et al. (2024), section 5.2.

    Finished beams compete; after `depth` steps what is left runs to its end.
    """
    beams = lab.sample(lab.problem, n, steps=1)
    for _ in range(depth - 1):
        if all_done(beams):
            break
        kept = top(beams, n // width, by_prm(lab))
        beams = [child for beam in kept for child in lab.sample(beam, width, steps=1)]
    return best(_to_the_end(lab, beams), by_prm(lab))


@published
def lookahead_search(
    lab: Lab, n: int = 16, width: int = 4, k: int = 1, depth: int = 40
) -> Path | None:
    """Beam search by the PRM's score k greedy steps later. Snell et al. (2024), section 5.2."""
    beams = lab.sample(lab.problem, n, steps=1)
    promise = [last(lab.prm(lab.rollout(beam, k))) for beam in beams]
    for _ in range(depth - 1):
        if all_done(beams):
            break
        kept = top_of(beams, n // width, promise)
        beams = [child for beam in kept for child in lab.sample(beam, width, steps=1)]
        promise = [last(lab.prm(lab.rollout(beam, k))) for beam in beams]
    return best(_to_the_end(lab, beams), by_prm(lab))


def without_duplicates(paths: list[Path]) -> list[Path]:
    """The first path of each text."""
    first: dict[str, Path] = {}
    for path in paths:
        first.setdefault(path.text, path)
    return list(first.values())


@published
def beam_search_refill(lab: Lab, n: int = 16, width: int = 4, depth: int = 40) -> Path | None:
    """search-and-learn's loop with `filter_duplicates` and `sort_completed`.

    Beeching et al. (2024), section on beam search: every iteration extends n active beams by one
    step, the last one to the end; completed beams leave; of the others the best n/width distinct
    ones are copied evenly to n again. The n best completed beams vote by score.
    """
    completed: list[Path] = []
    active = [(lab.problem, n)]
    for iteration in range(depth):
        steps = 0 if iteration == depth - 1 else 1
        beams = [child for beam, many in active for child in lab.sample(beam, many, steps=steps)]
        completed += _done(beams)
        survivors = without_duplicates(_open(beams))
        kept = top(survivors, n // width, by_prm(lab))
        if not kept:
            break
        active = list(zip(kept, evenly(n, len(kept)), strict=True))
    return vote(lab, top(completed, n, by_prm(lab)), by_prm(lab))


@published
def beam_search_refill_first(lab: Lab, n: int = 16, width: int = 4, depth: int = 40) -> Path | None:
    """search-and-learn's loop with its defaults: duplicates stay, the first n completed beams vote.

    Beeching et al. (2024), section on beam search. The last iteration is unbounded: its step, then
    the rest, which is the same text.
    """
    completed: list[Path] = []
    active = [(lab.problem, n)]
    for iteration in range(depth):
        beams = [child for beam, many in active for child in lab.sample(beam, many, steps=1)]
        if iteration == depth - 1:
            beams = _to_the_end(lab, beams)
        completed += _done(beams)
        kept = top(_open(beams), n // width, by_prm(lab))
        if not kept:
            break
        active = list(zip(kept, evenly(n, len(kept)), strict=True))
    return vote(lab, completed[:n], by_prm(lab))


@published
def beam_search_shrink(lab: Lab, n: int = 16, width: int = 4, depth: int = 40) -> Path | None:
    """compute-optimal-tts: every beam that finishes makes the beam narrower by one.

    Liu et al. (2025), section 2.2: of all children the best k are kept; those of them that ended
    are final, and k shrinks by their number. In its code a beam's equal next steps are one, and no
    path has more than `depth` steps.
    """
    k = n // width
    ended: list[Path] = []
    children = without_duplicates(lab.sample(lab.problem, n, steps=1))
    for _ in range(depth - 1):
        if not children:
            break
        kept = top(children, k, by_prm(lab))
        ended += _done(kept)
        k -= len(_done(kept))
        grown = [lab.sample(beam, width, steps=1) for beam in _open(kept)]
        children = [child for steps in grown for child in without_duplicates(steps)]
    return best(ended + children, by_prm(lab))


@published
def dvts(lab: Lab, n: int = 16, width: int = 4, depth: int = 40, k: int = 0) -> Path | None:
    """n/width independent greedy searches; the best of their ends. Beeching et al. (2024), DVTS.

    With `k`, a step is judged by where k more greedy steps would lead.
    """
    ends = []
    for _ in range(n // width):
        path = lab.problem
        for _ in range(depth):
            if path.done:
                break
            children = lab.sample(path, width, steps=1)
            promise = [last(lab.prm(lab.rollout(child, k))) for child in children]
            (path,) = top_of(children, 1, promise)
        ends += lab.sample(path)
    return best(ends, by_prm(lab))


@published
def dvts_lookahead(
    lab: Lab, n: int = 16, width: int = 4, k: int = 1, depth: int = 40
) -> Path | None:
    """DVTS with look-ahead. Beeching et al. (2024), search-and-learn's `lookahead`."""
    return dvts(lab, n, width, depth, k)


@published
def greedy_step_search(lab: Lab, k: int = 4, depth: int = 40) -> Path | None:
    """A beam of one. Liu et al. (2025), section 2.2; thinkbooster's online best-of-n."""
    return dvts(lab, k, k, depth)


@published
def beam_search_aside(lab: Lab, beams: int = 5, width: int = 3, depth: int = 40) -> Path | None:
    """thinkbooster: finished beams are set aside and take up no width; mean of the step scores."""
    score = by_prm(lab, average)
    children = lab.sample(lab.problem, width, steps=1)
    finished: list[Path] = []
    for _ in range(depth):
        finished += _done(children)
        kept = top(_open(children), beams, score)
        children = [child for beam in kept for child in lab.sample(beam, width, steps=1)]
    return best((finished + _done(children)) or _open(children), score)


@published
def beam_search_copied(lab: Lab, n: int = 16, width: int = 4, depth: int = 40) -> Path | None:
    """its_hub: `width` beams survive and are copied to the budget of n; finished ones compete.

    It begins with n // width candidates. A pool of beams keeps the unfinished first, so ties go to
    them.
    """
    beams = lab.sample(lab.problem, n // width, steps=1)
    for _ in range(depth):
        if all_done(beams):
            break
        kept = top(beams, width, by_prm(lab))
        beams = [child for beam in _open(kept) for child in lab.sample(beam, n // width, steps=1)]
        beams += [beam for beam in _done(kept) for _ in range(n // width)]
    return best(beams, by_prm(lab))
