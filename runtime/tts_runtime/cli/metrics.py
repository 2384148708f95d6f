"""`tts-metrics WHAT DIR...`: figures of recorded runs; nothing is drawn."""

from __future__ import annotations

from argparse import SUPPRESS, Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tts_lang.cli.completion import fixed
from tts_lang.cli.parser import CommandParser, UsageError
from tts_lang.diagnostics import did_you_mean
from tts_lang.explain.units import short
from tts_lang.printable import printable
from tts_runtime.cli.options import limit_of
from tts_runtime.cli.rated import write_problems
from tts_runtime.cli.record_command import name_damage, read_records, refuse_others
from tts_runtime.cli.report import print_rows
from tts_runtime.cli.tables import TableColumn
from tts_runtime.record.reader import Run, StrategyRecord, open_run
from tts_runtime.runs.results import Answer, total_flops
from tts_runtime.stats.difficulty import (
    ABSOLUTE,
    bin_names,
    bins_of,
    pass_rates,
    predicted,
    quantile_borders,
)
from tts_runtime.stats.load import ExperimentError, joined_problems
from tts_runtime.stats.samples import (
    REDUCTIONS,
    SUBSETS,
    Rule,
    SampledProblem,
    best,
    coverage,
    majority,
    mean_over,
    samples_of,
    scorers_of,
    weighted,
    whole,
)
from tts_runtime.stats.scaling import control, matched_multiple, performance, slope
from tts_runtime.stats.tuned_file import base_of

_NOTES = """
What there is:
  samples     pass@k, maj@k and the best of k, from the n samples of a strategy (--k)
  rewards     vote and maximum for every reduction of every scorer; tokens per step and solution
  costs       tokens, FLOPs, and what a solved problem costs
  difficulty  pass rates and bins; --write FILE adds them to the problems as fields
  scaling     Control, Scaling and Performance of s1, over the strategies of a sweep
  flops       how much inference matches a larger model (--size-ratio, --token-ratio)

Examples:
  tts-metrics samples runs/votes --k 1,4,16
  tts-metrics difficulty runs/votes --bins 5 --write problems.jsonl
  tts-metrics scaling runs/waits --between 100,2000

Exit codes: 0 success, 2 usage error, or a record that cannot be used.
"""
#: Options that belong to some figures only.
_BELONGS: Final = {
    "--k": ("samples",),
    "--bins": ("difficulty",),
    "--scorer": ("difficulty",),
    "--write": ("difficulty",),
    "--between": ("scaling",),
    "--size-ratio": ("flops",),
    "--token-ratio": ("flops",),
}


def metrics_parser() -> CommandParser:
    """The arguments and options of `tts-metrics`."""
    command = CommandParser(
        "tts-metrics",
        "WHAT DIR... [OPTION...]",
        "Compute figures from recorded runs.",
        _NOTES,
        {"--write FILE": ("out", "output"), "--strategy NAME": ("method",)},
    )
    command.add_argument("what", metavar="WHAT", nargs="?", help=SUPPRESS)
    command.add_argument("directories", metavar="DIR", nargs="*", help=SUPPRESS)
    group = command.group("Options")
    group.value("--strategy", metavar="NAME", help="only this strategy (default: all)")
    group.value("--k", metavar="K,...", help="samples: how many (default: powers of 2)")
    group.value(
        "--bins",
        metavar="BINS",
        help="difficulty: absolute (easy above 50 %%, medium above 10 %%, hard), or a number of "
        "bins that hold as many problems each (default: absolute)",
        completer=fixed("absolute", "3", "5"),
    )
    group.value(
        "--scorer",
        metavar="NAME",
        help="difficulty: predict it by the mean score of the samples, without gold answers",
    )
    group.value("--write", metavar="FILE", help="difficulty: write the problems with their bins")
    group.value(
        "--between",
        metavar="LOW,HIGH",
        help="scaling: policy tokens of an answer that count as controlled",
    )
    group.value("--size-ratio", metavar="M", help="flops: parameters, larger over smaller model")
    group.value(
        "--token-ratio",
        metavar="R,...",
        help="flops: tokens of all inference over those of pre-training (default: 0.16,0.79,22)",
    )
    command.common()
    return command


def metrics_command(arguments: Sequence[str]) -> int:
    """Runs `tts-metrics` with these arguments; every mistake of the user's ends with a message.

    Returns:
        The exit code.
    """
    return read_records(metrics_parser(), arguments, _metrics, ExperimentError)


def _metrics(options: Namespace) -> int:
    show = _WHAT.get(options.what)
    if show is None:
        hint = did_you_mean(options.what or "", _WHAT) or f"there are {', '.join(_WHAT)}"
        wrong = "name the figures" if options.what is None else f"no figures `{options.what}`"
        raise UsageError(f"{wrong}; {hint}")
    if not options.directories and options.what != "flops":
        raise UsageError(f"tts-metrics {options.what}: name a run directory")
    refuse_others(options, _BELONGS, options.what)
    options.runs = []
    try:
        show(options)
    finally:
        name_damage(options.runs)
    return 0


_DEPENDENT: Final = (
    "the samples depend on each other: this says what was in these pools, not what k samples give"
)


def _stopped(problems: Sequence[SampledProblem]) -> list[str]:
    """A warning about pools that ended early, as votes do once they are decided."""
    if whole(problems):
        return []
    return [
        "pools differ in size: some ended once their vote was decided, so what is easy has fewer "
        "samples; record with --no-pass short_circuit, or a strategy that needs every sample"
    ]


def _ungraded(problems: Sequence[SampledProblem]) -> list[str]:
    """What is left out, as it is neither right nor wrong."""
    answers = sum(bool(each.samples) and not each.graded for each in problems)
    samples = sum(each.ungraded for each in problems)
    counts = [
        *([f"the samples of {answers:,} answers"] if answers else []),
        *([f"{samples:,} samples of others"] if samples else []),
    ]
    return [f"left out, as they have no grade: {', '.join(counts)}"] if counts else []


# ------------------------------------------------------------------ what is read


def _records(options: Namespace) -> list[tuple[Run, StrategyRecord]]:
    """The strategies that are asked for, of all directories."""
    runs: list[Run] = options.runs
    runs += [open_run(each) for each in options.directories]
    if options.strategy is None:
        return [(run, record) for run in runs for record in run.strategies.values()]
    chosen = [(r, r.strategies[options.strategy]) for r in runs if options.strategy in r.strategies]
    return chosen or [(run, run.strategy(options.strategy)) for run in runs]


def _sampled(record: StrategyRecord) -> list[SampledProblem]:
    return [samples_of(tree) for tree in record.trees()]


def _labels(records: Sequence[tuple[Run, StrategyRecord]]) -> list[str]:
    """Names of strategies, with their directories if there are several."""
    several = len({run.directory for run, _ in records}) > 1
    return [
        f"{record.name} ({run.directory})" if several else record.name for run, record in records
    ]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


# ------------------------------------------------------------------ figures


def _samples(options: Namespace) -> None:
    records = _records(options)
    lacking: list[str] = []
    for label, (_, record) in zip(_labels(records), records, strict=True):
        everything = _sampled(record)
        problems = [each for each in everything if each.graded]
        scorers = scorers_of(problems)
        fewest = min((len(each.samples) for each in problems), default=0)
        if not fewest:
            lacking.append(f"{label}: no graded samples of every problem")
            continue
        sizes = _whole_numbers("--k", options.k) or [1 << at for at in range(fewest.bit_length())]
        most = max(len(each.samples) for each in problems)
        if min(sizes) > most:
            lacking.append(f"{label}: at most {most:,} samples of a problem, fewer than --k")
            continue
        names = ["pass@k (coverage)", "maj@k"]
        rules: list[Rule] = [coverage, majority]
        for scorer, per_step in scorers.items():
            reduction = "last"
            score = f"{reduction}({scorer})" if per_step else scorer
            names += [f"best of k by {score}", f"vote of k weighted by {score}"]
            rules += [best(scorer, reduction), weighted(scorer, reduction)]
        values = [[mean_over(problems, k, rule) for rule in rules] for k in sizes]
        columns = [
            TableColumn(f"k={k}", [_percent(each) for each in row])
            for k, row in zip(sizes, values, strict=True)
        ]
        sampled_from = (
            f"{len(problems):,} answers, at least {fewest} samples each; means over all subsets"
        )
        votes = f", of weighted votes over {SUBSETS} of them" if scorers else ""
        lines = [f"{sampled_from} of k samples{votes} (Chen et al. 2021)", *_ungraded(everything)]
        if not all(each.independent for each in problems):
            lines.append(_DEPENDENT)
        print_rows(label, names, columns, (), [*lines, *_stopped(problems)])
        print()
    _name_lacking(lacking, records)


def _rewards(options: Namespace) -> None:
    records = _records(options)
    lacking: list[str] = []
    for label, (_, record) in zip(_labels(records), records, strict=True):
        everything = _sampled(record)
        problems = [each for each in everything if each.graded and each.samples]
        scorers = scorers_of(problems)
        if not scorers:
            lacking.append(f"{label}: no {'scores' if problems else 'graded samples'}")
            continue
        names: list[str] = []
        maxima: list[float] = []
        votes: list[float] = []
        for scorer, per_step in scorers.items():
            for reduction in REDUCTIONS if per_step else ("last",):
                names.append(f"{reduction}({scorer})" if per_step else scorer)
                for accuracies, rule in ((maxima, best), (votes, weighted)):
                    rule_of = rule(scorer, reduction)
                    accuracies.append(
                        _mean(rule_of(problem, len(problem.samples)) for problem in problems)
                    )
        vote = _mean(majority(problem, len(problem.samples)) for problem in problems)
        samples = [sample for problem in problems for sample in problem.samples]
        tokens = sum(each.tokens for each in samples)
        columns = [
            TableColumn("maximum", [_percent(each) for each in maxima]),
            TableColumn("weighted vote", [_percent(each) for each in votes]),
            TableColumn(
                "vote gains", [f"{100 * (b - a):+.1f}" for a, b in zip(maxima, votes, strict=True)]
            ),
        ]
        steps = sum(each.steps for each in samples)
        print_rows(label, names, columns, (), [
            f"plain vote {_percent(vote)}; {tokens / max(1, len(samples)):,.0f} tokens and "
            f"{steps / max(1, len(samples)):.1f} steps per solution, "
            f"{tokens / max(1, steps):.1f} tokens per step",
            *_ungraded(everything),
        ])  # fmt: skip
        print()
    _name_lacking(lacking, records)


def _name_lacking(lines: Sequence[str], records: Sequence[object]) -> None:
    """Says which strategies have no table.

    Raises:
        ExperimentError: None has one.
    """
    if lines and len(lines) == len(records):
        raise ExperimentError("\n".join(lines))
    for line in lines:
        print(printable(line))


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0


def _costs(options: Namespace) -> None:
    records = _records(options)
    answers_of = [
        [each for each in run.answers(record.name) if not each.error] for run, record in records
    ]
    graded_of = [[each for each in answers if each.correct is not None] for answers in answers_of]
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
    print_rows("strategy", _labels(records), columns, ("FLOPs each", "tokens each"), [
        "each: mean per answer; solved: of those with a grade, the total over the answers that are "
        "right, what one solved problem costs. Tokens: drawn, and read by policies and scorers"
    ])  # fmt: skip


def _all_tokens(answer: Answer) -> int:
    return answer.policy_tokens + answer.prompt_tokens + answer.scorer_tokens


def _difficulty(options: Namespace) -> None:
    records = _records(options)
    if len(records) > 1 and options.strategy is None:
        records = [max(records, key=lambda each: _size(each[1]))]
    joined = joined_problems(list({run.directory: run for run, _ in records}.values()))
    problems = [each for _, record in records for each in _sampled(record)]
    if options.scorer is None:
        ease, field = pass_rates(problems), "pass_rate"
    else:
        scorers = scorers_of(problems)
        if options.scorer not in scorers:
            raise UsageError(f"--scorer: there are scores of {', '.join(scorers) or 'none'}")
        ease, field = predicted(problems, options.scorer), "predicted"
    if not ease:
        raise ExperimentError("no problem has graded samples: record majority with gold answers")
    bins = options.bins or "absolute"
    number = None if bins == "absolute" else limit_of("--bins", bins, least=2)
    borders = ABSOLUTE if number is None else quantile_borders(ease.values(), number)
    of, names = bins_of(ease, borders), bin_names(borders)
    members = [[id_ for id_ in of if of[id_] == at] for at in range(len(names))]
    means = [_mean(ease[id_] for id_ in ids) if ids else None for ids in members]
    spans = [*borders[::-1], None]
    columns = [
        TableColumn("problems", [f"{len(ids):,}" for ids in members]),
        TableColumn("above", ["" if each is None else f"{each:.3g}" for each in spans]),
        TableColumn(field, ["-" if each is None else f"{each:.3f}" for each in means]),
    ]
    names_of = ", ".join(record.name for _, record in records)
    rated = [each for each in problems if each.graded or options.scorer is not None]
    left_out = _ungraded(problems) if options.scorer is None else []
    print_rows("difficulty", names, columns, (), [
        f"by the samples of {names_of}: {len(ease):,} problems, "
        f"{sum(len(each.samples) for each in rated):,} samples",
        *left_out,
        *_stopped(rated),
    ])  # fmt: skip
    if options.write is not None:
        write_problems(Path(options.write), list(joined.values()), ease, of, names, field)


def _size(record: StrategyRecord) -> tuple[bool, int]:
    """The weight of a strategy's samples as evidence: complete pools first, then the largest."""
    problems = [each for each in _sampled(record) if each.graded and each.independent]
    return whole(problems), min((len(each.samples) for each in problems), default=0)


def _points(
    records: Sequence[tuple[Run, StrategyRecord]], labels: Sequence[str]
) -> list[tuple[float, float]]:
    """Of each strategy, mean tokens of the policy, and accuracy, of answers that have a grade.

    Raises:
        ExperimentError: None has.
    """
    points: list[tuple[float, float]] = []
    for label, (run, record) in zip(labels, records, strict=True):
        graded = [each for each in run.answers(record.name) if each.correct is not None]
        if not graded:
            raise ExperimentError(f"{label}: accuracy needs gold answers")
        points.append((
            _mean(float(each.policy_tokens) for each in graded),
            _mean(float(bool(each.correct)) for each in graded),
        ))  # fmt: skip
    return points


def _scaling(options: Namespace) -> None:
    limits = options.between and _numbers("--between", options.between, 2)
    if limits and limits[0] > limits[1]:
        raise UsageError(f"--between: LOW,HIGH: {limits[0]:g} is above {limits[1]:g}")
    records = _records(options)
    labels = _labels(records)
    points = _points(records, labels)
    columns = [
        TableColumn("policy tokens", [f"{tokens:,.0f}" for tokens, _ in points]),
        TableColumn("accuracy", [_percent(accuracy) for _, accuracy in points]),
    ]
    print_rows("strategy", labels, columns, (), [])
    if limits:
        low, high = limits
        every = [
            float(each.policy_tokens)
            for run, record in records
            for each in run.answers(record.name)
        ]
        print(f"Control: {_percent(control(every, low, high))} of {len(every):,} answers")
    # A slope from one method to another says nothing of how either grows.
    families: dict[str, list[tuple[float, float]]] = {}
    for (_, record), point in zip(records, points, strict=True):
        families.setdefault(base_of(record.plan), []).append(point)
    if all(len(family) == 1 for family in families.values()):
        families = {"": points}
    for name, family in families.items():
        rise = slope(family)
        unknown = "all cost the same" if len(family) > 1 else "there is one run"
        rise_text = f"unknown: {unknown}" if rise is None else f"{100_000 * rise:+.2f}"
        of = f" of {name}" if len(families) > 1 else ""
        print(f"Scaling{of}: {rise_text} (points of accuracy per 1,000 tokens, mean over pairs)")
        print(f"Performance{of}: {_percent(performance(family))}")


def _flops(options: Namespace) -> None:
    if options.size_ratio is None:
        raise UsageError("tts-metrics flops: name the --size-ratio of the two models")
    [size] = _numbers("--size-ratio", options.size_ratio, 1)
    ratios = _numbers("--token-ratio", options.token_ratio or "0.16,0.79,22")
    multiples = [matched_multiple(size, ratio) for ratio in ratios]
    records = _records(options)
    labels = _labels(records)
    points = _points(records, labels)
    columns = [
        TableColumn("inference of the smaller", [f"{each:,.1f} times" for each in multiples])
    ]
    print_rows("R", [f"{ratio:g}" for ratio in ratios], columns, (), [
        f"what matches a model of {size:g} times the parameters, trained on as many tokens, that "
        "answers once: M + 3 (M - 1) / R (Snell et al. 2024, section 7)"
    ])  # fmt: skip
    if not records:
        return
    cheapest = min(tokens for tokens, _ in points)
    print()
    names, cells = [], []
    for multiple, ratio in zip(multiples, ratios, strict=True):
        fit = [
            (accuracy, label)
            for (tokens, accuracy), label in zip(points, labels, strict=True)
            if tokens <= cheapest * multiple
        ]
        accuracy, label = max(fit, key=lambda each: each[0])
        names.append(f"R = {ratio:g}: {label}")
        cells.append(_percent(accuracy))
    print_rows("best within the budget", names, [TableColumn("accuracy", cells)], (), [
        f"the budget: that many times the {cheapest:,.0f} tokens of the cheapest strategy here; "
        "compare with the accuracy of the larger model that answers once"
    ])  # fmt: skip


def _whole_numbers(flag: str, text: str | None) -> list[int]:
    return [] if text is None else [limit_of(flag, part) or 1 for part in text.split(",")]


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


_WHAT: Final[Mapping[str, Callable[[Namespace], None]]] = {
    "samples": _samples,
    "rewards": _rewards,
    "costs": _costs,
    "difficulty": _difficulty,
    "scaling": _scaling,
    "flops": _flops,
}
