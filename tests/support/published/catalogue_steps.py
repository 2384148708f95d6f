"""Catalogue: decisions at every step from likelihood, entropy and scores."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from math import exp, floor, fsum

from tests.support.published.asking import chosen_of, judge_together
from tests.support.published.catalogue_votes import Dice
from tests.support.published.choosing import Score, best, by_prm, top_of, vote
from tests.support.published.lab import Lab
from tests.support.published.path import Path
from tests.support.published.worlds import published
from tts_runtime.steps import NOTHING


def _mean(values: Sequence[float]) -> Score:
    return fsum(values) / len(values) if values else None


@published
def grace(lab: Lab, k: int = 20, balance: float = 0.1, depth: int = 40) -> Path:
    """(1 - b) log p(step) + b D(step), greedily. Khalifa et al. (2023), section 3.3."""
    path = lab.problem
    for _ in range(depth):
        if path.done:
            break
        steps = lab.sample(path, k, steps=1)
        judged = [by_prm(lab)(step) for step in steps]
        merit = [
            None if d is None else (1 - balance) * (step.logprob - path.logprob) + balance * d
            for step, d in zip(steps, judged, strict=True)
        ]
        (path,) = top_of(steps, 1, merit)
    return lab.sample(path)[0]


@published
def mur(lab: Lab, k: int = 4, alpha: float = 0.9, gamma: float = 0.9, depth: int = 40) -> Path:
    """Scale a step if exp(m_t) > exp(M_{t-1}) / gamma. Yan et al. (2025), section 3.

    m_t: mean negative log-likelihood of the step's tokens; M_t = alpha M_{t-1} + (1 - alpha) m_t.
    """

    def uncertainty(before: Path, after: Path) -> Score:
        new = after.tokens - before.tokens
        return (before.logprob - after.logprob) / new if new else None

    path = lab.problem
    momentum: Score = 0
    for _ in range(depth):
        if path.done:
            break
        (step,) = lab.sample(path, steps=1)
        doubt = uncertainty(path, step)
        known = doubt is not None and momentum is not None and path.segments.steps > 0
        if known and exp(doubt or 0) > exp(momentum or 0) / gamma:
            steps = lab.sample(path, k, steps=1)
            (step,) = top_of(steps, 1, [by_prm(lab)(each) for each in steps])
            doubt = uncertainty(path, step)
        if doubt is None or momentum is None:
            momentum = None
        else:
            momentum = alpha * momentum + (1 - alpha) * doubt
        path = step
    return lab.sample(path)[0]


def last_step(path: Path, values: Sequence[float]) -> list[float]:
    """A statistic of the tokens of a path's last step, its delimiter included."""
    segments, step = NOTHING, []
    for token, value in zip(path.ids, values, strict=True):
        if len(segments.closed) == path.segments.steps - 1:
            step.append(value)
        segments = segments.add(path.tokenizer.pieces[token], b"\n\n")
    return step


@published
def uncertainty_cot(lab: Lab, k: int = 5, doubt: float = 0.3, depth: int = 40) -> Path:
    """Where a step's entropy is high, sample others and take the surest. Zhu et al. (2025), 3.

    thinkbooster's candidates are new ones; the step that was tried is not among them.
    """

    def entropy(step: Path) -> Score:
        return _mean(last_step(step, step.values("entropy")))

    path = lab.problem
    for _ in range(depth):
        if path.done:
            break
        steps = lab.sample(path, steps=1, statistics=("entropy",))
        seen = entropy(steps[0])
        if seen is not None and seen > doubt:
            steps = lab.sample(path, k, steps=1, statistics=("entropy",))
        unsure = [entropy(step) for step in steps]
        (path,) = top_of(steps, 1, [None if value is None else -value for value in unsure])
    return lab.sample(path, statistics=("entropy",))[0]


@published
def cot_decoding(lab: Lab, k: int = 10) -> Path | None:
    """Top-k first tokens, greedy rests, answers' margins added up. Wang and Zhou (2024), 2.2."""
    starts = lab.sample(
        lab.problem, k, tokens=1, likeliest=True, temperature=0, statistics=("margin",)
    )
    paths = [
        end for start in starts for end in lab.sample(start, temperature=0, statistics=("margin",))
    ]

    def margin(path: Path) -> Score:
        answer = (lab.written_answer(path) or "").encode()
        pieces = [path.tokenizer.pieces[token] for token in path.ids]
        begin = b"".join(pieces).rfind(answer)
        inside, reached = [], 0
        for piece, value in zip(pieces, path.values("margin"), strict=True):
            if reached < begin + len(answer) and reached + len(piece) > begin:
                inside.append(value)
            reached += len(piece)
        return _mean(inside)

    return vote(lab, paths, margin)


@published
def metropolis_hastings(lab: Lab, moves: int = 8) -> Path | None:
    """Redo from a random step, accept by the ratio of rewards over places to cut.

    Faria et al. (2024), section 3; every state of the chain votes, repeated ones again.
    """
    dice = Dice(lab)
    (state,) = lab.sample(lab.problem)
    visited = [state]

    def mass(path: Path) -> Score:
        reward = lab.outcome(path)
        return None if reward is None or not path.segments.steps else reward / path.segments.steps

    for _ in range(moves):
        kept = floor(dice.uniform(state) * state.segments.steps)
        (proposal,) = lab.sample(lab.cut(state, kept))
        toss, old, new = dice.uniform(lab.problem), mass(state), mass(proposal)
        if new is not None and toss * (old or 0) < new:
            state = proposal
        visited.append(state)
    return vote(lab, visited)


@published
def pairwise_tournament(lab: Lab, n: int = 6) -> Path | None:
    """Every ordered pair is compared; most wins. Chen et al. (2024), section 3 (league)."""
    pool = lab.sample(lab.problem, n)
    wins = [0.0 for _ in pool]
    for pair in permutations(range(n), 2):
        picked = judge_together(lab, "duel", chosen_of("Best:", 2), [pool[place] for place in pair])
        if picked is not None:
            wins[pair[int(picked) - 1]] += 1
    return best(pool, lambda path: wins[pool.index(path)])
