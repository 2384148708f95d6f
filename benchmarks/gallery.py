"""The gallery of shipped strategies, docs/gallery/: `python -m benchmarks.gallery [--measure]`.

Pages are made of the strategy files, of EXPLAIN's bounds and of benchmarks/data/gallery.json.
`--formulas` fits the cost formulas again (a minute), `--measure` runs everything on the bundled
models again (minutes per family) and draws the figures. `--family NAME` measures one family.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from benchmarks import refill
from benchmarks.families import FAMILIES, NOT_MEASURED, Family
from benchmarks.formulas import Costs, costs_at, counts_of, fitted, written
from benchmarks.measured import (
    DATA,
    DRAWN,
    IMAGES,
    ROOT,
    Run,
    chosen,
    estimated,
    load,
    measure,
    provenance,
    save,
    write_or_complain,
)
from tts_lang import library
from tts_lang.compiler import CheckedStrategy, check_path, compile_strategy
from tts_lang.explain.formats import explained
from tts_runtime.stats.proportions import wilson

PAGES = ROOT / "docs" / "gallery"
MEASURED = DATA / "gallery.json"
FORMULAS = DATA / "formulas.json"

#: Of `Costs`, in words.
HEADINGS = ("policy calls", "sampled tokens", "scorer calls", "rounds")

#: Formulas that are no polynomial, or that read better written by hand; tested like the others.
BY_HAND: Mapping[str, Mapping[str, str]] = {
    "confident_debate": {
        "policy_calls": "agents*(2 - 2**(1 - rounds))",
        "sampled_tokens": "agents*(2 - 2**(1 - rounds))*context",
    },
    "thought_beams": {
        "policy_calls": "n*(rounds + 2) + n/width",
        "sampled_tokens": "n*(rounds + 1)*budget + (n + n/width)*context",
        "scorer_calls": "n*(rounds + 1) + n/width*rounds",
    },
    "tree_of_thoughts": {
        "policy_calls": "2 + 9*proposals + (depth - 1)*width*(9*proposals + 1)",
        "sampled_tokens": "(2 + 9*proposals + (depth - 1)*width*(9*proposals + 1))*context",
    },
}
#: What formulas need beside what the pages say of all of them.
WHERE = {
    "confident_debate": "`keep` at its default, `agents` a multiple of 2^rounds",
    "tree_of_thoughts": "`proposals` at least `width`; each state is judged 3 times, each reading "
    "asked for up to 3 times",
}


def strategies_of(file: str) -> tuple[CheckedStrategy, ...]:
    """The strategies of a shipped file, its main one first."""
    found = check_path(library.find(file)).strategies
    return tuple(sorted(found, key=lambda each: each.name != file))


# ------------------------------------------------------------------------------ formulas


def fit_formulas() -> dict[str, dict[str, str | None]]:
    """Cost formulas of every strategy of the gallery."""
    found: dict[str, dict[str, str | None]] = {}
    for strategy in (each for family in FAMILIES for each in everything(family)):
        name = strategy.name
        polynomials = fitted(counts_of(strategy.parameters), costs_of(name), random.Random(1))
        by_hand = BY_HAND.get(name, {})
        found[name] = {
            which: by_hand.get(which) or (None if polynomial is None else written(polynomial))
            for which, polynomial in zip(Costs._fields, polynomials, strict=True)
        }
    return found


def costs_of(name: str) -> Callable[[Mapping[str, int]], Costs]:
    """`costs_at` for one strategy."""
    return lambda values: costs_at(name, values)


def everything(family: Family) -> Iterator[CheckedStrategy]:
    """Every strategy of a family's files."""
    for file in family.files:
        yield from strategies_of(file)


def shown(formula: str) -> str:
    """A formula for readers."""
    return formula.replace("**", "^").replace("*", " · ").replace("/", " / ")


# ------------------------------------------------------------------------------ pages


def pages(
    formulas: Mapping[str, Mapping[str, str | None]], runs: Mapping[str, Run]
) -> dict[Path, str]:
    """Every page of the gallery."""
    made = {PAGES / "README.md": _index()}
    for family in FAMILIES:
        made[PAGES / f"{family.name}.md"] = _page(family, formulas, runs.get(family.name))
    return made


def _index() -> str:
    lines = [
        "# Gallery",
        "",
        "Every strategy of [strategies/](../../strategies) and its compositions: source, dataflow,",
        "cost as a formula, and what it reached on the bundled models. The fifty methods of the",
        "literature, catalogue included, are listed in [methods](../methods.md); how the methods",
        "compare, with intervals, in [findings](../findings.md).",
        "",
        "`python -m benchmarks.gallery` writes these pages; `--measure` measures again, too.",
    ]
    for family in FAMILIES:
        lines += ["", f"## [{family.title}]({family.name}.md)", "", family.text, ""]
        lines += ["| strategy | what it does |", "|---|---|"]
        for strategy in everything(family):
            page = f"{family.name}.md#{_home(family, strategy)}"
            lines.append(f"| [{strategy.name}]({page}) | {first_sentence(strategy)} |")
    return "\n".join(lines) + "\n"


def _home(family: Family, strategy: CheckedStrategy) -> str:
    """The file that a strategy is in, which is a heading."""
    return next(f for f in family.files if strategy.name in {s.name for s in strategies_of(f)})


def first_sentence(strategy: CheckedStrategy) -> str:
    """What a strategy does, in its own words."""
    return " ".join(strategy.document.split("\n\n")[0].split())


def _page(family: Family, formulas: Mapping[str, Mapping[str, str | None]], run: Run | None) -> str:
    lines = [
        f"# {family.title}",
        "",
        family.text,
        "",
        "Formulas are upper bounds per problem, for counts of 2 and more, `n` being a multiple of",
        "4 and of what divides it, and token limits below `context`, the context window in tokens.",
        "*Rounds* wait for one another; everything else can run at once. Blue nodes of the",
        "drawings sample, orange ones score.",
    ]
    if run is not None:
        lines += [
            "",
            f"![Accuracy against tokens drawn](../images/gallery-{family.name}.svg)",
            "",
            f"Measured on {provenance(run)}. In brackets 95 % Wilson intervals. *Tokens* are",
            "drawn, per problem and as if the strategy ran alone; *scorer tokens* are what the "
            "engine processed in this run, where strategies shared work (recorded before C66).",
        ]
    if "beam_search_refill" in family.files:
        lines += ["", *refill.explanation()]
    for file in family.files:
        lines += _section(file, formulas, run)
    return "\n".join(lines) + "\n"


def _section(
    file: str, formulas: Mapping[str, Mapping[str, str | None]], run: Run | None
) -> Iterator[str]:
    path = library.find(file)
    strategies = strategies_of(file)
    yield from ("", f"## {file}", "", first_sentence(strategies[0]), "")
    yield from (f"[{path.name}](../../strategies/{path.relative_to(library.folder())}):", "")
    yield from ("```tts", path.read_text(encoding="utf-8").rstrip("\n"), "```", "")
    plan = compile_strategy(path, file)
    yield from (f"Dataflow of `{file}` at its defaults:", "")
    yield from ("```mermaid", explained(plan, "mermaid").rstrip("\n"), "```", "")
    yield f"| at most | {' | '.join(HEADINGS)} |"
    yield "|---|" + "---|" * len(HEADINGS)
    for strategy in strategies:
        known = formulas[strategy.name]
        cells = (_cell(known[which]) for which in Costs._fields)
        yield f"| {strategy.name}({', '.join(strategy.parameters)}) | {' | '.join(cells)} |"
    for strategy in strategies:
        if strategy.name in WHERE:
            yield from ("", f"Holds for {WHERE[strategy.name]}.")
    yield from _measurements(strategies, run)


def _cell(formula: str | None) -> str:
    return "`tts-compile --explain`" if formula is None else f"`{shown(formula)}`"


def _measurements(strategies: Iterable[CheckedStrategy], run: Run | None) -> Iterator[str]:
    names = [strategy.name for strategy in strategies]
    for name in names:
        if name in NOT_MEASURED:
            yield from ("", f"`{name}` is not measured: {NOT_MEASURED[name]}.")
    rows = [] if run is None else [row for row in run.rows if row.strategy in names]
    if not rows:
        return
    yield from ("", "| measured | accuracy | tokens | scorer tokens |", "|---|---|---|---|")
    for row in rows:
        low, high = wilson(row.right.count("1"), len(row.right))
        failed = f", {row.failed} failed" if row.failed else ""
        yield (
            f"| {row.point.label} | {row.accuracy:.0%} ({low * 100:.0f} to {high * 100:.0f}"
            f"{failed}) | {row.tokens:,.0f} | {row.scorer_tokens:,.0f} |"
        )


# ------------------------------------------------------------------------------ figures


def draw(runs: Mapping[str, Run]) -> None:
    """A figure for each family that was measured."""
    from tts_runtime.report.charts import Axis, curves
    from tts_runtime.report.drawing import svg

    for family in FAMILIES:
        if family.name not in runs:
            continue
        rows = [
            estimated(row.strategy, row.tokens, row)
            for row in sorted(runs[family.name].rows, key=lambda row: row.strategy != "majority")
        ]
        title = f"{family.title}: bundled models, {len(runs[family.name].problems)} problems"
        figure = curves(f"gallery-{family.name}", title, rows, Axis("at", DRAWN))
        write_or_complain({IMAGES / f"{figure.name}.svg": svg(figure)})


# ------------------------------------------------------------------------------ command


def main() -> None:
    """Reads options, does what they ask for, writes pages."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--formulas", action="store_true", help="fit cost formulas again")
    parser.add_argument("--measure", action="store_true", help="run everything again")
    parser.add_argument("--family", action="append", help="measure this one; repeat")
    parser.add_argument("--limit", type=int, default=40, help="that many problems (40)")
    options = parser.parse_args()
    runs = load(MEASURED)
    if options.formulas or not FORMULAS.exists():
        FORMULAS.parent.mkdir(parents=True, exist_ok=True)
        FORMULAS.write_text(json.dumps(fit_formulas(), indent=1) + "\n", encoding="utf-8")
    if options.measure:
        problems = chosen(options.limit)
        for family in FAMILIES:
            if options.family and family.name not in options.family:
                continue
            print(f"{family.title}:", flush=True)
            runs[family.name] = measure(family.points, problems)
            save(MEASURED, runs)
    draw(runs)
    write_or_complain(pages(json.loads(FORMULAS.read_text(encoding="utf-8")), runs))


if __name__ == "__main__":
    main()
