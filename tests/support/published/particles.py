"""Resampling and reward-balanced search over steps."""

from __future__ import annotations

from tests.support.published.choosing import (
    Score,
    best,
    by_prm,
    odds,
    resample,
    rounded_up,
    softmax,
    vote,
)
from tests.support.published.lab import Lab
from tests.support.published.path import Path
from tests.support.published.worlds import published


def _moved(lab: Lab, particles: list[Path], steps: int = 0) -> list[Path]:
    return [child for particle in particles for child in lab.sample(particle, steps=steps)]


def _weights(lab: Lab, particles: list[Path]) -> list[Score]:
    """its_hub keeps scores off 0 and 1 before it takes the logit: `particle_gibbs.py`."""
    scores = [by_prm(lab)(particle) for particle in particles]
    return [None if score is None else odds(max(1e-7, min(score, 1 - 1e-7))) for score in scores]


@published
def rebase(lab: Lab, n: int = 16, depth: int = 40, heat: float = 0.2) -> Path | None:
    """Reward-balanced search. Wu et al. (2024), section 3.2.

    At every depth the n - finished children are shared out by softmax(reward / T), each node's
    share rounded up, the best first; leaves leave, and all solutions vote by their reward.
    """
    score = by_prm(lab)
    nodes = lab.sample(lab.problem, n, steps=1)
    finished = [node for node in nodes if node.done]
    for _ in range(depth):
        nodes = [node for node in nodes if not node.done]
        budget = n - len(finished)
        if budget <= 0:
            break
        balance = softmax([score(node) for node in nodes], heat)
        widths = rounded_up(budget, balance)
        nodes = [
            child
            for node, width in zip(nodes, widths, strict=True)
            for child in lab.sample(node, width, steps=1)
        ]
        finished += [node for node in nodes if node.done]
    return vote(lab, finished + [node for node in nodes if not node.done], score)


@published
def particle_filter(lab: Lab, n: int = 16, depth: int = 40) -> Path | None:
    """Step, weigh by the exponential of the PRM's logit, resample, until all have ended.

    Puri et al. (2025), section 3 (algorithm 1); the particle with the best score answers.
    """
    particles = lab.sample(lab.problem, n, steps=1)
    for _ in range(depth - 1):
        if all(particle.done for particle in particles):
            break
        particles = resample(lab, particles, n, _weights(lab, particles))
        particles = _moved(lab, particles, steps=1)
    return best(_moved(lab, particles), by_prm(lab))


@published
def particle_filter_ess(lab: Lab, n: int = 16, depth: int = 40) -> Path | None:
    """Sequential importance resampling: only when the effective sample size is below n/2.

    Liu and Chen (1995): ESS = (sum w)^2 / sum w^2; weights multiply until they are reset. Puri et
    al. (2025), section 3: the answer is drawn by weight.
    """
    particles = lab.sample(lab.problem, n, steps=1)
    weights = _weights(lab, particles)
    for _ in range(depth - 1):
        if all(particle.done for particle in particles):
            break
        present = [weight for weight in weights if weight is not None]
        if sum(present) ** 2 < n / 2 * sum(weight * weight for weight in present):
            particles = resample(lab, particles, n, weights)
            weights = [1.0 for _ in particles]
        particles = _moved(lab, particles, steps=1)
        weights = [
            None if old is None or new is None else old * new
            for old, new in zip(weights, _weights(lab, particles), strict=True)
        ]
    return resample(lab, _moved(lab, particles), 1, weights)[0]


@published
def particle_gibbs(lab: Lab, n: int = 8, sweeps: int = 3, depth: int = 40) -> Path | None:
    """Conditional SMC: sweeps around a kept trajectory. Puri et al. (2025), section 3.

    A sweep moves n - 1 particles; the n-th is the reference, cut to the length reached: whole once
    that is its own, and ended if it has ended. The first is drawn from whole samples by weight.
    """

    def up_to(path: Path, length: int) -> Path:
        return lab.cut(path, length) if path.segments.steps > length else path

    pool = lab.sample(lab.problem, n)
    for _ in range(sweeps - 1):
        reference = resample(lab, pool, 1, _weights(lab, pool))[0]
        pool = [*lab.sample(lab.problem, n - 1, steps=1), up_to(reference, 1)]
        for length in range(2, depth + 1):
            if all(particle.done for particle in pool):
                break
            moved = _moved(lab, resample(lab, pool, n - 1, _weights(lab, pool)), steps=1)
            pool = [*moved, up_to(reference, length)]
    return best(pool, by_prm(lab))
