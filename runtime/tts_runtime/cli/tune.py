"""`tts-tune DIR...`: the compute-optimal choice of recorded strategies, as a `.tts` file."""

from __future__ import annotations

from argparse import SUPPRESS, Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, isfinite, nan
from pathlib import Path

from tts_lang.cli.completion import fixed
from tts_lang.cli.parser import CommandParser, UsageError
from tts_lang.diagnostics import DiagnosticError, did_you_mean
from tts_lang.explain.units import rounded, short
from tts_lang.printable import printable
from tts_runtime.cli.options import limit_of
from tts_runtime.cli.record_command import read_records, refuse_others
from tts_runtime.cli.report import print_rows
from tts_runtime.cli.tables import TableColumn, interval, percent
from tts_runtime.runs.results import Answer
from tts_runtime.stats.difficulty import (
    bin_names,
    bins_of,
    borders_of,
    pass_rates,
    predicted,
)
from tts_runtime.stats.load import COSTS, Experiment, ExperimentError, read_experiment
from tts_runtime.stats.paired import PairedComparison, compare
from tts_runtime.stats.samples import own_draws, scorers_of, whole
from tts_runtime.stats.tuned_file import ChangedError, FromField, Predicted, base_of, tuned_source
from tts_runtime.stats.tuning import TunedPoint, TuningCandidate, budget_ratio, least_budget, tuned

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
#: Options that belong to some kinds of --difficulty only.
_BELONGS = {
    "--probe": ("--difficulty oracle", "--difficulty predicted"),
    "--probes": ("--difficulty predicted",),
    "--scorer": ("--difficulty predicted",),
}


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


@dataclass(frozen=True, slots=True)
class _Bins:
    """Of each problem its bin; borders and names, how a file finds them, and what that costs."""

    of: Mapping[str, int]
    borders: Sequence[float]
    labels: Sequence[str]
    source: Predicted | FromField
    overhead: Mapping[str, float]
    words: str


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
    bins = _bins(options, experiment, cost)
    baseline = _baseline(options.baseline, experiment, candidates)
    if not baseline and not budgets:
        raise UsageError("name a --budget, or the --baseline to compare with")
    choose = partial(
        tuned, candidates, bins.of, number=len(bins.borders) + 1, overhead=bins.overhead
    )
    if budgets:
        choices = {f"{budget:,.0f} {cost}": choose(budget=budget) for budget in budgets}
    else:
        choices = {f"that of {each.name}": choose(baseline=each) for each in baseline}
    points = [each for each in choices.values() if each is not None]
    least = f"{ceil(least_budget(candidates, bins.of, bins.overhead)):,}"
    if not points:
        raise ExperimentError(
            f"no strategy fits the budget in every bin; the smallest that one fits is {least}"
        )
    count = f"{len(experiment.problems):,} problems, {len(candidates)} strategies"
    engines = {**experiment.policies, **experiment.scorers}
    named = "; ".join(f"{name} {engine}" for name, engine in engines.items())
    print(printable(f"{count}; {named}; {bins.words}"))
    if oracles:
        print(printable(f"left out, as they know the answer: {', '.join(oracles)}"))
    if experiment.left_out:
        print(f"left out, as not every strategy has their seeds: {experiment.left_out:,} answers")
    failed = sum(bool(a.error) for answers in experiment.answers.values() for a in answers)
    if failed:
        print(f"failed, and so wrong at no cost: {failed:,} answers")
    small = [budget for budget, point in choices.items() if point is None]
    if small:
        names = printable(", ".join(small))
        print(f"left out, as no strategy fits below {least} in every bin: {names}")
    _print_points(points, candidates, bins, cost)
    for line in _conclusions(points, baseline, candidates, cost):
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


def _bins(options: Namespace, experiment: Experiment, cost: str) -> _Bins:
    kind = options.difficulty or "oracle"
    field = kind.removeprefix("field:") if kind.startswith("field:") else ""
    source = FromField(field or "pass_rate")
    overhead: dict[str, float] = {}
    predictor: Predicted | None = None
    if not field and kind not in ("oracle", "predicted"):
        hint = did_you_mean(kind, ("oracle", "predicted")) or "oracle, predicted or field:NAME"
        raise UsageError(f"--difficulty: `{kind}`: {hint}")
    refuse_others(options, _BELONGS, f"--difficulty {kind}")
    if field:
        ease = _from_field(experiment, field)
        words = f"difficulty: field {field}, the larger the easier"
    else:
        probe = _probe(options.probe, experiment)
        sampled = experiment.samples(probe)
        if kind == "oracle":
            ease = pass_rates(sampled)
            words = f"difficulty: pass rate of {probe}'s samples"
        else:
            scorers = scorers_of(sampled)
            scorer = options.scorer or (next(iter(scorers)) if len(scorers) == 1 else None)
            if scorer not in scorers:
                listed = ", ".join(scorers) or "none: record one of best_of_n"
                raise UsageError(f"--scorer: {probe} has scores of {listed}")
            probes = limit_of("--probes", options.probes) or 4
            fewest = min(len(each.samples) for each in sampled)
            if probes > fewest:
                raise UsageError(f"--probes: {probe} has {fewest} samples of a problem")
            first = [replace(each, samples=each.samples[:probes]) for each in sampled]
            ease = predicted(first, str(scorer))
            every = {each.name: each for each in experiment.candidates(cost)}
            measured = every[probe].measured
            prices = [measured[s.problem].cost * probes / len(s.samples) for s in sampled]
            price = sum(prices) / len(prices)
            scored = str(scorer) if cost == "flops" else None
            overhead = _overheads(experiment, probe, scored, probes, price)
            predictor = Predicted(str(scorer), probes, scorers[str(scorer)])
            count = f"{probes} {'probe' if probes == 1 else 'probes'}"
            words = f"difficulty: mean {scorer} of {count}, {short(price)} {cost}"
    missing = [id_ for id_ in experiment.problems if id_ not in ease]
    if missing:
        raise ExperimentError(
            f"the difficulty of {len(missing)} problems is not known, the first {missing[0]}: they "
            "have no graded samples or scores"
        )
    rates = all(0 <= value <= 1 for value in ease.values())
    bins = options.bins or ("absolute" if rates and kind != "predicted" else "5")
    number = None if bins == "absolute" else limit_of("--bins", bins, least=2)
    borders = borders_of(ease, number, words.partition(",")[0].removeprefix("difficulty: "))
    labels = bin_names(borders)
    if field:
        labels = [*(f"{field} above {each:g}" for each in reversed(borders)), "the others"]
    of = bins_of({id_: ease[id_] for id_ in experiment.problems}, borders)
    return _Bins(of, borders, labels, predictor or source, overhead, words)


def _overheads(
    experiment: Experiment, probe: str, scored: str | None, probes: int, price: float
) -> dict[str, float]:
    """The extra cost of probes for each strategy: nothing for those that it draws and scores too.

    Strategies draw as many as a problem needs, so this is a mean over all problems and seeds.
    """
    sampling = {
        tree.answer.trial: [each.sampling for each in own_draws(tree)[:1]]
        for tree in experiment.trees(probe)
    }
    overheads = {}
    for name in experiment.records:
        shared: list[int] = []
        for tree in experiment.trees(name):
            as_probed = sampling.get(tree.answer.trial)
            drawn = [each for each in own_draws(tree) if [each.sampling] == as_probed][:probes]
            shared.append(sum(scored is None or scored in each.scores for each in drawn))
        share = sum(shared) / (probes * len(shared)) if shared else 0.0
        overheads[name] = price * (1 - share)
    return overheads


def _from_field(experiment: Experiment, field: str) -> dict[str, float]:
    record = next(iter(experiment.records.values()))
    numbers: dict[str, float] = {}
    for id_ in experiment.problems:
        value = record.problems[id_].fields.get(field) if id_ in record.problems else None
        try:
            numbers[id_] = float(str(value))
        except ValueError:
            numbers[id_] = nan
        if not isfinite(numbers[id_]):
            raise UsageError(f"--difficulty: problem {id_} has no number in field {field}")
    return numbers


def _probe(name: str | None, experiment: Experiment) -> str:
    """The strategy whose samples are told by: the one with the most independent ones."""
    if name is not None:
        if name not in experiment.records:
            listed = ", ".join(experiment.records)
            hint = did_you_mean(name, experiment.records) or f"there are {listed}"
            raise UsageError(f"--probe: `{name}`: {hint}")
        return name
    best, most = None, (False, 0, False)
    for candidate in experiment.records:
        sampled = experiment.samples(candidate)
        rated = {one.problem for one in sampled}.issuperset(experiment.problems)
        if rated and all(one.independent and one.graded for one in sampled):
            fewest = min(len(one.samples) for one in sampled)
            size = (whole(sampled), fewest, bool(scorers_of(sampled)))
            if fewest and size > most:
                best, most = candidate, size
    if best is None:
        raise ExperimentError(
            "no strategy here draws graded samples that do not depend on each other: record "
            "majority or best_of_n, or name a --difficulty field:NAME"
        )
    return best


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
    return sorted(matching, key=_mean_cost)


def _mean_cost(candidate: TuningCandidate) -> float:
    costs = [each.cost for each in candidate.measured.values()]
    return sum(costs) / len(costs)


def _print_points(
    points: Sequence[TunedPoint], candidates: Sequence[TuningCandidate], bins: _Bins, cost: str
) -> None:
    by_name = {each.name: each for each in candidates}
    names = [each.baseline or f"at most {each.budget:,.0f} {cost}" for each in points]
    columns = [
        TableColumn("chosen accuracy", [percent(each.accuracy) for each in points]),
        TableColumn("95 % interval", [interval(*each.interval) for each in points]),
        TableColumn(f"{cost}", [short(each.cost) for each in points]),
    ]
    if points[0].baseline is not None:
        against = [by_name[str(each.baseline)] for each in points]
        columns[:0] = [
            TableColumn("its accuracy", [percent(_accuracy(each)) for each in against]),
            TableColumn(f"its {cost}", [short(_mean_cost(each)) for each in against]),
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
        print(printable(f"  {label} ({size:,} problems): {chosen}"))


def _accuracy(candidate: TuningCandidate) -> float:
    right = sum(each.right for each in candidate.measured.values())
    return right / sum(each.answers for each in candidate.measured.values())


def _conclusions(
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


def _check_out(path: Path) -> None:
    """Says at once what would be found out at the end."""
    if path.suffix != ".tts":
        raise UsageError(f"--out: {path} is no file of strategies: name it {path.stem}.tts")
    if not path.parent.is_dir():
        raise UsageError(f"--out: {path} cannot be written: there is no folder {path.parent}")


def _write(
    path: Path, experiment: Experiment, point: TunedPoint, bins: _Bins, engines: str, cost: str
) -> None:
    plans = [experiment.records[name].plan for name in point.choice]
    low, high = point.interval
    budget = f"that of {point.baseline}" if point.baseline else f"{point.budget:,.0f} {cost}"
    about = (
        "\n".join(
            [
                "The best recorded strategy for each difficulty, chosen by tts-tune.",
                "",
                f"On {len(experiment.problems):,} problems; {engines}.",
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
