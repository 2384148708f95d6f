"""Findings of the literature on the bundled models: `python -m benchmarks.findings NAME...`.

Names are those of docs/findings.md, `all` stands for every one; what several need is run once.
Results go to benchmarks/data/findings.json, figures and the page to docs/. Without a name nothing
is run: page and figures are made from what was measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import NormalDist
from textwrap import wrap

from benchmarks import optimal
from benchmarks.claims import FINDINGS, Comparison, Finding
from benchmarks.measured import (
    ALL,
    DATA,
    IMAGES,
    LARGER,
    ROOT,
    Measured,
    Run,
    chosen,
    load,
    measure,
    provenance,
    recorded,
    save,
    write_or_complain,
)

MEASURED = DATA / "findings.json"
PAGE = ROOT / "docs" / "findings.md"
RESAMPLES = 10_000
#: A difference, and the lower and upper end of its 95 % interval, in percentage points.
Estimate = tuple[float, float, float]


# ------------------------------------------------------------------------------ statistics


def estimate(comparison: Comparison, run: Run) -> Estimate:
    """The difference in accuracy, with a paired bootstrap interval over problems."""
    kept = [comparison.group in (ALL, group) for group in run.groups]
    pairs = zip(run.row(comparison.first).right, run.row(comparison.second).right, strict=True)
    gains = [int(a) - int(b) for (a, b), keep in zip(pairs, kept, strict=True) if keep]
    return bootstrapped(tuple(gains))


@cache
def bootstrapped(gains: tuple[int, ...]) -> Estimate:
    """Mean of per-problem differences and its percentile interval, in percentage points.

    Problems are drawn with replacement; both strategies keep their result on each problem, so what
    makes a problem hard for both does not widen the interval.
    """
    import numpy as np

    values = np.asarray(gains, dtype=float) * 100
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), (2.5, 97.5))
    return float(values.mean()), float(low), float(high)


def agrees(expected: int, found: Estimate) -> str:
    """What an estimate says about an expected sign."""
    value, low, high = (each * expected for each in found)
    low, high = min(low, high), max(low, high)
    if low > 0:
        return "yes"
    if high < 0:
        return "no"
    return "open, towards yes" if value > 0 else "open, towards no" if value < 0 else "open"


def verdict(finding: Finding, run: Run) -> str:
    """One sentence on whether the finding reproduces."""
    found = [
        agrees(each.expected, estimate(each, run)) for each in finding.comparisons if each.expected
    ]
    if not found:
        return "Reported, without a claim to be confirmed."
    yes, no = found.count("yes"), found.count("no")
    parts = f"{yes} of {len(found)} expected differences are there, {no} the other way round"
    towards = found.count("open, towards yes")
    rest = len(found) - yes - no
    if rest:
        parts += f", {rest} cannot be told from zero ({towards} of these point the expected way)"
    if no:
        word = "Does not reproduce" if yes == 0 else "Reproduces in part"
    elif yes == len(found):
        word = "Reproduces"
    elif yes:
        word = "Reproduces where it can be told"
    else:
        word = "Not shown here"
    return f"**{word}**: {parts}."


# ------------------------------------------------------------------------------ page


def page(runs: Mapping[str, Run]) -> str:
    """docs/findings.md."""
    lines = [
        "# Findings of the literature, on the bundled models",
        "",
        "What papers found with large models, looked for with two tiny ones on a small arithmetic",
        "world. Where it shows, the strategies do what they should; where it does not, that is a",
        "fact about these models, or a lack of problems. Every number comes from the command above",
        "it, which also draws its figure; `python -m benchmarks.findings all` runs them together",
        "and draws what they share once.",
        "",
        "The problems are not those that ship, but others of the same world",
        "(`python -m benchmarks.more_problems`). The commands at the end record everything, and",
        "`python -m benchmarks.findings all --recorded runs/*` reads it.",
        *_how_many(runs),
        "",
        "Differences are in percentage points of accuracy, between two strategies on the same",
        "problems. Brackets hold 95 % intervals of a paired bootstrap: problems are drawn with",
        f"replacement ({RESAMPLES:,} times), both strategies keep their result on each. Strategies",
        "ran once, with one seed; where they differ on no problem, the interval has no width,",
        "which is no certainty. *Expected* is the sign that the paper reports; *yes* and *no*",
        "are said where the interval leaves out zero. Easy problems are those that the policy",
        "solves in at least half of its samples, hard ones in less than a tenth.",
    ]
    for finding in FINDINGS:
        lines += ["", f"## {finding.title}", "", finding.claim, ""]
        lines += [f"`python -m benchmarks.findings {finding.name}`", ""]
        run = runs.get(finding.problems)
        if run is None or not measured(finding, run):
            lines.append("Not measured yet.")
            continue
        lines += [verdict(finding, run), ""]
        lines += [f"![{finding.title}](images/{image(finding)})", ""]
        lines += [f"Measured on {provenance(run)}.", "", *_table(finding, run)]
    lines += optimal.sections(runs)
    return "\n".join(lines) + "\n"


def widest(run: Run, name: str) -> float:
    """Half of the widest interval of a difference on all problems, in percentage points."""
    pairs = {
        (each.first, each.second)
        for finding in FINDINGS
        if finding.problems == name and measured(finding, run)
        for each in finding.comparisons
    }
    found = [estimate(Comparison(ALL, "", "", *pair), run) for pair in pairs]
    return max(((high - low) / 2 for _, low, high in found), default=0.0)


def _how_many(runs: Mapping[str, Run]) -> Iterator[str]:
    """What the problems can tell: the widest interval, and the power to see five points."""
    run = runs.get(LARGER)
    if run is None:
        return
    count = len(run.problems)
    apart = 100 * count * 0.05**2 / (NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)) ** 2
    said = (
        "**How many problems?** In a record of the first 200, intervals of differences on all of "
        "them reached 7 points to either side (beam search against samples), so ±5 takes about 370 "
        f"problems. The {count} here have ±{widest(run, LARGER):.1f} at most: a measured "
        "difference of five points is told from none, whichever the strategies. A true one of "
        "five points is found four times in five where two strategies disagree on up to "
        f"{apart:.0f} % of the problems. Groups by difficulty are smaller, and tell as much less "
        "as their intervals say."
    )
    yield from ("", *wrap(said, 90))


def _table(finding: Finding, run: Run) -> Iterator[str]:
    yield "| problems | first | second | first | second | difference | expected |"
    yield "|---|---|---|---|---|---|---|"
    for each in finding.comparisons:
        first, second = (_accuracy(run.row(p), run, each.group) for p in (each.first, each.second))
        found = estimate(each, run)
        value, low, high = found
        sign = {1: "> 0: ", -1: "< 0: ", 0: ""}[each.expected]
        word = agrees(each.expected, found) if each.expected else ""
        yield (
            f"| {each.group} | {each.first.label} | {each.second.label} | {first:.0%} | "
            f"{second:.0%} | {value:+.1f} ({low:+.1f} to {high:+.1f}) | {sign}{word} |"
        )


def _accuracy(row: Measured, run: Run, group: str) -> float:
    right = [
        mark == "1"
        for mark, where in zip(row.right, run.groups, strict=True)
        if group in (ALL, where)
    ]
    return sum(right) / len(right)


def image(finding: Finding) -> str:
    """The file of its figure."""
    return f"finding-{finding.name}.svg"


def draw(finding: Finding, run: Run) -> None:
    """The figure: a panel for each group of problems."""
    from tts_runtime.report.charts import panels
    from tts_runtime.report.drawing import svg

    rows = [
        {
            "panel": f"{each.group} problems",
            "series": each.series,
            "at": each.place,
            **dict(zip(("value", "low", "high"), estimate(each, run), strict=True)),
        }
        for each in finding.comparisons
    ]
    figure = panels(
        finding.name, finding.title, rows, finding.axis, "difference, percentage points"
    )
    write_or_complain({IMAGES / image(finding): svg(figure)})


# ------------------------------------------------------------------------------ command


def measured(finding: Finding, run: Run) -> bool:
    """Whether a run has everything that a finding needs."""
    known = {row.point for row in run.rows}
    return all(point in known for point in finding.points)


def merged(old: Run | None, new: Run) -> Run:
    """The new measurements, and old ones of other points if they are of the same kind."""
    if old is None or replace(old, rows=()) != replace(new, rows=()):
        return new
    fresh = {row.point for row in new.rows}
    return replace(new, rows=(*(row for row in old.rows if row.point not in fresh), *new.rows))


def measure_findings(
    wanted: Sequence[Finding], limit: int | None, folders: Sequence[Path], runs: dict[str, Run]
) -> None:
    """Runs what some findings need, or reads it from run directories, and adds it to `runs`."""
    for name in dict.fromkeys(finding.problems for finding in wanted):
        points = [p for finding in wanted if finding.problems == name for p in finding.points]
        problems = chosen(limit, name)
        new = recorded(points, problems, folders) if folders else measure(points, problems)
        runs[name] = merged(runs.get(name), new)
        save(MEASURED, runs)


def main() -> None:
    """Reads options, does what they ask for, writes the page."""
    names = [finding.name for finding in FINDINGS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*names, "all", []], metavar="NAME")
    parser.add_argument("--limit", type=int, help="that many problems")
    parser.add_argument(
        "--recorded",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="read these runs instead",
    )
    options = parser.parse_args()
    wanted = [each for each in FINDINGS if each.name in options.names or "all" in options.names]
    runs = load(MEASURED)
    measure_findings(wanted, options.limit, options.recorded, runs)
    for finding in FINDINGS:
        run = runs.get(finding.problems)
        if run is not None and measured(finding, run):
            draw(finding, run)
    write_or_complain({PAGE: page(runs)})


if __name__ == "__main__":
    main()
