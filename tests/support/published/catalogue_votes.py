"""Catalogue: repeated sampling, several models, aggregation of samples."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import floor, log, sqrt

from tests.support.published.asking import (
    ask,
    ask_together,
    chosen_of,
    judge,
    judge_together,
    listed,
    number_after,
)
from tests.support.published.choosing import (
    Score,
    agreement,
    average,
    best,
    by_prm,
    least,
    shares,
    top_of,
    vote,
)
from tests.support.published.lab import Lab
from tests.support.published.path import Path
from tests.support.published.worlds import published
from tts_runtime.randomness import draw_key, row_lane
from tts_runtime.streams import gumbel_number, uniform


class Dice:
    """Random numbers of paths: each path has its own, drawn one after another."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._drawn: dict[bytes, int] = {}

    def key(self, path: Path) -> bytes:
        """The key of a path's next number."""
        lane = row_lane(path.key, len(path.ids), path.level)
        self._drawn[lane] = self._drawn.get(lane, -1) + 1
        return draw_key(self._lab.root, lane, self._drawn[lane])

    def uniform(self, path: Path) -> float:
        """Between 0 and 1."""
        return uniform(self.key(path))

    def gumbel(self, path: Path) -> float:
        """A standard Gumbel number."""
        return gumbel_number(self.key(path))


@published
def best_of_n_outcome(lab: Lab, n: int = 16) -> Path | None:
    """Best by an ORM. Cobbe et al. (2021), section 4."""
    return best(lab.sample(lab.problem, n), lab.outcome)


@published
def best_of_n_likelihood(lab: Lab, n: int = 16) -> Path | None:
    """Best by length-normalised log-likelihood. Adiwardana et al. (2020), section 3."""
    return best(
        lab.sample(lab.problem, n),
        lambda path: path.logprob / path.tokens if path.tokens else None,
    )


@published
def best_of_n_judge(lab: Lab, n: int = 4, readings: int = 3) -> Path | None:
    """Best by the mean of several gradings. Zheng et al. (2023), section 3.1."""
    read = number_after("Grade:", 0, 10)

    def grade(path: Path) -> Score:
        return average([judge(lab, "grade", read, path, turn) for turn in range(readings)])

    return best(lab.sample(lab.problem, n), grade)


@published
def best_of_n_two_scorers(lab: Lab, n: int = 16, balance: float = 0.5) -> Path | None:
    """Worst step and outcome, weighted. Uesato et al. (2022), section 2."""

    def both(path: Path) -> Score:
        step, whole = least(lab.prm(path)), lab.outcome(path)
        return None if step is None or whole is None else balance * step + (1 - balance) * whole

    return best(lab.sample(lab.problem, n), both)


@published
def pass_at(lab: Lab, n: int = 16) -> Path | None:
    """Coverage: a right solution if there is one. Brown et al. (2024), section 2."""
    return best(
        lab.sample(lab.problem, n),
        lambda path: float(lab.answer(path) == lab.task.answer),
    )


@published
def early_stopping_consistency(lab: Lab, window: int = 5, windows: int = 8) -> Path | None:
    """Window by window until all of one give one answer. Li et al. (2024), section 3."""
    fresh = lab.sample(lab.problem, window)
    solutions = fresh
    for _ in range(windows - 1):
        if shares(lab, fresh) == [window]:
            break
        fresh = lab.sample(lab.problem, window)
        solutions = solutions + fresh
    return vote(lab, solutions)


@published
def cascade(lab: Lab, n: int = 5, sure: float = 0.8) -> Path | None:
    """The weak model if it is consistent, else the strong one. Yue et al. (2023), section 3.

    Consistency is the part of all samples that give the leading answer.
    """
    weak = lab.sample(lab.problem, n, "small")
    if max(shares(lab, weak), default=0) / n >= sure:
        return vote(lab, weak)
    return lab.sample(lab.problem, 1, "big")[0]


@published
def bandit(lab: Lab, budget: int = 16, c: float = 1.4) -> Path | None:
    """UCB1 over two models. Auer et al. (2002), section 2; ties and no score go as to the first.

    An arm whose rewards are all missing has no index, and the second is then played.
    """
    arms: dict[str, list[Path]] = {name: lab.sample(lab.problem, 1, name) for name in ARMS}
    for played in range(2, budget):
        index: list[Score] = []
        for solutions in arms.values():
            mean = average([lab.outcome(path) for path in solutions])
            wide = c * sqrt(log(played))
            index.append(None if mean is None else mean + wide / sqrt(len(solutions)))
        first, second = index
        arm = "small" if first is not None and second is not None and first >= second else "big"
        arms[arm] += lab.sample(lab.problem, 1, arm)
    return best([path for solutions in arms.values() for path in solutions], lab.outcome)


ARMS = ("small", "big")


@published
def layered_mixture(lab: Lab, layers: int = 3, each: int = 3) -> Path:
    """Every agent merges the layer before. Wang et al. (2024), section 2.2."""
    replies = [path for arm in ARMS for path in lab.sample(lab.problem, each, arm)]
    for _ in range(layers - 2):
        replies = [
            path for arm in ARMS for path in ask_together(lab, "merge", replies, each, policy=arm)
        ]
    return ask_together(lab, "merge", replies, policy="big")[0]


@published
def self_aggregation(lab: Lab, population: int = 16, k: int = 4, rounds: int = 10) -> Path | None:
    """Random groups of k are merged into the next population. Venkatraman et al. (2025), 3."""
    dice = Dice(lab)
    members = lab.sample(lab.problem, population)
    for _ in range(rounds - 1):
        merged: list[Path] = []
        for _ in range(population):
            group = top_of(members, k, [dice.uniform(path) for path in members])
            merged += ask_together(lab, "merge", group)
        members = merged
    return vote(lab, members)


@published
def multi_agent_debate(lab: Lab, agents: int = 3, rounds: int = 2) -> Path | None:
    """Agents read the others and update, each in its conversation. Du et al. (2023), section 2."""
    views = lab.sample(lab.problem, agents)
    for _ in range(rounds - 1):
        seen = [{"others": listed("Candidate", others(views, mine))} for mine in views]
        views = [
            ask(lab, "debate", mine, shown=shown, history=True)[0]
            for mine, shown in zip(views, seen, strict=True)
        ]
    return vote(lab, views)


def others(views: Sequence[Path], mine: Path) -> list[Path]:
    """All but one."""
    return [path for path in views if path is not mine]


@published
def stated_confidence(lab: Lab, n: int = 8, marker: str = "Probability:") -> Path | None:
    """A vote weighted by stated probabilities. Tian et al. (2023), section 3.2."""
    pool = ask(lab, "with_probability", lab.problem, n, shown={"marker": marker})

    def stated(path: Path) -> float | None:
        written = re.search(f"(?s).*{marker}[ *]*([0-9.]+)", path.text)
        try:
            return None if written is None else min(max(float(written[1]), 0.0), 1.0)
        except ValueError:
            return None

    return vote(lab, pool, stated)


@published
def genselect(lab: Lab, n: int = 4) -> Path | None:
    """One reply picks among all, shown at once. Moshkov et al. (2025), section 4."""
    pool = lab.sample(lab.problem, n, temperature=0.7)
    picked = judge_together(lab, "pick_best", chosen_of("Best:", n), pool)
    return pool[0 if picked is None else int(picked) - 1]


@published
def speculative_rejection(
    lab: Lab, n: int = 32, keep: str = "50%", chunk: int = 16, rounds: int = 5
) -> Path | None:
    """After every chunk the lowest-scored part is dropped. Sun et al. (2024), section 4.

    As in the authors' code, what ended and survived a cut is among the last trajectories.
    """
    percent = int(keep.rstrip("%"))
    batch = lab.sample(lab.problem, n, tokens=chunk)
    finished: list[Path] = []
    for _ in range(rounds):
        if all(path.done for path in batch):
            break
        survivors = max(1, -(-len(batch) * percent // 100))
        batch = top_of(batch, survivors, [lab.outcome(path) for path in batch])
        finished += [path for path in batch if path.done]
        batch = [child for path in batch for child in lab.sample(path, tokens=chunk)]
    ends = [end for path in batch for end in lab.sample(path)]
    return best(ends + finished, lab.outcome)


@published
def stochastic_beam(
    lab: Lab,
    n: int = 16,
    width: int = 4,
    depth: int = 40,
    heat: float = 1,
    decay: float = 0.9,
    accepted: float = 0.05,
) -> Path | None:
    """Gumbel-top-k is sampling without replacement. Kool et al. (2019), section 3.

    llm-reasoners rejects what is below a bar, which is never above the best reward.
    """
    dice = Dice(lab)
    beams = lab.sample(lab.problem, n, steps=1)
    for _ in range(depth - 1):
        if all(beam.done for beam in beams):
            break
        scored = [(beam, by_prm(lab)(beam)) for beam in beams]
        bar = min(
            accepted, max((value for _, value in scored if value is not None), default=accepted)
        )
        good = [(beam, value) for beam, value in scored if value is not None and value >= bar]
        noisy = [value / heat + dice.gumbel(beam) for beam, value in good]
        kept = top_of([beam for beam, _ in good], floor(n / width), noisy)
        beams = [child for beam in kept for child in lab.sample(beam, width, steps=1)]
        heat *= decay
    return best(beams, by_prm(lab))


@published
def similarity_consistency(lab: Lab, n: int = 5) -> Path | None:
    """The first solution of the largest cluster of similar texts. optillm, self_consistency."""
    pool = lab.sample(lab.problem, n)
    clusters = lab.together("clusters", pool)
    known = [cluster for cluster in clusters if cluster is not None]
    if not known:
        return None
    return pool[clusters.index(max(known, key=known.count))]


@published
def uncertainty_routed(lab: Lab, n: int = 3, sure: float = 0.7) -> Path | None:
    """Vote if .6 agreement + .4 similarity is enough, else greedy. Gemini (2023); optillm."""
    pool = lab.sample(lab.problem, n, temperature=0.7)
    similarity = average(lab.together("similarity", pool))
    agreed = agreement(lab, pool)
    if similarity is not None and 0.6 * agreed + 0.4 * similarity >= sure:
        return vote(lab, pool)
    return lab.sample(lab.problem, temperature=0)[0]
