"""`tts-tune DIR...`: the compute-optimal choice of recorded strategies, as a `.tts` file."""

from __future__ import annotations

from argparse import SUPPRESS, Namespace
from collections.abc import Sequence
from functools import partial
from math import ceil, isfinite, nan
from pathlib import Path

from tts_lang.cli.completion import fixed
from tts_lang.cli.parser import CommandParser, UsageError
from tts_lang.diagnostics import DiagnosticError, did_you_mean
from tts_lang.explain.units import counted, rounded
from tts_lang.printable import printable
from tts_runtime.cli.record_command import read_records
from tts_runtime.cli.tables import percent
from tts_runtime.cli.tune_bins import Bins, chosen_bins
from tts_runtime.cli.tune_text import amount, conclusions, mean_cost, print_points
from tts_runtime.stats.load import COSTS, Experiment, ExperimentError, read_experiment
from tts_runtime.stats.tuned_file import ChangedError, base_of, tuned_source
from tts_runtime.stats.tuning import TunedPoint, TuningCandidate, least_budget, tuned

_NOTES = """
Calibrates on one half of the problems and validates on the other, both ways round (Snell et al. \
2024). Nothing is sampled: record the candidates first, at as many values as you like.

Examples:
  tts-run majority best_of_n beam_search --sweep n=4,16,64 --out runs/grid
  tts-tune runs/grid -o tuned.tts
  tts-tune runs/grid --difficulty predicted --probes 4 --bins 3 -o tuned.tts
  tts-run tuned.tts --problems new.jsonl

Exit codes: 0 success, 2 usage error, or records that cannot be used.
"""
#: Strategies that a choice is compared with where none is named, the first of them that there is.
_BASELINES = ("best_of_n", "weighted_best_of_n", "majority")


def tune_parser() -> CommandParser:
    """The arguments and options of `tts-tune`."""
    command = CommandParser(
        "tts-tune",
        "DIR... [OPTION...]",
        "Choose, from recorded runs, the best strategy for each difficulty and budget, and write "
        "the choice as a strategy.",
        _NOTES,
        {"--out FILE": ("output", "save"), "--budget N": ("budgets",)},
    )
    command.add_argument("directories", metavar="DIR", nargs="+", help=SUPPRESS)
    group = command.group("Difficulty")
    group.value(
        "--difficulty",
        metavar="KIND",
        help="oracle: the share of a problem's samples that are right (the default); predicted: "
        "the mean score of its first samples, whose cost counts; field:NAME: a field of the "
        "problem, larger for easier problems",
        completer=fixed("oracle", "predicted", "field:"),
    )
    group.value(
        "--bins",
        metavar="BINS",
        help="absolute: easy above 50 %%, medium above 10 %%, hard (the default), or a number of "
        "bins of equal size (5 for predicted, and for fields beyond 0 to 1)",
        completer=fixed("absolute", "3", "5"),
    )
    group.value(
        "--probe",
        metavar="NAME",
        help="strategy whose samples rate the problems (default: the one with the most)",
    )
    group.value("--probes", metavar="N", help="samples that predict the difficulty (default: 4)")
    group.value("--scorer", metavar="NAME", help="scorer that predicts it (default: the only one)")
    group = command.group("Budget")
    group.value(
        "--cost",
        metavar="KIND",
        help="what a budget counts: tokens of policies (the default), flops of all models, or "
        "samples (the parameter n)",
        completer=fixed(*COSTS),
    )
    group.values("--budget", metavar="N", help="cost per problem that no choice may exceed")
    group.value(
        "--baseline",
        metavar="NAME",
        help="strategy to compare with at its own costs, at all recorded values (default: "
        "best_of_n, weighted_best_of_n or majority)",
    )
    group = command.group("Output")
    group.value("-o", "--out", metavar="FILE", help="write the choice at the largest budget here")
    command.common()
    return command


def tune_command(arguments: Sequence[str]) -> int:
    """Runs `tts-tune` with these arguments; every mistake of the user's ends with a message.

    Returns:
        The exit code.
    """
    return read_records(tune_parser(), arguments, _tune, ExperimentError)


def _tune(options: Namespace) -> int:
    cost = options.cost or "tokens"
    if cost not in COSTS:
        hint = did_you_mean(cost, COSTS) or f"there are {', '.join(COSTS)}"
        raise UsageError(f"--cost: `{cost}`: {hint}")
    budgets = sorted(map(_budget, options.budget))
    if options.out is not None:
        _check_out(Path(options.out))
    experiment = read_experiment(options.directories)
    if len(experiment.problems) < 2:
        raise ExperimentError(
            "all strategies have a graded answer to one problem only: a choice is made on some "
            "problems and measured on others"
        )
    oracles = [  # such as `pass_at`
        name
        for name, each in experiment.records.items()
        if any(scorer.field == "answer" for scorer in each.plan.scorers)
    ]
    candidates = [each for each in experiment.candidates(cost) if each.name not in oracles]
    if not candidates:
        raise ExperimentError(
            f"{', '.join(oracles)} know the answer, so there is nothing to choose"
        )
    if len(candidates) == 1:
        raise ExperimentError(
            f"only {candidates[0].name} is recorded, so there is nothing to choose: add runs of "
            "other strategies, or of other values (`tts-run --sweep`)"
        )
    bins = chosen_bins(options, experiment, cost)
    baseline = _baseline(options.baseline, experiment, candidates)
    if not baseline and not budgets:
        raise UsageError("name a --budget, or the --baseline to compare with")
    choose = partial(
        tuned, candidates, bins.of, number=len(bins.borders) + 1, overhead=bins.overhead
    )
    if budgets:
        choices = {amount(budget, cost): choose(budget=budget) for budget in budgets}
    else:
        choices = {f"that of {each.name}": choose(baseline=each) for each in baseline}
    points = [each for each in choices.values() if each is not None]
    least = f"{ceil(least_budget(candidates, bins.of, bins.overhead)):,}"
    if not points:
        raise ExperimentError(
            f"no strategy fits the budget in every bin; the smallest that one fits is {least}"
        )
    count = f"{counted(len(experiment.problems), 'problem')}, {len(candidates)} strategies"
    engines = {**experiment.policies, **experiment.scorers}
    named = "; ".join(f"{name} {engine}" for name, engine in engines.items())
    print(printable(f"{count}; {named}; {bins.words}"))
    if oracles:
        print(printable(f"left out, as they know the answer: {', '.join(oracles)}"))
    if experiment.left_out:
        left_out = counted(experiment.left_out, "answer")
        print(f"left out, as not every strategy has their seeds: {left_out}")
    failed = sum(bool(a.error) for answers in experiment.answers.values() for a in answers)
    if failed:
        print(f"failed, and so wrong at no cost: {counted(failed, 'answer')}")
    small = [budget for budget, point in choices.items() if point is None]
    if small:
        names = printable(", ".join(small))
        print(f"left out, as no strategy fits below {least} in every bin: {names}")
    print_points(points, candidates, bins, cost)
    for line in conclusions(points, baseline, candidates, cost):
        print(printable(line))
    if options.out is not None:
        _write(Path(options.out), experiment, points[-1], bins, named, cost)
    return 0


def _budget(text: str) -> float:
    """A cost per problem, `2000` or `2e3`."""
    try:
        number = float(text.strip().replace("_", ""))
    except ValueError:
        number = nan
    if not isfinite(number):
        raise UsageError(f"--budget: expected a number, such as 2000 or 2e3, found `{text}`")
    if number < 1:
        raise UsageError(f"--budget: must be 1 or more, not {text}")
    return number


def _baseline(
    name: str | None, experiment: Experiment, candidates: Sequence[TuningCandidate]
) -> list[TuningCandidate]:
    """The baseline at all its values, the cheapest first."""
    bases = {each.name: base_of(experiment.records[each.name].plan) for each in candidates}
    if name is not None and name not in bases.values() and name not in bases:
        hint = did_you_mean(name, [*bases, *bases.values()])
        raise UsageError(f"--baseline: no strategy `{name}` here" + (f"; {hint}" if hint else ""))
    names = [name] if name is not None else [each for each in _BASELINES if each in bases.values()]
    matching = [each for each in candidates if names and names[0] in (each.name, bases[each.name])]
    return sorted(matching, key=mean_cost)


def _check_out(path: Path) -> None:
    """Says at once what would be found out at the end."""
    if path.suffix != ".tts":
        raise UsageError(f"--out: {path} is no file of strategies: name it {path.stem}.tts")
    if not path.parent.is_dir():
        raise UsageError(f"--out: {path} cannot be written: there is no folder {path.parent}")


def _write(
    path: Path, experiment: Experiment, point: TunedPoint, bins: Bins, engines: str, cost: str
) -> None:
    plans = [experiment.records[name].plan for name in point.choice]
    low, high = point.interval
    budget = f"that of {point.baseline}" if point.baseline else amount(point.budget, cost)
    about = (
        "\n".join(
            [
                "The best recorded strategy for each difficulty, chosen by tts-tune.",
                "",
                f"On {counted(len(experiment.problems), 'problem')}; {engines}.",
                f"Budget: {budget}. Validated accuracy: {percent(point.accuracy)} "
                f"({rounded(100 * low, 0)} to {rounded(100 * high, 0)} %).",
                f"{bins.words[0].upper()}{bins.words[1:]}.",
                "Source: Snell et al. (2024), section 3 (two-fold validation).",
            ]
        )
        .replace('"', "'")
        .replace("\\", "/")
    )
    name = path.stem if path.stem.isidentifier() else "tuned"
    try:
        text = tuned_source(
            plans, bins.borders, bins.source, about=about, folder=path.parent, name=name
        )
        path.write_text(text, encoding="utf-8")
    except DiagnosticError as error:
        raise ExperimentError(f"the choice cannot be written as a strategy: {error}") from error
    except ChangedError as error:
        raise ExperimentError(
            f"the choice cannot be written as a strategy: {error}; put the file there that ran, or "
            "run it again"
        ) from error
    except OSError as error:
        raise UsageError(f"--out: {path} cannot be written: {error.strerror}") from error
    print(printable(f"written to {path}"))
