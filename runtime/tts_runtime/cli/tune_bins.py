"""`tts-tune --difficulty`: the bins that problems fall into, and what telling them costs."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan

from tts_lang.cli.parser import UsageError
from tts_lang.diagnostics import did_you_mean
from tts_lang.explain.units import counted, short
from tts_runtime.cli.options import limit_of
from tts_runtime.cli.record_command import refuse_others
from tts_runtime.stats.difficulty import (
    bin_names,
    bins_of,
    borders_of,
    pass_rates,
    predicted,
)
from tts_runtime.stats.load import Experiment, ExperimentError
from tts_runtime.stats.samples import own_draws, scorers_of, whole
from tts_runtime.stats.tuned_file import FromField, Predicted

#: Options that belong to some kinds of --difficulty only.
_BELONGS = {
    "--probe": ("--difficulty oracle", "--difficulty predicted"),
    "--probes": ("--difficulty predicted",),
    "--scorer": ("--difficulty predicted",),
}


@dataclass(frozen=True, slots=True)
class Bins:
    """Of each problem its bin; borders and names, how a file finds them, and what that costs."""

    of: Mapping[str, int]
    borders: Sequence[float]
    labels: Sequence[str]
    source: Predicted | FromField
    overhead: Mapping[str, float]
    words: str


def chosen_bins(options: Namespace, experiment: Experiment, cost: str) -> Bins:
    """The bins that the options ask for.

    Args:
        cost: The measure of costs, one of `COSTS`.

    Raises:
        UsageError: The options do not fit each other, or the records.
        ExperimentError: The records do not tell how difficult every problem is.
    """
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
                raise UsageError(f"--probes: {probe} has {counted(fewest, 'sample')} of a problem")
            first = [replace(each, samples=each.samples[:probes]) for each in sampled]
            ease = predicted(first, str(scorer))
            every = {each.name: each for each in experiment.candidates(cost)}
            measured = every[probe].measured
            prices = [measured[s.problem].cost * probes / len(s.samples) for s in sampled]
            price = sum(prices) / len(prices)
            scored = str(scorer) if cost == "flops" else None
            overhead = _overheads(experiment, probe, scored, probes, price)
            predictor = Predicted(str(scorer), probes, scorers[str(scorer)])
            drawn = counted(probes, "probe")
            words = f"difficulty: mean {scorer} of {drawn}, {short(price)} {cost}"
    missing = [id_ for id_ in experiment.problems if id_ not in ease]
    if missing:
        raise ExperimentError(
            f"the difficulty of {counted(len(missing), 'problem')} is not known, the first "
            f"{missing[0]}: no graded samples or scores"
        )
    rates = all(0 <= value <= 1 for value in ease.values())
    bins = options.bins or ("absolute" if rates and kind != "predicted" else "5")
    number = None if bins == "absolute" else limit_of("--bins", bins, least=2)
    borders = borders_of(ease, number, words.partition(",")[0].removeprefix("difficulty: "))
    labels = bin_names(borders)
    if field:
        labels = [*(f"{field} above {each:g}" for each in reversed(borders)), "the others"]
    of = bins_of({id_: ease[id_] for id_ in experiment.problems}, borders)
    return Bins(of, borders, labels, predictor or source, overhead, words)


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
