"""The figures of a study: accuracy against what it costs, by difficulty, compared, and rewards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import hypot, inf, sqrt
from typing import Any, Final

from tts_lang.values import mean
from tts_runtime.report.charts import Axis, Figure, bars, curves, forest
from tts_runtime.report.difficulty import Grouping
from tts_runtime.report.estimates import Estimate, share
from tts_runtime.report.reward import ScoredCandidate, behaviour
from tts_runtime.report.study import Entry, Study
from tts_runtime.stats.paired import PairedComparison, compare
from tts_runtime.stats.proportions import Z95, clustered_wilson

#: Costs that accuracy is drawn against: of `Entry.mean`, in words, and what is beside the figure.
_COSTS: Final = (
    (
        "policy_tokens",
        "tokens drawn",
        "Tokens that the policy draws, each counted once, as if the strategy ran alone.",
    ),
    (
        "flops",
        "FLOPs",
        "2 × parameters × tokens that policy and scorers draw and read.",
    ),
    (
        "seconds",
        "seconds",
        "Wall time of the run over its answers: of runs that hold one strategy, on their machine "
        "with what ran beside it.",
    ),
)
_INTERVALS: Final = "Bars: 95 % intervals."
_BESIDE: Final = "Points with the same cost are set side by side."
#: Groups of equal size that scores and lengths are drawn in.
_BINS: Final = 8


def figures(study: Study, groups: Grouping | None, baseline: Entry | None) -> list[Figure]:
    """All figures that the records have data for."""
    graded = [entry for entry in study.entries if entry.grades()]
    result: list[Figure] = []
    for parameter in _ordered(study):
        result += _against_parameter(study, graded, parameter)
    for cost, title, note in _COSTS:
        result += _against_cost(study, graded, cost, f"{title} per {study.unit}", note)
    if groups is not None:
        result += _by_difficulty(study, graded, groups)
    if baseline is not None:
        result += _differences(study, baseline)
    result += _rewards(study)
    return result


def _ordered(study: Study) -> list[str]:
    swept = study.swept()
    budget = study.budget
    return [] if budget is None else [budget, *sorted(swept - {budget})]


def _row(series: str, at: Any, estimate: Estimate) -> dict[str, Any]:
    return {
        "series": series,
        "at": at,
        # Digits, not decimal places: scores may be as small as they like.
        "value": float(f"{estimate.value:.6g}"),
        "low": float(f"{estimate.low:.6g}"),
        "high": float(f"{estimate.high:.6g}"),
    }


def _against_parameter(study: Study, entries: Sequence[Entry], name: str) -> Iterator[Figure]:
    rows = []
    for entry in entries:
        at, accuracy = entry.parameters.get(name), share(entry.grades())
        if accuracy is not None and isinstance(at, int | float) and not isinstance(at, bool):
            rows.append(_row(study.series(entry, name), at, accuracy))
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["series"]] = counts.get(row["series"], 0) + 1
    rows = [row for row in rows if counts[row["series"]] > 1]
    if not rows:
        return
    positive = all(row["at"] > 0 for row in rows)
    drawn = curves(
        f"accuracy-{name}", f"Accuracy against {name}", rows, Axis("at", name, positive, exact=True)
    )
    yield drawn.with_note(f"{_INTERVALS} {_BESIDE}")


def _against_cost(
    study: Study, entries: Sequence[Entry], cost: str, title: str, note: str
) -> Iterator[Figure]:
    rows = []
    for entry in entries:
        at, accuracy = entry.mean(cost), share(entry.grades())
        if at is None or accuracy is None:
            if cost == "policy_tokens" or all(each.failed for each in entry.trials.values()):
                continue
            return  # unknown for one: not drawn for the others alone
        # Each line follows its own strategy's sweep: beside one of `n` another may be of `waits`.
        rows.append(_row(study.series(entry, study.budget_of(entry)), at, accuracy))
    rows = [row for row in rows if row["at"] > 0]
    if rows:
        name = f"accuracy-{cost.removeprefix('policy_')}"
        drawn = curves(name, f"Accuracy against {title}", rows, Axis("at", title))
        yield drawn.with_note(f"{note} {_INTERVALS} {_BESIDE}")


def _by_difficulty(study: Study, entries: Sequence[Entry], groups: Grouping) -> Iterator[Figure]:
    budget, graded = study.budget, study.graded()
    rows = []
    for group in groups.names:
        panel = f"{group} ({groups.size(group, graded)})"
        for entry in entries:
            grades = {
                key: right
                for key, right in entry.grades().items()
                if groups.of.get(key[0]) == group
            }
            accuracy = share(grades)
            if accuracy is not None:
                at = str(entry.parameters.get(budget, "none")) if budget else ""
                rows.append({**_row(study.series(entry, budget), at, accuracy), "panel": panel})
    if rows:
        order = {
            str(entry.parameters.get(budget)): entry.parameters.get(budget)
            for entry in entries
            if budget
        }
        rows.sort(key=lambda row: _number(order.get(row["at"])))
        rows.sort(key=lambda row: groups.names.index(row["panel"].rpartition(" (")[0]))
        drawn = bars("difficulty", "Accuracy by difficulty", rows, budget or "")
        yield drawn.with_note(f"By {groups.by}; in brackets how many problems. {_INTERVALS}")


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("inf")


def partner(study: Study, entry: Entry, baseline: Entry) -> Entry:
    """The entry to compare with: the baseline, at the same budget if it ran there.

    Its other parameters are the baseline's: of two sweeps, only the budget's is followed.
    """
    budget = study.budget
    if budget is not None and budget in entry.parameters and budget in baseline.parameters:
        wanted = {**baseline.parameters, budget: entry.parameters[budget]}
        for other in study.entries:
            same = (other.base, other.run) == (baseline.base, baseline.run)
            if same and other.parameters == wanted:
                return other
    return baseline


def comparisons(study: Study, baseline: Entry) -> list[PairedComparison]:
    """Every strategy against the baseline; what they have no graded problem in common for is not
    there."""
    graded = [entry for entry in study.entries if entry.grades()]
    pairs = [
        (entry.name, other.name)
        for entry in graded
        if (other := partner(study, entry, baseline)) is not entry and other in graded
    ]
    answers = {entry.name: entry.trials.values() for entry in graded}
    return [each for each in compare(answers, pairs) if each.trials]


def _differences(study: Study, baseline: Entry) -> Iterator[Figure]:
    rows = [
        {
            "series": comparison.left,
            "value": round(100 * comparison.difference, 3),
            "low": round(100 * comparison.low, 3),
            "high": round(100 * comparison.high, 3),
            "against": comparison.right,
            "only": comparison.left_only,
            "only_other": comparison.right_only,
            "p": float(f"{comparison.adjusted:.3g}"),
            "verdict": comparison.verdict.value,
        }
        for comparison in comparisons(study, baseline)
    ]
    if not rows:
        return
    drawn = forest(
        "differences", f"Differences to {baseline.base}", rows, "difference, percentage points"
    )
    columns = {
        **drawn.columns,
        "against": "compared with",
        "only": "only this one right",
        "only_other": "only the other right",
        "p": "p (Holm)",
        "verdict": "verdict at 5 %",
    }
    same = f", at the same {study.budget} where it ran" if study.budget else ""
    note = (
        f"Paired: both strategies on the same problems and seeds{same}. Bars: 95 % intervals of a "
        "bootstrap over problems; p: exact sign-flip test (with one seed McNemar's), adjusted for "
        "all comparisons here (Holm)."
    )
    yield Figure(drawn.name, drawn.title, drawn.rows, columns, drawn.spec, note)


# ------------------------------------------------------------------------------ reward models


def observed(study: Study, scorer: str) -> Entry | None:
    """The strategy whose candidates say most of a scorer: not pruned by scores, and many."""
    using = [entry for entry in study.entries if entry.tally.seen(scorer)]
    return max(
        using,
        key=lambda entry: (entry.tally.selected == 0, entry.tally.seen(scorer)),
        default=None,
    )


def scorers(study: Study) -> list[str]:
    """All scorers of a study; fields of problems, such as the gold answer, are no reward models."""
    declared = (each for entry in study.entries for each in entry.record.plan.scorers)
    return list(dict.fromkeys(each.name for each in declared if each.field is None))


def _rewards(study: Study) -> Iterator[Figure]:
    shares: list[dict[str, Any]] = []
    for scorer in scorers(study):
        entry = observed(study, scorer)
        candidates = () if entry is None else entry.tally.sampled(scorer)
        if entry is None or len(candidates) < 2 * _BINS:
            continue
        source = f"Complete solutions of {entry.name}, in groups of equal size."
        rows = _lengths(candidates)
        if len({row["at"] for row in rows}) > 1:
            drawn = curves(
                f"length-{scorer}",
                f"Score of {scorer} against length",
                rows,
                Axis("at", "tokens of the solution"),
                "mean score",
            )
            yield drawn.with_note(
                f"{source} A slope within right or within wrong ones is a bias "
                f"by length. {_INTERVALS}"
            )
        shares += _calibration(scorer, candidates)
    if shares:
        drawn = curves(
            "score-right",
            "Share right against score",
            shares,
            Axis("at", "score", log=False),
            "right, %",
        )
        yield drawn.with_note(f"Complete solutions in groups of equal size by score. {_INTERVALS}")


def _groups(values: Sequence[ScoredCandidate], by: str) -> Iterator[Sequence[ScoredCandidate]]:
    """At most `_BINS` groups of about equal size; equal values stay together."""
    ordered = sorted(values, key=lambda each: float(getattr(each, by)))
    start = 0
    for at in range(1, _BINS + 1):
        end = round(len(ordered) * at / _BINS)
        while start < end < len(ordered) and (
            getattr(ordered[end], by) == getattr(ordered[end - 1], by)
        ):
            end += 1
        if end > start:
            yield ordered[start:end]
            start = end


def _lengths(candidates: Sequence[ScoredCandidate]) -> list[dict[str, Any]]:
    rows = []
    for grade, series in ((True, "right answer"), (False, "wrong answer"), (None, "no grade")):
        members = [each for each in candidates if each.right is grade]
        for group in _groups(members, "tokens"):
            centre, half = _mean([(each.problem, each.score) for each in group])
            at = sum(each.tokens for each in group) / len(group)
            row = _row(
                series, round(at, 2), Estimate(centre, centre - half, centre + half, len(group))
            )
            rows.append(row if half < inf else {**row, "low": None, "high": None})
    return rows


def _mean(values: Sequence[tuple[str, float]]) -> tuple[float, float]:
    """A mean, and half the width of its 95 % interval, problems being clusters as in
    `stats.proportions`; infinite for values of one problem only."""
    centre = mean([value for _, value in values]) or 0.0
    by_problem: dict[str, float] = {}
    for problem, value in values:
        by_problem[problem] = by_problem.get(problem, 0.0) + value - centre
    clusters = len(by_problem)
    if clusters < 2:
        return centre, inf
    # `hypot`: squares of very small scores would be zero. Sums of very large ones have no interval.
    between = hypot(*by_problem.values()) * sqrt(clusters / (clusters - 1))
    return centre, Z95 * between / len(values)


def _calibration(scorer: str, candidates: Sequence[ScoredCandidate]) -> Iterator[dict[str, Any]]:
    graded = [each for each in candidates if each.right is not None]
    for group in _groups(graded, "score"):
        clusters: dict[str, tuple[int, int]] = {}
        for each in group:
            right, count = clusters.get(each.problem, (0, 0))
            clusters[each.problem] = right + bool(each.right), count + 1
        good = sum(right for right, _ in clusters.values())
        low, high = clustered_wilson(clusters.values())
        at = mean([each.score for each in group]) or 0.0
        estimate = Estimate(100 * good / len(group), 100 * low, 100 * high, len(group))
        yield _row(scorer, float(f"{at:.6g}"), estimate)


def rewards(study: Study) -> list[Mapping[str, Any]]:
    """A line per scorer: what it does on which candidates."""
    rows: list[Mapping[str, Any]] = []
    for scorer in scorers(study):
        entry = observed(study, scorer)
        if entry is None:
            continue
        measured = behaviour(entry.tally.sampled(scorer))
        rows.append(
            {
                "scorer": scorer,
                "strategy": entry.name,
                "candidates": entry.tally.seen(scorer),
                "length": measured.length,
                "auc": measured.auc,
            }
        )
    return rows
