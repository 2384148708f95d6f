"""Write the problem files: `python runtime/bundled/make_problems.py`.

Test and calibration problems are drawn in three balanced groups by the policy's pass@1 (easy
>= 50 %, medium 10-50 %, hard < 10 %, the thresholds of Liu et al. 2025). They are chosen on one
set of samples, and the recorded `pass_rate` is measured on fresh ones.
"""

import argparse
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bundled.noise import expected_pass_rate
from bundled.rollouts import answer_of, direct
from bundled.sampler import Model
from bundled.world import Problem, generate_problem

GROUPS = ("easy", "medium", "hard")


def group_of(pass_rate: float) -> str:
    """The difficulty group of a pass@1."""
    return "easy" if pass_rate >= 0.5 else "medium" if pass_rate >= 0.1 else "hard"


def pass_rates(
    policy: Model, problems: Sequence[Problem], samples: int, generator: torch.Generator
) -> list[float]:
    """Share of right answers among `samples` solutions at temperature 1, per problem."""
    repeated = [problem for problem in problems for _ in range(samples)]
    texts = direct(policy, repeated, generator)
    right = [
        answer_of(text) == problem.answer() for problem, text in zip(repeated, texts, strict=True)
    ]
    return [sum(right[i * samples : (i + 1) * samples]) / samples for i in range(len(problems))]


def distinct_problems(rng: random.Random, count: int, seen: set[str]) -> list[Problem]:
    """New problems of all difficulties, none of which is in `seen`; `seen` grows."""
    problems: list[Problem] = []
    while len(problems) < count:
        problem = generate_problem(rng, rng.randint(1, 10), rng.choice((0, 1, 2, 2)))
        if problem.text() not in seen:
            seen.add(problem.text())
            problems.append(problem)
    return problems


def likely_problems(rng: random.Random, group: str, count: int, seen: set[str]) -> list[Problem]:
    """New problems that the noise model puts into a difficulty group."""
    problems: list[Problem] = []
    while len(problems) < count:
        some = distinct_problems(rng, 64, set(seen))
        problems += [p for p in some if group_of(expected_pass_rate(p)) == group]
    problems = problems[:count]
    seen.update(problem.text() for problem in problems)
    return problems


def balanced(
    policy: Model,
    rng: random.Random,
    seen: set[str],
    quotas: dict[str, int],
    generator: torch.Generator,
) -> list[Problem]:
    """Problems that fill the quota of each group, in random order."""
    chosen: dict[str, list[Problem]] = {group: [] for group in GROUPS}
    while any(len(chosen[group]) < quotas[group] for group in GROUPS):
        pool = [
            problem
            for group in GROUPS
            if len(chosen[group]) < quotas[group]
            for problem in likely_problems(rng, group, 48, seen)
        ]
        for problem, rate in zip(pool, pass_rates(policy, pool, 48, generator), strict=True):
            group = group_of(rate)
            if len(chosen[group]) < quotas[group]:
                chosen[group].append(problem)
    problems = [problem for group in GROUPS for problem in chosen[group]]
    rng.shuffle(problems)
    return problems


def write(path: Path, problems: Sequence[Problem], rates: Sequence[float] | None) -> None:
    """One JSON object per line."""
    with path.open("w", encoding="utf-8") as file:
        for index, problem in enumerate(problems):
            row: dict[str, str | int | float] = {
                "id": f"{path.stem}-{index:04d}",
                "problem": problem.text(),
                "answer": str(problem.answer()),
                "operations": len(problem.operations),
            }
            if rates is not None:
                row["pass_rate"] = round(rates[index], 4)
            file.write(json.dumps(row) + "\n")


def main() -> None:
    """Read the options and write the three files."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", type=Path, default=here / "policy")
    parser.add_argument("--out", type=Path, default=here / "problems")
    parser.add_argument("--samples", type=int, default=64, help="samples for each pass_rate")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rng, generator = random.Random(options.seed), torch.Generator().manual_seed(options.seed)
    policy, seen = Model(options.policy), set[str]()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in ("test", "calibration"):
        problems = balanced(policy, rng, seen, {"easy": 80, "medium": 65, "hard": 55}, generator)
        rates = pass_rates(policy, problems, options.samples, generator)
        write(options.out / f"{name}.jsonl", problems, rates)
        counts = {group: sum(group_of(rate) == group for rate in rates) for group in GROUPS}
        print(f"{name}: pass@1 {sum(rates) / len(rates):.3f}, {counts}", flush=True)
    write(options.out / "train.jsonl", distinct_problems(rng, 500, seen), None)


if __name__ == "__main__":
    main()
