"""Measure the bundled models on the test problems: `python runtime/bundled/measure.py`.

Prints the tables of the model card: the accuracy of one solution in each mode, by difficulty, and
the quality of the PRM. `--card FILE` writes them to the card too. What search makes of these models
is measured by `benchmarks/findings.py`.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bundled.card import markdown, replace
from bundled.examples import prompt
from bundled.make_problems import GROUPS, group_of
from bundled.rollouts import answer_of, direct, revised, thinking
from bundled.sampler import Model, score_many
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


def modes(measured: Measurement, count: int) -> tuple[dict[str, Numbers], dict[str, Numbers]]:
    """Accuracy of each mode of the policy by difficulty, and the PRM's quality on its steps."""
    once, problems = measured.problems, measured.repeated(count)
    policy, generator = measured.policy, measured.generator
    solved = direct(policy, problems, generator)
    first = solved[::count]
    texts = {
        "direct": (problems, solved),
        "thinking": (once, thinking(policy, once, generator)),
        "thinking, `Wait` once": (once, thinking(policy, once, generator, waits=1)),
        "revision of one attempt": (
            once,
            revised(policy, once, [[text] for text in first], generator),
        ),
    }
    accuracy = {"direct, greedy": measured.mean_accuracy(direct(policy, once, generator, 0))}
    quality = {}
    for name, (batch, solutions) in texts.items():
        accuracy[name] = measured.mean_accuracy(solutions)
        quality[name] = prm_quality(batch, solutions, step_scores(batch, solutions, measured.prm))
    return accuracy, quality


def main() -> None:
    """Read the options, measure, print one JSON object per table."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", type=Path, default=here / "policy")
    parser.add_argument("--prm", type=Path, default=here / "prm")
    parser.add_argument("--problems", type=Path, default=here / "problems" / "test.jsonl")
    parser.add_argument("--limit", type=int, default=None, help="the first that many problems")
    parser.add_argument("--samples", type=int, default=16)
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
    accuracy, quality = modes(measured, options.samples)
    text = "\n".join(
        (markdown("accuracy at temperature 1", accuracy), markdown("PRM, steps of", quality))
    )
    print(text)
    if options.card:
        replace(options.card, text)


if __name__ == "__main__":
    main()
