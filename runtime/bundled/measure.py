"""Measure the bundled models on the test problems: `python runtime/bundled/measure.py`.

Prints the tables of the model card: pass@1, majority, best-of-n and step search by difficulty
group, the effect of `Wait`, of revisions, and the quality of the PRM. `--card FILE` writes them
to the card too.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bundled.card import markdown, replace
from bundled.examples import prompt
from bundled.make_problems import GROUPS, group_of
from bundled.rollouts import answer_of, direct, revised, thinking
from bundled.sampler import Model, score_many
from bundled.search import best, step_search
from bundled.world import Problem, label_steps, parse_problem, split_steps

Numbers = dict[str, float]


class Measurement:
    """The test problems, the models, and the groups that every number is split by."""

    def __init__(self, policy: Path, prm: Path, problems: Path, limit: int, seed: int) -> None:
        rows = [json.loads(line) for line in problems.read_text().splitlines()][:limit]
        self.problems = [parse_problem(row["problem"]) for row in rows]
        self.groups = [group_of(row["pass_rate"]) for row in rows]
        self.policy, self.prm = Model(policy), Model(prm)
        self.generator = torch.Generator().manual_seed(seed)

    def by_group(self, right: Sequence[float]) -> Numbers:
        """Means over all problems and over each group, rounded."""
        groups: dict[str, list[float]] = defaultdict(list)
        for group, value in zip(self.groups, right, strict=True):
            groups["all"].append(value)
            groups[group].append(value)
        return {
            name: round(float(np.mean(groups[name])), 3)
            for name in ("all", *GROUPS)
            if groups[name]
        }

    def accuracy(self, answers: Sequence[int | None]) -> Numbers:
        """Accuracy of one answer per problem."""
        pairs = zip(self.problems, answers, strict=True)
        return self.by_group([float(problem.answer() == answer) for problem, answer in pairs])

    def repeated(self, count: int) -> list[Problem]:
        """Each problem `count` times in a row."""
        return [problem for problem in self.problems for _ in range(count)]

    def mean_accuracy(self, texts: Sequence[str]) -> Numbers:
        """Accuracy of several texts per problem, averaged within problems."""
        count = len(texts) // len(self.problems)
        right = [
            float(answer_of(text) == problem.answer())
            for problem, text in zip(self.repeated(count), texts, strict=True)
        ]
        return self.by_group(np.reshape(right, (-1, count)).mean(1).tolist())


def vote(answers: Sequence[int | None], weights: Sequence[float]) -> int | None:
    """The answer of the greatest total weight, the earliest among equals."""
    totals: dict[int, float] = defaultdict(float)
    for answer, weight in zip(answers, weights, strict=True):
        if answer is not None:
            totals[answer] += weight
    return max(totals, key=lambda answer: totals[answer]) if totals else None


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Area under the ROC curve, ties counted as one half."""
    values, right = np.asarray(scores), np.asarray(labels)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = int(right.sum())
    negatives = len(right) - positives
    total = float(ranks[right].sum()) - positives * (positives + 1) / 2
    return total / (positives * negatives)


def calibration_error(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Expected calibration error over ten bins of equal width."""
    values, right = np.asarray(scores), np.asarray(labels, dtype=float)
    bins = np.minimum((values * 10).astype(int), 9)
    gaps = [
        abs(values[bins == b].mean() - right[bins == b].mean()) * float((bins == b).mean())
        for b in range(10)
        if bool((bins == b).any())
    ]
    return float(sum(gaps))


def step_scores(problems: Sequence[Problem], texts: Sequence[str], prm: Model) -> list[list[float]]:
    """The PRM's scores of all steps of each text."""
    return score_many(
        prm,
        [
            (prompt(problem.text()), split_steps(text))
            for problem, text in zip(problems, texts, strict=True)
        ],
    )


def prm_quality(
    problems: Sequence[Problem], texts: Sequence[str], rows: Sequence[Sequence[float]]
) -> Numbers:
    """AUC and calibration error of step scores, and how many steps they are over."""
    scores = [score for row in rows for score in row]
    labels = [
        label.cumulative
        for problem, text in zip(problems, texts, strict=True)
        for label in label_steps(problem, split_steps(text))
    ]
    return {
        "steps": len(labels),
        "right": round(float(np.mean(labels)), 3),
        "auc": round(auc(scores, labels), 4),
        "ece": round(calibration_error(scores, labels), 4),
    }


def parallel(measured: Measurement, count: int) -> dict[str, Numbers]:
    """Direct solutions: pass@1, majority, best-of-n, weighted, and the PRM's quality on them."""
    problems = measured.repeated(count)
    texts = direct(measured.policy, problems, measured.generator)
    greedy = direct(measured.policy, measured.problems, measured.generator, temperature=0)
    scores = step_scores(problems, texts, measured.prm)
    last = [row[-1] if row else 0.0 for row in scores]
    answers = [answer_of(text) for text in texts]
    table = {
        "greedy": measured.accuracy([answer_of(text) for text in greedy]),
        "pass@1": measured.mean_accuracy(texts),
    }
    starts = range(0, len(problems), count)
    for n in (4, 16, 64):
        if n > count:
            break
        rules: dict[str, Callable[[Sequence[int | None], Sequence[float]], int | None]] = {
            "majority": lambda a, _: vote(a, [1.0] * len(a)),
            "weighted": vote,
            "best_of_n": lambda a, w: a[int(np.argmax(w))],
        }
        for name, rule in rules.items():
            # Several disjoint pools of n per problem, where there are enough samples.
            right = [
                [
                    float(rule(answers[at : at + n], last[at : at + n]) == problem.answer())
                    for at in range(start, start + count - n + 1, n)
                ]
                for start, problem in zip(starts, measured.problems, strict=True)
            ]
            table[f"{name}@{n}"] = measured.by_group([float(np.mean(row)) for row in right])
    table["prm on direct steps"] = prm_quality(problems, texts, scores)
    return table


def searches(measured: Measurement, repeats: int) -> dict[str, Numbers]:
    """Beam search and DVTS at n = 16, width 4."""
    table = {}
    for name, trees in (("beam_search@16", 1), ("dvts@16", 4)):
        pools = step_search(
            measured.policy,
            measured.prm,
            measured.repeated(repeats),
            measured.generator,
            trees=trees,
        )
        right = [
            float(best(pool) == problem.answer())
            for pool, problem in zip(pools, measured.repeated(repeats), strict=True)
        ]
        table[name] = measured.by_group(np.reshape(right, (-1, repeats)).mean(1).tolist())
    return table


def budget_forcing(measured: Measurement, count: int) -> dict[str, Numbers]:
    """Accuracy of thinking after 0, 1, 2, 4 forced `Wait`s, sampled and greedy."""
    table = {}
    for temperature, repeats in ((1.0, count), (0.0, 1)):
        for waits in (0, 1, 2, 4):
            problems = measured.repeated(repeats)
            texts = thinking(
                measured.policy, problems, measured.generator, waits, temperature=temperature
            )
            name = f"think, {waits} waits, temperature {temperature:g}"
            table[name] = measured.mean_accuracy(texts)
            if waits == 2 and temperature == 1:
                scores = step_scores(problems, texts, measured.prm)
                table["prm on thinking steps"] = prm_quality(problems, texts, scores)
    return table


def revisions(measured: Measurement, count: int) -> dict[str, Numbers]:
    """Accuracy of each attempt of revision chains; a new attempt sees the last four."""
    problems = measured.repeated(count)
    attempts = [[text] for text in direct(measured.policy, problems, measured.generator)]
    table = {"attempt 1": measured.mean_accuracy([chain[0] for chain in attempts])}
    for number in range(2, 6):
        new = revised(measured.policy, problems, attempts, measured.generator)
        table[f"attempt {number}"] = measured.mean_accuracy(new)
        kept = [
            float(answer_of(text) == problem.answer())
            for text, chain, problem in zip(new, attempts, problems, strict=True)
            if answer_of(chain[-1]) == problem.answer()
        ]
        fixed = [
            float(answer_of(text) == problem.answer())
            for text, chain, problem in zip(new, attempts, problems, strict=True)
            if answer_of(chain[-1]) != problem.answer()
        ]
        table[f"attempt {number}"] |= {
            "right stays right": round(float(np.mean(kept)), 3),
            "wrong becomes right": round(float(np.mean(fixed)), 3),
        }
        if number == 2:
            scores = step_scores(problems, new, measured.prm)
            table["prm on revised steps"] = prm_quality(problems, new, scores)
        for chain, text in zip(attempts, new, strict=True):
            chain.append(text)
    return table


def main() -> None:
    """Read the options, measure, print one JSON object per table."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", type=Path, default=here / "policy")
    parser.add_argument("--prm", type=Path, default=here / "prm")
    parser.add_argument("--problems", type=Path, default=here / "problems" / "test.jsonl")
    parser.add_argument("--limit", type=int, default=None, help="the first so many problems")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--searches", type=int, default=1, help="searches per problem")
    parser.add_argument("--chains", type=int, default=2, help="thoughts and revision chains each")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--card", type=Path, default=None, help="also write the tables to this file"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    measured = Measurement(
        options.policy, options.prm, options.problems, options.limit, options.seed
    )
    sections = [
        markdown("accuracy, by difficulty", parallel(measured, options.samples)),
        markdown("step search, by difficulty", searches(measured, options.searches)),
        markdown("budget forcing, by difficulty", budget_forcing(measured, options.chains)),
        markdown("revision chains, by difficulty", revisions(measured, options.chains)),
    ]
    text = "\n".join(sections)
    print(text)
    if options.card:
        replace(options.card, text)


if __name__ == "__main__":
    main()
