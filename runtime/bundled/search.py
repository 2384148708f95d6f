"""Beam search and DVTS with the small sampler, to measure what the bundled models can show."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from bundled import tokenizer
from bundled.examples import prompt
from bundled.rollouts import answer_of, text_of
from bundled.sampler import Model, sample, score_many
from bundled.world import DELIMITER, Problem, split_steps

MAX_STEPS = 14


@dataclass(slots=True)
class Beam:
    """One partial solution; `tree` is its index among the independent subtrees of a problem."""

    problem: int
    tree: int
    ids: list[int] = field(default_factory=list)
    score: float = 0.0

    def done(self) -> bool:
        """Whether the policy has ended it."""
        return bool(self.ids) and self.ids[-1] == tokenizer.vocabulary()[tokenizer.EOS]


def step_search(
    policy: Model,
    prm: Model,
    problems: Sequence[Problem],
    generator: torch.Generator,
    n: int = 16,
    width: int = 4,
    trees: int = 1,
) -> list[list[Beam]]:
    """`n` beams per problem, expanded step by step, the best `n / width` kept.

    With `trees` > 1 the best is kept within each tree (DVTS has `n / width` trees).
    """
    kept = n // width // trees
    heads = [tokenizer.encode(prompt(problem.text())) for problem in problems]
    beams = [
        Beam(problem, index * trees // n) for problem in range(len(problems)) for index in range(n)
    ]
    for step in range(MAX_STEPS):
        going = [beam for beam in beams if not beam.done()]
        if not going:
            break
        starts = [heads[beam.problem] + beam.ids for beam in going]
        new = sample(policy, starts, generator, (DELIMITER, tokenizer.EOS), limit=40)
        for beam, ids in zip(going, new, strict=True):
            beam.ids = beam.ids + ids
        _score(prm, problems, going)
        if step + 1 < MAX_STEPS:
            beams = _select(beams, kept, width)
    pools: list[list[Beam]] = [[] for _ in problems]
    for beam in beams:
        pools[beam.problem].append(beam)
    return pools


def _score(prm: Model, problems: Sequence[Problem], beams: Sequence[Beam]) -> None:
    requests = [
        (prompt(problems[beam.problem].text()), split_steps(text_of(beam.ids))) for beam in beams
    ]
    for beam, scores in zip(beams, score_many(prm, requests), strict=True):
        beam.score = scores[-1] if scores else 0.0


def _select(beams: Sequence[Beam], kept: int, width: int) -> list[Beam]:
    groups: dict[tuple[int, int], list[Beam]] = defaultdict(list)
    for beam in beams:
        groups[beam.problem, beam.tree].append(beam)
    chosen = []
    for group in groups.values():
        best = sorted(group, key=lambda beam: -beam.score)[:kept]
        for beam in best:
            copies = 1 if beam.done() else width
            chosen += [
                Beam(beam.problem, beam.tree, list(beam.ids), beam.score) for _ in range(copies)
            ]
    return chosen


def best(pool: Sequence[Beam]) -> int | None:
    """The answer of the highest score."""
    ended = [beam for beam in pool if beam.done()]
    return answer_of(text_of(max(ended, key=lambda beam: beam.score).ids)) if ended else None
