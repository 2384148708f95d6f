"""Values of a study for the scripts of the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import PurePath
from shlex import join
from typing import Any, Final

from tts_lang.diagnostics import did_you_mean
from tts_runtime.problems.model import Trial
from tts_runtime.reliability import footer, warnings_of
from tts_runtime.report.charts import Figure
from tts_runtime.report.difficulty import Grouping, grouping
from tts_runtime.report.estimates import Estimate, share
from tts_runtime.report.figures import comparisons, figures, rewards
from tts_runtime.report.study import Entry, Study
from tts_runtime.report.theme import config
from tts_runtime.runs.results import COSTS
from tts_runtime.runs.seeds import in_words
from tts_runtime.stats.paired import compare

#: Characters of a problem's text in the list of problems.
_LISTED: Final = 160
#: Strategies of which all pairs are compared; of more, each with its baseline.
_MOST_PAIRED: Final = 20
#: Strategies that others are compared with, if nobody says with which.
_BASELINES: Final = ("majority", "best_of_n", "greedy")


def baseline_of(study: Study, name: str | None) -> Entry | None:
    """The strategy that the others are compared with.

    Raises:
        KeyError: None has the name.
    """
    if name is not None:
        for entry in study.entries:
            if name in (entry.name, entry.base):
                return entry
        names = [each for entry in study.entries for each in (entry.name, entry.base)]
        listed = ", ".join(dict.fromkeys(entry.base for entry in study.entries))
        raise KeyError(
            f"no strategy {name!r}; {did_you_mean(name, names) or f'there are {listed}'}"
        )
    for base in _BASELINES:
        for entry in study.entries:
            if entry.base == base:
                return entry
    return next(iter(study.entries), None) if len(study.entries) > 1 else None


def drawn(study: Study, baseline: Entry | None) -> tuple[list[Figure], Grouping | None]:
    """The figures of a study, and its groups of problems."""
    groups = grouping(study.problems, study.pass_rates())
    return figures(study, groups, baseline), groups


def report(
    study: Study,
    figures: Sequence[Figure],
    groups: Grouping | None,
    baseline: Entry | None,
    files: Sequence[str],
) -> dict[str, Any]:
    """Everything but the problems and their trees.

    Args:
        study: What was read.
        figures: Its figures.
        groups: Of problems, by difficulty.
        baseline: What others are compared with.
        files: Endings of the files that there are of each figure.
    """
    return {
        "version": study.version,
        "runs": [_run(study, name) for name in study.runs],
        "strategies": [_strategy(entry) for entry in study.entries],
        "problems": len(study.problems),
        "answered": len(study.places),
        "baseline": None if baseline is None else baseline.name,
        "figures": [
            {
                "name": figure.name,
                "title": figure.title,
                "note": figure.note,
                "columns": list(figure.columns.items()),
                "rows": [[row.get(name) for name in figure.columns] for row in figure.rows],
                "spec": figure.spec,
                "files": list(files),
            }
            for figure in figures
        ],
        "pairs": list(_pairs(study, baseline)),
        "rewards": rewards(study),
        "notes": list(study.notes()),
        "groups": None if groups is None else {"names": list(groups.names), "by": groups.by},
        "themes": {"light": config(dark=False), "dark": config(dark=True)},
    }


def _run(study: Study, name: str) -> dict[str, Any]:
    manifest = study.runs[name].manifest
    sessions = manifest.sessions
    return {
        "name": name,
        "set": manifest.problem_set,
        "engines": {key: str(each.get("engine")) for key, each in manifest.engines.items()},
        "seeds": in_words(manifest.seeds),
        "version": manifest.configuration.get("version"),
        "command": _command(sessions[-1].command) if sessions else "",
        "started": sessions[0].started if sessions else "",
        "sessions": len(sessions),
    }


def _command(words: Sequence[str]) -> str:
    """A command as typed, without the folder that its program lies in."""
    if not words:
        return ""
    program = PurePath(words[0]).name
    return join(["tts-run" if program == "__main__.py" else program, *words[1:]])


def _strategy(entry: Entry) -> dict[str, Any]:
    accuracy = share(entry.grades())
    return {
        "name": entry.name,
        "base": entry.base,
        "parameters": dict(entry.parameters),
        "scorers": list(entry.scorers),
        "answered": len(entry.trials),
        "failed": sum(each.failed for each in entry.trials.values()),
        "accuracy": None if accuracy is None else _estimate(accuracy),
        "costs": {name: entry.mean(name) for name in (*COSTS, "flops", "seconds")},
        "candidates": entry.reliability.candidates,
        "reliability": list(footer(entry.reliability)),
        "warnings": list(warnings_of(entry.reliability)),
    }


def _estimate(estimate: Estimate) -> list[float]:
    """Rounded by the page alone: twice rounded may be another number."""
    return [estimate.value, estimate.low, estimate.high, estimate.count]


def _pairs(study: Study, baseline: Entry | None) -> Iterator[list[float]]:
    """Paired comparisons: numbers of both strategies, the estimate, who alone was right, p."""
    graded = [entry for entry in study.entries if entry.grades()]
    at = {entry.name: place for place, entry in enumerate(study.entries)}
    if len(graded) <= _MOST_PAIRED:
        pairs = [(one.name, other.name) for one, other in combinations(graded, 2)]
        compared = compare({entry.name: entry.trials.values() for entry in graded}, pairs)
    else:
        compared = [] if baseline is None else comparisons(study, baseline)
    for comparison in compared:
        if comparison.trials:
            estimate = Estimate(
                100 * comparison.difference,
                100 * comparison.low,
                100 * comparison.high,
                comparison.trials,
            )
            yield [
                *(at[comparison.left], at[comparison.right], *_estimate(estimate)),
                *(comparison.left_only, comparison.right_only, float(f"{comparison.p:.3g}")),
            ]


#: The outcome of a strategy on a problem, as one character.
_MARKS: Final = {True: "1", False: "0", None: "?"}


def problems(study: Study, groups: Grouping | None) -> dict[str, Any]:
    """The list of problems, by number; `order`: as the problem set has them, by seed."""
    position = {id_: at for at, id_ in enumerate(study.problems)}
    places = study.places
    order = sorted(places, key=lambda key: (key[1], position[key[0]]))
    return {
        "ids": [id_ for id_, _ in places],
        "seeds": [seed for _, seed in places],
        "texts": [_shortened(study.problems[id_].text) for id_, _ in places],
        "gold": [study.problems[id_].answer for id_, _ in places],
        "groups": [None if groups is None else groups.of.get(id_) for id_, _ in places],
        "marks": ["".join(_marks(entry, places)) for entry in study.entries],
        "order": [places[key] for key in order],
    }


def _shortened(text: str) -> str:
    line = " ".join(text[: 4 * _LISTED].split())
    return line if len(line) <= _LISTED else f"{line[:_LISTED]}..."


def _marks(entry: Entry, places: Mapping[Trial, int]) -> Iterator[str]:
    for key in places:
        trial = entry.trials.get(key)
        yield "." if trial is None else "x" if trial.failed else _MARKS[trial.correct]
