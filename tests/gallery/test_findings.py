"""docs/findings.md says what was measured, and its statistics say no more than the data."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from benchmarks import findings
from benchmarks.claims import FINDINGS, Comparison, Finding
from benchmarks.families import FAMILIES
from benchmarks.findings import agrees, bootstrapped, estimate, merged, verdict
from benchmarks.measured import ALL, GROUPS, IMAGES, Measured, Point, Run, load, point
from tts_lang.compiler import compile_strategy

RUNS = load(findings.MEASURED)
MOST_BYTES = 60_000
ONE, OTHER = point("majority", n=4), point("best_of_n", n=4)


def made(right: dict[Point, str], seed: int = 0) -> Run:
    """A run with these results; its problems are easy, medium and hard in turn."""
    size = len(next(iter(right.values())))
    rows = tuple(
        Measured(each.strategy, dict(each.parameters), marks, 0, 1.0, 0.0)
        for each, marks in right.items()
    )
    names = tuple(f"p{i}" for i in range(size))
    return Run(names, tuple(GROUPS[i % 3] for i in range(size)), {}, seed, rows)


def test_the_page_is_what_was_measured() -> None:
    assert findings.PAGE.read_text("utf-8") == findings.page(RUNS)


def test_every_finding_is_measured_and_has_its_figure() -> None:
    for finding in FINDINGS:
        assert findings.measured(finding, RUNS[finding.problems])
        assert 1_000 < (IMAGES / findings.image(finding)).stat().st_size < MOST_BYTES


def test_everything_to_be_measured_compiles() -> None:
    points = {p for finding in FINDINGS for p in finding.points}
    points |= {p for family in FAMILIES for p in family.points}
    for each in points:
        compile_strategy(each.strategy, settings=dict(each.parameters))


def test_estimates_are_paired_and_of_their_group() -> None:
    run = made({ONE: "110110", OTHER: "100100"})
    assert estimate(Comparison("easy", "", "", ONE, OTHER), run) == (0, 0, 0)
    assert estimate(Comparison("medium", "", "", ONE, OTHER), run) == (100, 100, 100)
    value, low, high = estimate(Comparison(ALL, "", "", ONE, OTHER), run)
    assert value == pytest.approx(100 / 3)
    assert 0 <= low < value < high


def test_intervals_hold_the_true_difference_about_as_often_as_they_say() -> None:
    """300 samples of 60 problems whose differences are 1, 0 and -1 with known chances."""
    generator = random.Random(5)
    held = 0
    for _ in range(300):
        gains = generator.choices((1, 0, -1), (0.3, 0.5, 0.2), k=60)
        _, low, high = bootstrapped(tuple(gains))
        held += low <= 10 <= high
    assert 0.90 <= held / 300 <= 0.98


@pytest.mark.parametrize(
    ("expected", "found", "said"),
    [
        (1, (5.0, 1.0, 9.0), "yes"),
        (1, (-5.0, -9.0, -1.0), "no"),
        (-1, (-5.0, -9.0, -1.0), "yes"),
        (-1, (5.0, 1.0, 9.0), "no"),
        (1, (5.0, 0.0, 9.0), "open, towards yes"),
        (-1, (5.0, -1.0, 9.0), "open, towards no"),
        (1, (0.0, 0.0, 0.0), "open"),
    ],
)
def test_what_an_estimate_says(expected: int, found: tuple[float, float, float], said: str) -> None:
    assert agrees(expected, found) == said


def finding(*comparisons: Comparison) -> Finding:
    """A finding of these comparisons."""
    return Finding("name", "Title", "Claim.", comparisons)


def test_verdicts_count_what_was_expected() -> None:
    run = made({ONE: "111" * 5, OTHER: "000" * 5})
    better = Comparison(ALL, "", "", ONE, OTHER, 1)
    assert verdict(finding(better), run).startswith("**Reproduces**: 1 of 1")
    worse = replace(better, expected=-1)
    assert verdict(finding(worse), run).startswith("**Does not reproduce**: 0 of 1")
    assert verdict(finding(better, worse), run).startswith("**Reproduces in part**: 1 of 2")
    same = replace(better, second=ONE)
    assert verdict(finding(same), run).startswith("**Not shown here**: 0 of 1")
    assert "without a claim" in verdict(finding(replace(better, expected=0)), run)


def test_measuring_one_finding_keeps_the_others_of_the_same_kind() -> None:
    old = made({ONE: "101", OTHER: "111"})
    new = made({ONE: "000"})
    assert {row.point: row.right for row in merged(old, new).rows} == {ONE: "000", OTHER: "111"}
    elsewhere = made({ONE: "000"}, seed=1)
    assert merged(old, elsewhere) == elsewhere
