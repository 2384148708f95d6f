"""`tts-metrics WHAT DIR...`: figures of recorded runs; nothing is drawn."""

from __future__ import annotations

from argparse import SUPPRESS, Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tts_lang.cli.completion import fixed
from tts_lang.cli.parser import CommandParser, UsageError
from tts_lang.diagnostics import did_you_mean
from tts_lang.explain.units import counted, rounded
from tts_lang.printable import printable
from tts_lang.values import mean
from tts_runtime.cli.compute import costs, flops, scaling
from tts_runtime.cli.options import limit_of
from tts_runtime.cli.rated import write_problems
from tts_runtime.cli.record_command import (
    chosen_records,
    labels_of,
    name_damage,
    read_records,
    refuse_others,
)
from tts_runtime.cli.report import print_rows
from tts_runtime.cli.tables import TableColumn, percent
from tts_runtime.record.reader import StrategyRecord
from tts_runtime.stats.difficulty import (
    bin_names,
    bins_of,
    borders_of,
    pass_rates,
    predicted,
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
    """A warning about pools that ended early, as votes do once they are decided.

    Those of a search differ in size by themselves.
    """
    if whole(problems) or not all(each.independent for each in problems):
        return []
    return [
        "pools differ in size: some ended once their vote was decided, so what is easy has fewer "
        "samples; record with --no-pass short_circuit, or a strategy that needs every sample"
    ]


def _ungraded(problems: Sequence[SampledProblem]) -> list[str]:
    """A line about answers and samples that are left out: they have no grade."""
    answers = sum(bool(each.samples) and not each.graded for each in problems)
    samples = sum(each.ungraded for each in problems)
    counts = [
        *([f"the samples of {counted(answers, 'answer')}"] if answers else []),
        *([f"{counted(samples, 'sample')} of others"] if samples else []),
    ]
    return [f"left out, as they have no grade: {', '.join(counts)}"] if counts else []


def _failed(records: Iterable[StrategyRecord]) -> list[str]:
    """What has no samples, and counts as wrong in the accuracy of the strategy itself."""
    failed = sum(bool(each.error) for record in records for each in record.answers.values())
    return [f"left out, as they failed: {counted(failed, 'answer')}"] if failed else []


def _sampled(record: StrategyRecord) -> list[SampledProblem]:
    return [samples_of(tree) for tree in record.trees()]


# ------------------------------------------------------------------ figures


def _samples(options: Namespace) -> None:
    records = chosen_records(options)
    lacking: list[str] = []
    for label, (_, record) in zip(labels_of(records), records, strict=True):
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
            lacking.append(
                f"{label}: at most {counted(most, 'sample')} of a problem, fewer than --k"
            )
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
            TableColumn(f"k={k}", [percent(each) for each in row])
            for k, row in zip(sizes, values, strict=True)
        ]
        enough = [sum(len(each.samples) >= k for each in problems) for k in sizes]
        if min(enough) < len(problems):  # a column is over those only
            names.append("answers with k samples")
            columns = [
                TableColumn(column.title, [*column.cells, f"{count:,}"])
                for column, count in zip(columns, enough, strict=True)
            ]
        sampled_from = (
            f"{counted(len(problems), 'answer')}, at least {counted(fewest, 'sample')} each; means "
            "over all subsets"
        )
        votes = f", of weighted votes over at most {SUBSETS}" if scorers else ""
        lines = [
            f"{sampled_from} of k samples{votes} (Chen et al. 2021)",
            *_ungraded(everything),
            *_failed([record]),
        ]
        if not all(each.independent for each in problems):
            lines.append(_DEPENDENT)
        print_rows(label, names, columns, (), [*lines, *_stopped(problems)])
        print()
    _name_lacking(lacking, records)


def _rewards(options: Namespace) -> None:
    records = chosen_records(options)
    lacking: list[str] = []
    for label, (_, record) in zip(labels_of(records), records, strict=True):
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
            TableColumn("maximum", [percent(each) for each in maxima]),
            TableColumn("weighted vote", [percent(each) for each in votes]),
            TableColumn(
                "vote gains",
                [rounded(100 * (b - a), sign="+") for a, b in zip(maxima, votes, strict=True)],
            ),
        ]
        steps = sum(each.steps for each in samples)
        print_rows(label, names, columns, (), [
            f"plain vote {percent(vote)}; {tokens / max(1, len(samples)):,.0f} tokens and "
            f"{rounded(steps / max(1, len(samples)))} steps per solution, "
            f"{rounded(tokens / max(1, steps))} tokens per step",
            *_ungraded(everything),
            *_failed([record]),
            *_stopped(problems),
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
    return float(mean(listed) or 0.0)


def _difficulty(options: Namespace) -> None:
    records = chosen_records(options)
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
    borders = borders_of(ease, number, f"mean {options.scorer}")
    of, names = bins_of(ease, borders), bin_names(borders)
    members = [[id_ for id_ in of if of[id_] == at] for at in range(len(names))]
    means = [_mean(ease[id_] for id_ in ids) if ids else None for ids in members]
    form = ".3f" if options.scorer is None else ".3g"  # scores may be as small as they like
    spans = [*borders[::-1], None]
    columns = [
        TableColumn("problems", [f"{len(ids):,}" for ids in members]),
        TableColumn("above", ["" if each is None else f"{each:.3g}" for each in spans]),
        TableColumn(field, ["-" if each is None else f"{each:{form}}" for each in means]),
    ]
    names_of = ", ".join(dict.fromkeys(record.name for _, record in records))
    if options.scorer is None:
        rated, left_out = [each for each in problems if each.graded], _ungraded(problems)
        count = sum(len(each.samples) for each in rated)
    else:
        rated = problems
        scores = [s.score(options.scorer, "last") for each in problems for s in each.samples]
        missing = scores.count(None)
        samples = counted(missing, "sample")
        left_out = [f"left out, as they have no score: {samples}"] * bool(missing)
        count = len(scores) - missing
    print_rows("difficulty", names, columns, (), [
        f"by the samples of {names_of}: {counted(len(ease), 'problem')}, "
        f"{counted(count, 'sample')}",
        *left_out,
        *_failed(record for _, record in records),
        *_stopped(rated),
    ])  # fmt: skip
    if options.write is not None:
        write_problems(Path(options.write), list(joined.values()), ease, of, names, field)


def _size(record: StrategyRecord) -> tuple[bool, int]:
    """The weight of a strategy's samples as evidence: complete pools first, then the largest."""
    problems = [each for each in _sampled(record) if each.graded and each.independent]
    return whole(problems), min((len(each.samples) for each in problems), default=0)


def _whole_numbers(flag: str, text: str | None) -> list[int]:
    return [] if text is None else [limit_of(flag, part) or 1 for part in text.split(",")]


_WHAT: Final[Mapping[str, Callable[[Namespace], None]]] = {
    "samples": _samples,
    "rewards": _rewards,
    "costs": costs,
    "difficulty": _difficulty,
    "scaling": scaling,
    "flops": flops,
}
