"""The table for terminals of any width: nothing in it is ever cut."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_lang.explain.units import rounded
from tts_runtime.cli.report import print_table
from tts_runtime.cli.tables import DROPPED, captions, percent, run_line, table
from tts_runtime.engines.base import Exactness
from tts_runtime.executor import Work
from tts_runtime.problems.model import Trial
from tts_runtime.reliability import Reliability
from tts_runtime.report.estimates import share
from tts_runtime.runs.costs import RunMeter
from tts_runtime.runs.results import (
    COSTS,
    Answer,
    Result,
    Results,
    RunInfo,
    Summary,
    named_in,
    summary_of,
)
from tts_runtime.stats.proportions import clustered_wilson

SWEEP = [f"beam_search[n={n},width={width}]" for n in (64, 256) for width in (4, 16)]


def summary(strategy: str, tokens: int = 211_657_892, **given: object) -> Summary:
    """A row."""
    fields = {
        "strategy": strategy,
        "params": {},
        "problems": 200,
        "trials": 200,
        "answered": 200,
        "failed": 0,
        "correct": 129,
        "graded": 200,
        "accuracy": 0.645,
        "accuracy_low": 0.58,
        "accuracy_high": 0.71,
        "policy_calls": 3200,
        "policy_tokens": tokens,
        "prompt_tokens": 7000,
        "scorer_calls": 3200,
        "scorer_tokens": tokens // 3,
        "flops": 2 * 10**15,
        "wall_s": 123.4,
        "exact": True,
        "seeds": [0],
        "policies": {},
        "scorers": {},
        **given,
    }
    return Summary.model_validate(fields)


def test_a_summary_adds_up_its_answers() -> None:
    def answer(id_: str, seed: int, right: bool | None, tokens: int, **given: Any) -> Answer:
        costs = {name: tokens + at for at, name in enumerate(COSTS)}
        cut = Reliability(candidates=2, cut=1, failed={"lost": tokens})
        fields = {"answer": "2", "flops": 10 * tokens, **costs, **given}
        return Answer(id=id_, seed=seed, correct=right, reliability=cut, **fields)

    def whole(answers: list[Answer]) -> Summary:
        return summary_of(
            answers,
            strategy="s",
            params={},
            wall_s=2.5,
            engines=Work(policy_calls=3),
            info=RunInfo(Exactness.NONE, {"policy": "sim"}, {}, "arith", ("math", "code")),
        )

    failed = [Answer(id="c", seed=seed, error="lost") for seed in (0, 1)]
    answers = [
        answer("a", 4, True, 100),
        answer("a", 0, True, 200),
        answer("b", 0, False, 400),
        answer("b", 4, None, 800, answer=None),
        *failed,
    ]
    added = whole(answers)
    assert (added.problems, added.trials, added.answered, added.failed) == (3, 6, 3, 2)
    assert (added.correct, added.accuracy) == (2, 2 / 3)
    assert (added.accuracy_low, added.accuracy_high) == clustered_wilson([(2, 2), (0, 1), (0, 0)])
    assert [getattr(added, name) for name in COSTS] == [1500, 1504, 1508, 1512, 1516]
    assert (added.flops, added.seeds) == (15_000, [0, 1, 4])
    assert added.reliability == Reliability(candidates=8, cut=4, failed={"lost": 1500})
    assert (added.wall_s, added.engines, added.exact) == (2.5, Work(policy_calls=3), False)
    assert whole([*answers, answer("d", 0, True, 1, flops=None)]).flops is None
    lost = whole(failed)
    assert (lost.accuracy, lost.accuracy_low, lost.accuracy_high, lost.flops) == (*[None] * 3, 0)


def test_the_footer_names_engines_and_graders_of_all_strategies() -> None:
    first = summary("a", policies={"policy": "sim"}, problem_set="arith", seeds=[0, 1, 2])
    second = summary("b", policies={"small": "m"}, scorers={"prm": "p"}, graders=("code",))
    engines = "policy sim; small m; prm p"
    assert named_in([first, second]) == f"{engines}; problems arith (200); seeds 0..2"
    assert named_in([second]) == "small m; prm p; problems given (200); graded by code; seed 0"


def test_a_meter_goes_on_from_earlier_sessions_and_counts_its_own() -> None:
    """An engine may have run before, and have two names; each strategy has a summary."""
    engine: Any = SimpleNamespace(cancelled_tokens=70)
    last = Work(policy_calls=5, cancelled_tokens=1)
    earlier = [summary("a", wall_s=2, engines=Work(policy_calls=3)), None]
    meter = RunMeter([*earlier, summary("b", wall_s=3, engines=last)], {"p": engine, "q": engine})
    engine.cancelled_tokens = 100
    meter.work.policy_calls = 20
    assert meter.engines == Work(policy_calls=25, cancelled_tokens=31)
    assert meter.wall_s == 3


def rows(shown: str, first_column: int) -> list[str]:
    """The names of a table, put together again; those of one part do not hold a blank."""
    lines = shown.splitlines()[3:]
    names: list[str] = []
    for line in lines:
        if line.startswith("omitted"):
            break
        if line.startswith("   "):
            names[-1] += line.strip()
        else:
            names.append(line[: first_column + 1].strip())
    return names


@settings(max_examples=40, deadline=None)
@given(
    names=st.lists(
        st.from_regex(r"[a-z_]{1,40}(\[n=\d{1,4}(,[a-z]{1,9}=\d{1,3})?\])?", fullmatch=True),
        min_size=1,
        max_size=4,
    ),
    tokens=st.integers(0, 10**15),
    width=st.integers(40, 200),
)
def test_names_and_numbers_are_whole_at_any_width(
    names: list[str], tokens: int, width: int
) -> None:
    shown = table([summary(name, tokens) for name in names], width)
    title = next(line for line in shown.splitlines() if line.startswith(" strategy"))
    column = re.search(r" {2,}|$", title[1:])
    assert column is not None
    start = min(
        len(line) - len(line[len(line.split("  ")[0]) :].lstrip())
        for line in shown.splitlines()[3:4]
    )
    assert rows(shown, start - 1) == names
    assert shown.count(f"{tokens / 200:,.0f}") >= len(names)
    if width >= 80 and tokens < 10**9:
        assert max(map(len, shown.splitlines())) <= width


def test_columns_are_left_out_in_a_stated_order_and_named() -> None:
    shown = [table([summary(name) for name in SWEEP], width) for width in (None, 100, 80, 60, 40)]
    remarks = [" ".join(each[each.find("\nomitted") :].split()) for each in shown]
    left_out = [
        remark.removeprefix("omitted, the terminal is too narrow: ").split(", ")
        for remark in remarks
        if remark.startswith("omitted")
    ]
    assert all(titles == list(DROPPED[: len(titles)]) for titles in left_out)
    assert [len(titles) for titles in left_out] == sorted(map(len, left_out))
    assert "\n beam_search[n=256,width=16] " in shown[0]
    assert "FLOPs" in shown[2]
    assert "\n   width=16]\n" in shown[4]
    assert max(len(line) for line in shown[3].splitlines()) <= 60


def test_what_is_not_known_is_not_zero() -> None:
    unknown = summary("a", flops=None, accuracy=None, accuracy_low=None)
    shown = table([unknown, summary("b")])
    assert [line.split()[-1] for line in shown.splitlines()[3:]] == ["unknown", "10.0T"]
    assert "not graded" in shown
    notebook = Results([Result(unknown, [])])._repr_html_()
    assert ">not graded<" in notebook
    assert ">unknown<" in notebook


@pytest.mark.parametrize(
    ("more", "count"), [((), "1 answer"), ((("both", "xy"),), "1 to 2 answers")]
)
def test_strategies_without_common_answers_are_not_compared(
    capsys: pytest.CaptureFixture[str], more: tuple[tuple[str, str], ...], count: str
) -> None:
    print_table([
        Result(summary(name), [Answer(id=id_, seed=0, correct=True) for id_ in ids])
        for name, ids in (("first", "xy"), ("same", "x"), ("other", "z"), *more)
    ])  # fmt: skip
    out = capsys.readouterr().out
    assert "\n same  " in out.partition(" against first")[2]
    assert ("adjusted" in out) == bool(more)
    caption = f"points of accuracy, on {count} to the same problems; interval"
    assert caption in " ".join(out.split())  # whatever the terminal's width
    assert out.endswith("\nnot compared, no graded answer in common: other\n")


@pytest.mark.parametrize(
    ("given", "unit", "said"),
    [
        ([{}], "problem", []),
        ([{"problems": 100}], "problem and seed", []),
        ([{"graded": 1}], "problem", ["accuracy: over 1 answer with a grade, of 200"]),
        ([{"graded": 9}, {}], "problem", ["accuracy: over 9 to 200 answers with a grade, of 200"]),
        ([{"graded": 0, "accuracy": None}, {}], "problem", []),
    ],
)
def test_a_mean_says_over_what_it_is(
    given: list[dict[str, Any]], unit: str, said: list[str]
) -> None:
    rows = [summary("a", **each) for each in given]
    first, *others = captions(rows)
    assert first.startswith(f"tokens and FLOPs: mean per {unit} of what the strategy needs")
    assert others == said
    notebook = Results([Result(row, []) for row in rows])._repr_html_()
    assert [f"<p>{line}</p>" in notebook for line in said] == [True] * len(said)


def test_means_are_over_problems_that_did_not_fail() -> None:
    shown = table([summary("a", 1000, failed=100)])
    assert " a (100 failed) " in shown
    assert " 10 " in shown


def test_the_run_has_a_line_of_its_own() -> None:
    work = Work(3200, 2000, 70, 16, 9000, 5, 12, 40, 3)
    assert run_line(summary("a", engines=work)) == (
        "the run: 123 s; engines drew 2,012 tokens (5 requests cancelled) and processed 70 "
        "prompt and path tokens, scorers processed 9,000, 40 ran ahead, 3 of them wasted"
    )


@pytest.mark.parametrize(
    ("right", "of", "shown"),
    [(51, 80, "63.8"), (1, 16, "6.3"), (7, 400, "1.8"), (1288, 1319, "97.6"), (23, 2000, "1.2"),
     (0, 3, "0.0"), (3, 3, "100.0")],
)  # fmt: skip
def test_every_screen_rounds_alike(right: int, of: int, shown: str) -> None:
    """The same of a share and of what the report has; the page does as `rounded` does."""
    assert percent(right / of) == f"{shown} %"
    estimate = share({Trial(str(at), 0): at < right for at in range(of)})
    assert estimate is not None
    assert rounded(estimate.value) == shown
    assert f">{shown} %<" in Results([Result(summary("a", accuracy=right / of), [])])._repr_html_()
