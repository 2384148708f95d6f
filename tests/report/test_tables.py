"""The tables of a report as LaTeX, Markdown and CSV: the cells of the terminal, nothing obeyed."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

import tts_runtime
from tests.report.conftest import HOSTILE
from tests.report.test_text import printed
from tts_lang.printable import printable
from tts_runtime.report.page import baseline_of
from tts_runtime.report.study import Study
from tts_runtime.report.tables import Cell, IntervalCell, Quantity, StudyTable, sources, tables
from tts_runtime.report.typesetting import latex, markdown, table_csv

#: Each sign that a format obeys, and pairs that are set as one.
NAMES = (
    r"50%_{a}&~$x^2#\"'`", "[n=4]", "*", "a--b---c", "?`!`,,", "<c>|d", ":fire: @x &amp; $x$",
    HOSTILE, "## x", "- x", "\n\\\\", "%",
)  # fmt: skip


def table_of(*names: str) -> StudyTable:
    """A table with rows of these names, printable as `tables` has them."""
    better = IntervalCell(Quantity(1.23456789, "+1.2"), Quantity(4, "+4.0"))
    first, *others = [printable(name, line=True) for name in names]
    rows: list[list[Cell]] = [
        [first, Quantity(2.5, "+2.5", strong=True), better, Quantity(1e-4, "<0.001")]
    ]
    rows += [[name, Quantity(-2.5, "-2.5"), None, "not graded"] for name in others]
    return StudyTable("t", "points, %", ("strategy", "points", "95 %", "p"), rows)


def cells_of(text: str) -> list[list[str]]:
    """The rows of a LaTeX table; every one ends as it should, and braces are balanced."""
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert lines[0].startswith(r"\begin{tabular}{")
    assert lines[-1] == r"\end{tabular}"
    assert [line for line in lines if line.endswith("rule")] == [
        r"\toprule", r"\midrule", r"\bottomrule"
    ]  # fmt: skip
    rows = [line for line in lines[1:-1] if not line.endswith("rule")]
    for row in rows:
        assert row.endswith(r" \\")
        bare = re.sub(r"\\[^A-Za-z]", "", row)
        assert not set("#^~\"'`<>|") & set(re.sub(r"\$[^$]*\$", "", bare)), row
        assert bare.count("{") == bare.count("}")
        assert bare.count("$") % 2 == 0
        assert "%" not in bare
    cells = [re.split(r"(?<!\\) & ", row.removesuffix(r" \\")) for row in rows]
    assert {len(row) for row in cells} == {len(lines[0].rpartition("{")[2]) - 1}
    return cells


def test_hostile_names_are_shown_in_latex() -> None:
    text = latex(table_of(*NAMES), ["policy 100 %"])
    assert text.startswith("% points, %\n% bold: ")
    head, first, *others = cells_of(text)
    assert head == ["strategy", "points", r"95 \%", "p"]
    assert first[0].startswith(r"50\%\_\{a\}\&\textasciitilde{}\$x\textasciicircum{}2\#")
    assert first[1:] == [r"{\boldmath$+2.5$}", "$[+1.2, +4.0]$", "$<0.001$"]
    assert others[0] == ["{}[n=4]", "$-2.5$", "--", "not graded"]
    assert [row[0] for row in others[1:4]] == ["{}*", "a-{}-b-{}-{}-c", "?{}\\textasciigrave{}!{}"
                                              "\\textasciigrave{},{},"]  # fmt: skip
    assert len(others) == len(NAMES) - 1


def test_hostile_names_are_shown_in_markdown() -> None:
    lines = markdown(table_of(*NAMES), ["- none"]).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(NAMES)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {5}
    assert table[1] == "| --- | ---: | ---: | ---: |"
    assert "| **+2.5** | [+1.2, +4.0] | \\<0.001 |" in table[2]
    assert r"| \<c\>\|d |" in table[7]
    assert r"| \:fire: \@x \&amp; \$x\$ |" in table[8]
    assert lines[-1] == r"\- none"


def test_csv_has_values_and_runs_nothing() -> None:
    rows = list(csv.reader(table_csv(table_of("=cmd()", "x")).splitlines()))
    assert rows == [
        ["strategy", "points", "95 % low", "95 % high", "p"],
        ["'=cmd()", "2.5", "1.23457", "4.0", "0.0001"],
        ["x", "-2.5", "", "", "not graded"],
    ]


def test_files_have_the_cells_of_the_terminal(run: Path, site: Path) -> None:
    shown = " ".join(printed(run, 200).split())
    for name in ("accuracy", "difficulty", "differences"):
        base = site / "tables" / name
        head, *rows = cells_of(base.with_suffix(".tex").read_text())
        assert rows
        for row in rows:
            numbers = [cell for cell in row[1:] if re.match(r"[$\d\[]", cell)]
            words = [
                cell.strip("$").replace("[", "").replace("]", "").replace(", ", " to ")
                for cell in numbers
            ]
            assert f" {' '.join(words)} " in shown
        marked = base.with_suffix(".md").read_text()
        assert marked.count("\n| ") == 2 + len(rows)
        assert "policy sim; prm sim; problems given (4); seed 0" in marked
        values = list(csv.reader(base.with_suffix(".csv").read_text().splitlines()))
        assert len(values) == 1 + len(rows)
        assert len({len(each) for each in values}) == 1
        assert len(values[0]) == len(head) + ("95 \\%" in head)


@pytest.mark.parametrize(
    ("strategies", "answer", "names"),
    [(["majority"], "2", ["accuracy"]), (["majority", "greedy"], None, ["accuracy"])],
)
def test_one_strategy_and_no_gold_answers(
    tmp_path: Path, strategies: list[str], answer: str | None, names: list[str]
) -> None:
    settings = tts_runtime.Settings(policies={"policy": "sim"}, out=tmp_path / "run")
    tts_runtime.run(strategies, [{"problem": "1 + 1", "answer": answer}], settings=settings,
                    parameters={"n": 2})  # fmt: skip
    study = Study([tmp_path / "run"])
    study.update()
    shown = tables(study, baseline_of(study, None))
    assert [table.name for table in shown if table.name != "difficulty"] == names
    for table in shown:
        cells = cells_of(latex(table, sources(study)))
        assert len(cells) == 1 + len(strategies)
        assert table_csv(table).count("\n") == len(cells)
        assert markdown(table, []).count("\n| ") == 1 + len(cells)
    assert ("not graded" in latex(shown[0], [])) == (answer is None)


def test_before_the_first_answer_there_is_a_row(run: Path) -> None:
    study = Study([run])
    study.open()
    (table,) = [each for each in tables(study, baseline_of(study, None)) if each.name == "accuracy"]
    assert [row[1:] for row in cells_of(latex(table, []))[1:]] == (
        [["not graded", "", "--"]] * len(study.entries)
    )


def test_flops_have_a_column_where_one_is_known(run: Path) -> None:
    study = Study([run])
    study.update()
    baseline = baseline_of(study, None)
    assert "FLOPs" not in tables(study, baseline)[0].titles
    trials = study.entries[0].trials
    for key, trial in trials.items():
        trials[key] = trial._replace(flops=1_230_000)
    table = tables(study, baseline)[0]
    assert table.heading.endswith("; tokens drawn and FLOPs per problem")
    assert [row[-1] for row in cells_of(latex(table, []))] == (
        ["FLOPs", "1.23M"] + ["--"] * (len(study.entries) - 1)
    )
    assert "FLOPs" in printed(study, 100)
