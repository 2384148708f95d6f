"""What `tts-tune` prints: the choice at each budget, and what it gains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tts_lang.explain.units import counted, rounded, short
from tts_lang.printable import printable
from tts_runtime.cli.report import print_rows
from tts_runtime.cli.tables import TableColumn, interval, percent
from tts_runtime.cli.tune_bins import Bins
from tts_runtime.runs.results import Answer
from tts_runtime.stats.paired import PairedComparison, compare
from tts_runtime.stats.tuning import TunedPoint, TuningCandidate, budget_ratio


def amount(budget: float | None, cost: str) -> str:
    """A budget as it was given: `2,000 tokens`, `1.5 samples`."""
    return f"{budget:,.15g} {cost}"


def print_points(
    points: Sequence[TunedPoint], candidates: Sequence[TuningCandidate], bins: Bins, cost: str
) -> None:
    """Prints a row for each budget, then what the last choice is, bin by bin."""
    by_name = {each.name: each for each in candidates}
    names = [each.baseline or f"at most {amount(each.budget, cost)}" for each in points]
    columns = [
        TableColumn("chosen accuracy", [percent(each.accuracy) for each in points]),
        TableColumn("95 % interval", [interval(*each.interval) for each in points]),
        TableColumn(f"{cost}", [short(each.cost) for each in points]),
    ]
    if points[0].baseline is not None:
        against = [by_name[str(each.baseline)] for each in points]
        columns[:0] = [
            TableColumn("its accuracy", [percent(_accuracy(each)) for each in against]),
            TableColumn(f"its {cost}", [short(mean_cost(each)) for each in against]),
        ]
    columns += [
        TableColumn("one strategy", [percent(each.best_single) for each in points]),
        TableColumn("best possible", [percent(each.ceiling) for each in points]),
    ]
    heading = "budget of" if points[0].baseline is not None else "budget"
    dropped = ("one strategy", "95 % interval", "best possible")
    print_rows(heading, names, columns, dropped, [
        "accuracy: each problem by the choice of the half that it is not in; `one strategy`: the "
        "same without bins; `best possible`: the choice of each bin made on the problems that it "
        "is measured on"
    ])  # fmt: skip
    last = points[-1]
    sizes = [list(bins.of.values()).count(at) for at in range(len(bins.borders) + 1)]
    print(f"\nthe choice with the {'budget of ' if last.baseline else 'largest budget'}"
          f"{last.baseline or ''}:")  # fmt: skip
    for label, size, chosen in zip(bins.labels, sizes, last.choice, strict=True):
        print(printable(f"  {label} ({counted(size, 'problem')}): {chosen}"))


def mean_cost(candidate: TuningCandidate) -> float:
    """Its cost per problem."""
    costs = [each.cost for each in candidate.measured.values()]
    return sum(costs) / len(costs)


def _accuracy(candidate: TuningCandidate) -> float:
    right = sum(each.right for each in candidate.measured.values())
    return right / sum(each.answers for each in candidate.measured.values())


def conclusions(
    points: Sequence[TunedPoint],
    baseline: Sequence[TuningCandidate],
    candidates: Sequence[TuningCandidate],
    cost: str,
) -> Iterator[str]:
    """The gain at equal cost, the budget ratio at equal accuracy, the distance to the best."""
    last = points[-1]
    if last.baseline is not None:
        by_name = {each.name: each for each in candidates}
        gain = _against(last, by_name[last.baseline])
        signed = [rounded(100 * each, sign="+") for each in (gain.difference, gain.low, gain.high)]
        yield (
            f"gain over {gain.right} at no more {cost}: {signed[0]} points "
            f"(95 % interval {signed[1]} to {signed[2]}, p {gain.p:.2g}): "
            + {"better": "the choice is better", "worse": "the choice is worse"}.get(
                gain.verdict.value, "cannot tell whether it is better"
            )
        )
    if baseline:
        # More samples may be worse: what counts is the most accurate of them, at its least cost.
        best = max(baseline, key=_accuracy)
        ratio, low, high = budget_ratio(points, best)
        if not ratio:  # 0 of a baseline that failed throughout, and so has no costs
            yield f"the choice does not reach the accuracy of {best.name} at these budgets"
        else:
            yield f"budget for the accuracy of {best.name}: {_times(ratio, low, high, cost)}"
    above = rounded(100 * (last.ceiling - last.accuracy))
    yield (
        f"the best possible choice by these bins is {above} points above, of which part is "
        "luck of the problems that it is made on"
    )


def _times(ratio: float, low: float | None, high: float | None, cost: str) -> str:
    """A budget ratio and its interval; below 1 the other way round, as a choice that costs more."""
    ends = [low, high]
    if ratio < 1:
        ratio, ends = 1 / ratio, [each and 1 / each for each in (high, low)]
        more = "more"
    else:
        more = "fewer"
    span = " to ".join("not reached" if each is None else f"{each:.1f}" for each in ends)
    return f"{ratio:.1f} times {more} {cost} (95 % interval {span})"


def _against(point: TunedPoint, baseline: TuningCandidate) -> PairedComparison:
    def answers(counts: Mapping[str, tuple[int, int]]) -> list[Answer]:
        return [
            Answer(id=id_, seed=seed, correct=seed < right)
            for id_, (right, count) in counts.items()
            for seed in range(count)
        ]

    counts = {id_: (each.right, each.answers) for id_, each in baseline.measured.items()}
    answers_of = {"the choice": answers(point.right), baseline.name: answers(counts)}
    return compare(answers_of, [("the choice", baseline.name)])[0]
