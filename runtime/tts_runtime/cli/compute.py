"""Figures of `tts-metrics` about compute: costs, s1's figures, matched FLOPs."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass

from tts_lang.cli.parser import UsageError
from tts_lang.explain.units import counted, short
from tts_runtime.cli.record_command import chosen_records, labels_of
from tts_runtime.cli.report import print_rows
from tts_runtime.cli.tables import TableColumn, percent
from tts_runtime.problems.model import Trial
from tts_runtime.record.reader import Run, StrategyRecord
from tts_runtime.runs.results import Answer, total_flops
from tts_runtime.stats.load import ExperimentError
from tts_runtime.stats.scaling import control, matched_multiple, performance, slope
from tts_runtime.stats.tuned_file import base_of


def costs(options: Namespace) -> None:
    """The cost of each strategy, and per problem that it solves."""
    records = chosen_records(options)
    graded_of = [_graded(run, record) for run, record in records]
    answers_of = [_finished(run.answers(record.name)) for run, record in records]
    solved = [sum(bool(each.correct) for each in answers) for answers in graded_of]
    tokens = [sum(_all_tokens(each) for each in answers) for answers in answers_of]
    flops = [total_flops(answers) for answers in answers_of]

    def means(values: Sequence[int | None], counts: Sequence[int]) -> list[str]:
        return [
            "-" if value is None or not count else short(value / count)
            for value, count in zip(values, counts, strict=True)
        ]

    counts = [len(answers) for answers in answers_of]
    columns = [
        TableColumn(
            "solved",
            [
                f"{right} of {len(graded)}" if graded else "-"
                for right, graded in zip(solved, graded_of, strict=True)
            ],
        ),
        TableColumn("tokens each", means(tokens, counts)),
        TableColumn("FLOPs each", means(flops, counts)),
        TableColumn(
            "tokens solved",
            means([sum(_all_tokens(each) for each in graded) for graded in graded_of], solved),
        ),
        TableColumn("FLOPs solved", means([total_flops(each) for each in graded_of], solved)),
    ]
    print_rows("strategy", labels_of(records), columns, ("FLOPs each", "tokens each"), [
        "each: mean per answer that did not fail; solved: of those with a grade, the total over "
        "the answers that are right, what one solved problem costs. Tokens: drawn, and read by "
        "policies and scorers"
    ])  # fmt: skip


def _finished(answers: Sequence[Answer]) -> list[Answer]:
    """Those that did not fail: the others have no costs."""
    return [each for each in answers if not each.error]


def _graded(run: Run, record: StrategyRecord) -> list[Answer]:
    """Those with a grade: what failed is wrong."""
    return [each for each in run.answers(record.name) if each.correct is not None]


def _all_tokens(answer: Answer) -> int:
    return answer.policy_tokens + answer.prompt_tokens + answer.scorer_tokens


@dataclass(frozen=True, slots=True)
class _Points:
    """Strategies with accuracies: their mean tokens of the policy and accuracy, of answers that
    have a grade; lines about those without, and about different problems or seeds."""

    records: Sequence[tuple[Run, StrategyRecord]]
    labels: Sequence[str]
    values: Sequence[tuple[float, float]]
    lines: Sequence[str]


def _points(options: Namespace) -> _Points:
    """Those of the strategies that are asked for.

    Raises:
        ExperimentError: None of them has an accuracy.
    """
    everything = chosen_records(options)
    records: list[tuple[Run, StrategyRecord]] = []
    labels: list[str] = []
    values: list[tuple[float, float]] = []
    trials: list[set[Trial]] = []
    lacking: list[str] = []
    for label, (run, record) in zip(labels_of(everything), everything, strict=True):
        graded = _graded(run, record)
        finished = _finished(graded)
        if not finished:
            lacks = "all answers failed" if graded else "accuracy needs gold answers"
            lacking.append(f"{label}: {lacks}")
            continue
        records.append((run, record))
        labels.append(label)
        trials.append({each.trial for each in graded})
        values.append((
            sum(each.policy_tokens for each in finished) / len(finished),
            sum(bool(each.correct) for each in graded) / len(graded),
        ))  # fmt: skip
    if everything and not records:
        raise ExperimentError("\n".join(lacking))
    common = set.intersection(*trials) if trials else set()
    if any(each != common for each in trials):
        lacking.append(
            "strategies have grades for different problems or seeds, "
            f"{counted(len(common), 'answer')} in common: each row is over its own"
        )
    return _Points(records, labels, values, lacking)


def scaling(options: Namespace) -> None:
    """s1's Control, Scaling and Performance."""
    limits = options.between and _numbers("--between", options.between, 2)
    if limits and limits[0] > limits[1]:
        raise UsageError(f"--between: LOW,HIGH: {limits[0]:g} is above {limits[1]:g}")
    points = _points(options)
    columns = [
        TableColumn("policy tokens", [f"{tokens:,.0f}" for tokens, _ in points.values]),
        TableColumn("accuracy", [percent(accuracy) for _, accuracy in points.values]),
    ]
    print_rows("strategy", points.labels, columns, (), points.lines)
    if limits:
        low, high = limits
        every = [
            float(each.policy_tokens)
            for run, record in points.records
            for each in _finished(run.answers(record.name))
        ]
        print(f"Control: {percent(control(every, low, high))} of {counted(len(every), 'answer')}")
    # A slope from one method to another says nothing of how either grows.
    families: dict[str, list[tuple[float, float]]] = {}
    for (_, record), point in zip(points.records, points.values, strict=True):
        families.setdefault(base_of(record.plan), []).append(point)
    if all(len(family) == 1 for family in families.values()):
        families = {"": list(points.values)}
    for name, family in families.items():
        rise = slope(family)
        unknown = "all cost the same" if len(family) > 1 else "there is one run"
        rise_text = f"unknown: {unknown}" if rise is None else f"{100_000 * rise:+.2f}"
        of = f" of {name}" if len(families) > 1 else ""
        print(f"Scaling{of}: {rise_text} (points of accuracy per 1,000 tokens, mean over pairs)")
        print(f"Performance{of}: {percent(performance(family))}")


def flops(options: Namespace) -> None:
    """How much more a smaller model may infer for the FLOPs of a larger one."""
    if options.size_ratio is None:
        raise UsageError("tts-metrics flops: name the --size-ratio of the two models")
    [size] = _numbers("--size-ratio", options.size_ratio, 1)
    ratios = _numbers("--token-ratio", options.token_ratio or "0.16,0.79,22")
    multiples = [matched_multiple(size, ratio) for ratio in ratios]
    points = _points(options)
    columns = [
        TableColumn("inference of the smaller", [f"{each:,.1f} times" for each in multiples])
    ]
    print_rows("R", [f"{ratio:g}" for ratio in ratios], columns, (), [
        f"what matches a model of {size:g} times the parameters, trained on as many tokens, that "
        "answers once: M + 3 (M - 1) / R (Snell et al. 2024, section 7)"
    ])  # fmt: skip
    if not points.records:
        return
    cheapest = min(tokens for tokens, _ in points.values)
    print()
    names, cells = [], []
    for multiple, ratio in zip(multiples, ratios, strict=True):
        fit = [
            (accuracy, label)
            for (tokens, accuracy), label in zip(points.values, points.labels, strict=True)
            if tokens <= cheapest * multiple
        ]
        accuracy, label = max(fit, key=lambda each: each[0])
        names.append(f"R = {ratio:g}: {label}")
        cells.append(percent(accuracy))
    print_rows("best within the budget", names, [TableColumn("accuracy", cells)], (), [
        f"the budget: that many times the {cheapest:,.0f} tokens of the cheapest strategy here; "
        "compare with the accuracy of the larger model that answers once",
        *points.lines,
    ])  # fmt: skip


def _numbers(flag: str, text: str, count: int | None = None) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if (
        not numbers
        or any(not abs(each) < 1e300 for each in numbers)
        or count not in (None, len(numbers))
    ):
        expected = {None: "numbers", 1: "a number", 2: "LOW,HIGH"}[count]
        raise UsageError(f"{flag}: expected {expected}, found `{text}`")
    return numbers
