"""The compute-optimal experiment of docs/findings.md: `python -m benchmarks.optimal RUNS`.

RUNS is the folder with the run directories of `COMMANDS`. What `tts-tune` and `tts-metrics` print
of them goes to benchmarks/data/optimal.json, figures to docs/images; then the page is written.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.claims import CHAINS
from benchmarks.measured import (
    ALL,
    DATA,
    DRAWN,
    GROUPS,
    IMAGES,
    LARGER,
    Point,
    Run,
    group_of,
    point,
    write_or_complain,
)
from tts_runtime.stats.proportions import wilson
from tts_runtime.stats.samples import best, coverage, majority, weighted

if TYPE_CHECKING:
    from tts_runtime.problems import Problem

SAID = DATA / "optimal.json"
METHODS = ("majority", "best_of_n", "weighted_best_of_n")
WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
REPLAYED = (1, 4, 16, 64, 256)
#: What can be made of n samples, by its name in figures.
RULES = {
    "pass@n": coverage,
    "majority": majority,
    "best of n": best("prm", "last"),
    "weighted vote": weighted("prm", "last"),
}
SEARCHES = ("beam_search", "dvts")
SEARCHED = (4, 16, 64)
_PROBLEMS = "--problems benchmarks/data/larger.jsonl"
#: What records everything that the page needs.
COMMANDS = (
    "python -m benchmarks.more_problems",
    f"tts-run best_of_n n=256 {_PROBLEMS} --out runs/samples",
    "tts-metrics difficulty runs/samples --write benchmarks/data/larger.jsonl",
    "tts-run majority best_of_n weighted_best_of_n --sweep n=1,4,16,64,256 \\\n"
    "    --policy replay:runs/samples --out runs/sampled",
    "tts-run best_of_n weighted_best_of_n --sweep n=16,64 --sweep reduce=min,mean,prod \\\n"
    "    --policy replay:runs/samples --out runs/reduced",
    f"tts-run beam_search dvts --sweep n=4,16,64 {_PROBLEMS} --out runs/search",
    *(
        f"tts-run revision_chains chains={chains} rounds={rounds} --scorer orm=bundled:last \\\n"
        f"    --policy bundled {_PROBLEMS} --out runs/revisions-{chains}-{rounds}"
        for chains, rounds in CHAINS
    ),
    f"tts-run budget_forcing --sweep waits=0,1,2,4,8 {_PROBLEMS} --out runs/forcing",
    "tts-run budget_forcing_maximum --sweep budget=8,16,32,64,128 \\\n"
    f"    {_PROBLEMS} --out runs/maximum",
    "tts-run best_of_n weighted_best_of_n beam_search dvts --sweep n=4,16,64 \\\n"
    "    --problems benchmarks/data/hardest.jsonl --out runs/hardest",
    "tts-metrics difficulty runs/hardest --strategy 'best_of_n[n=64]' \\\n"
    "    --write benchmarks/data/hardest.jsonl",
    "python -m benchmarks.findings all --recorded runs/*",
    "python -m benchmarks.optimal runs",
)
#: By name, what is printed of the records.
SHOWN = {
    "oracle": "tts-tune runs/sampled runs/search -o tuned.tts",
    "predicted": "tts-tune runs/sampled runs/search --difficulty predicted --probes 4 --bins 5",
    "waits": "tts-metrics scaling runs/forcing --between 0,400",
    "maximum": "tts-metrics scaling runs/maximum --between 0,150",
}


def points() -> list[Point]:
    """What the curves are drawn of."""
    return [
        *(point(method, n=n) for method in METHODS for n in REPLAYED),
        *(point(method, n=n) for method in SEARCHES for n in SEARCHED),
    ]


def sections(runs: Mapping[str, Run]) -> list[str]:
    """Lines of the page: curves by difficulty, the tuned choice, budget forcing, the commands."""
    said = json.loads(SAID.read_text(encoding="utf-8")) if SAID.exists() else {}
    run = runs.get(LARGER)
    known = set() if run is None else {row.point for row in run.rows}
    if run is None or not said or not known.issuperset(points()):
        return []
    return [
        "",
        "## Accuracy from n = 1 to 256, by difficulty",
        "",
        "From one record of 256 samples a problem: means over all subsets of n (of the weighted",
        "vote over 200), as `tts-metrics samples runs/samples` has them for all problems; in",
        "brackets 95 % intervals of a bootstrap over problems. Difficulty is the pass rate of the",
        "samples.",
        "",
        "![Accuracy from n = 1 to 256, by difficulty](images/finding-curve.svg)",
        "",
        *_curve_table(said["curve"]),
        "",
        "## The compute-optimal choice",
        "",
        f"`{SHOWN['oracle']}`",
        "",
        "![The compute-optimal choice against its candidates](images/finding-optimal.svg)",
        "",
        *_block(said["oracle"]),
        "",
        "In plain words: from n = 16 on the choice is above best-of-n, most of all at the largest",
        "budget, where best-of-n has lost what it had: its best score is ever more often a mistake",
        "of the PRM. Against the best that best-of-n does, at n = 16, the choice needs 2.4 times",
        "fewer tokens (2.0 to 2.8), where Snell et al. report about 4. But bins hardly pay here:",
        "one strategy for all problems is within a point of the choice at every budget, and at the",
        "largest one the weighted vote alone is as good as it gets (98.5 %). How many problems",
        "there are matters: of the first 200 alone, the validated choice had 88.5 % there, as half",
        "of 23 hard problems do not say reliably which method is better; of all 400 it has 97.8 %.",
        "",
        "The intervals of budget ratios on this page were taken by a `tts-tune` that held the",
        "costs of the choice at their means; now they are drawn with the same problems as those of",
        "the baseline, so that it may print others.",
        "",
        "The file that it writes:",
        "",
        *_block(said["file"]),
        "",
        "With difficulty by the mean score of four probes, without gold answers:",
        "",
        f"`{SHOWN['predicted']}`",
        "",
        *_block(said["predicted"]),
        "",
        "## Budget forcing, in the figures of s1",
        "",
        "Control is the share of answers whose tokens stay within the limits, Scaling the mean",
        "slope of accuracy over tokens, Performance the highest accuracy (Muennighoff et al.,",
        "2025).",
        "",
        f"`{SHOWN['waits']}`",
        "",
        *_block(said["waits"]),
        "",
        "The other half of budget forcing, a cap on the thought:",
        "",
        f"`{SHOWN['maximum']}`",
        "",
        *_block(said["maximum"]),
        "",
        "## Commands",
        "",
        *_block("\n".join(COMMANDS)),
    ]


def _block(text: str) -> list[str]:
    return ["```text", *text.rstrip().splitlines(), "```"]


def _curve_table(curve: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| problems | of n samples | " + " | ".join(f"n = {n}" for n in WIDTHS) + " |"]
    lines.append("|---|---|" + "---|" * len(WIDTHS))
    for group in (ALL, *GROUPS):
        for rule in RULES:
            cells = [
                f"{row['value']:.0f} ({row['low']:.0f}-{row['high']:.0f})"
                for row in curve
                if (row["panel"], row["series"]) == (group, rule)
            ]
            lines.append(f"| {group} | {rule} | " + " | ".join(cells) + " |")
    return lines


def estimated(folder: Path, problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """What n of the 256 samples give, by difficulty: means over subsets, in per cent.

    Intervals are bootstraps over problems.
    """
    import numpy as np

    from tts_runtime import open_run
    from tts_runtime.stats.samples import samples_of

    groups = {problem.id: group_of(problem) for problem in problems}
    trees = open_run(folder).strategy("best_of_n").trees()
    found = [samples_of(tree) for tree in trees if tree.problem.id in groups]
    random = np.random.default_rng(0)
    rows = []
    for series, rule in RULES.items():
        for n in WIDTHS:
            values = {each.problem: rule(each, n) for each in found}
            for group in (ALL, *GROUPS):
                kept = [100 * v for id_, v in values.items() if group in (ALL, groups[id_])]
                drawn = random.choice(kept, (2000, len(kept))).mean(axis=1)
                low, high = np.percentile(drawn, (2.5, 97.5))
                where = {"panel": group, "series": series, "at": f"{n}"}
                value = {"value": sum(kept) / len(kept), "low": float(low), "high": float(high)}
                rows.append(where | {name: round(each, 2) for name, each in value.items()})
    return rows


def _share(run: Run, at: Point, group: str) -> tuple[float, float, float]:
    """Accuracy in a group, in per cent, and its interval."""
    marks = [
        mark
        for mark, where in zip(run.row(at).right, run.groups, strict=True)
        if group in (ALL, where)
    ]
    right = marks.count("1")
    low, high = wilson(right, len(marks))
    return 100 * right / len(marks), 100 * low, 100 * high


def draw(
    run: Run, curve: Sequence[Mapping[str, Any]], chosen: Sequence[Mapping[str, float]]
) -> None:
    """Both figures."""
    from tts_runtime.report.charts import Axis, curves, panels
    from tts_runtime.report.drawing import svg

    def row(at: Point, group: str) -> dict[str, float]:
        return dict(zip(("value", "low", "high"), _share(run, at, group), strict=True))

    by_group = [
        {**each, "panel": f"{each['panel']} problems"} for each in curve if each["panel"] != ALL
    ]
    title = "Accuracy from n = 1 to 256, by difficulty"
    figures = {"curve": panels("curve", title, by_group, "n", "accuracy, %")}
    against = [
        {"series": each.strategy, "at": run.row(each).tokens, **row(each, ALL)} for each in points()
    ]
    against += [{"series": "chosen by tts-tune", **each} for each in chosen]
    title = "The compute-optimal choice, validated, against its candidates"
    figures["optimal"] = curves("optimal", title, against, Axis("at", DRAWN))
    write_or_complain(
        {IMAGES / f"finding-{name}.svg": svg(figure) for name, figure in figures.items()}
    )


#: A row of what `tts-tune` prints: tokens, accuracy and interval of the choice.
_CHOSEN = re.compile(r"\S+\[n=\d+\] .*?%\s+\S+\s+([\d.]+) %\s+(\d+) - (\d+)\s+(\S+)")


def chosen_points(printed: str) -> list[dict[str, float]]:
    """The curve of the choice, from what `tts-tune` printed."""
    return [
        {"value": float(value), "low": float(low), "high": float(high), "at": _plain(tokens)}
        for value, low, high, tokens in _CHOSEN.findall(printed)
    ]


def _plain(text: str) -> float:
    units = {"k": 1e3, "M": 1e6}
    return float(text.rstrip("kM").replace(",", "")) * units.get(text[-1], 1)


def main() -> None:
    """Prints of the records what the page shows, and draws."""
    from benchmarks import findings
    from benchmarks.measured import chosen, load, recorded, save

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("runs", type=Path, help="the folder of the run directories")
    options = parser.parse_args()
    folder = options.runs.resolve()
    said: dict[str, Any] = {"curve": estimated(folder / "samples", chosen(None, LARGER))}
    for name, command in SHOWN.items():
        tool, *arguments = command.split()
        module = f"from tts_runtime.cli.{tool[4:]} import {tool[4:]}_command as run"
        code = f"import sys; {module}; sys.exit(run(sys.argv[1:]))"
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=folder.parent,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        said[name] = "\n".join(line.rstrip() for line in done.stdout.splitlines())
    said["file"] = (folder.parent / "tuned.tts").read_text(encoding="utf-8")
    SAID.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    runs = load(findings.MEASURED)
    directories = [folder / name for name in ("sampled", "search")]
    new = recorded(points(), chosen(None, LARGER), directories)
    runs[LARGER] = findings.merged(runs.get(LARGER), new)
    save(findings.MEASURED, runs)
    draw(runs[LARGER], said["curve"], chosen_points(said["oracle"]))
    write_or_complain({findings.PAGE: findings.page(runs)})


if __name__ == "__main__":
    main()
