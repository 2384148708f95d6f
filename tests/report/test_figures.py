"""Figures: what they are drawn from, how what coincides is told apart, what scorers do."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import tts_runtime
from tests.support.runs import plan_of
from tts_lang.explain.units import rounded
from tts_runtime.problems import Problem
from tts_runtime.problems.model import Trial
from tts_runtime.record.files import DirectoryError
from tts_runtime.record.reader import open_run
from tts_runtime.report.charts import Axis, bars, curves, panels
from tts_runtime.report.difficulty import grouping
from tts_runtime.report.drawing import svg
from tts_runtime.report.figures import comparisons, figures
from tts_runtime.report.page import baseline_of
from tts_runtime.report.study import Scalar, Study
from tts_runtime.report.tables import tables
from tts_runtime.report.theme import SERIES, config, dark_style
from tts_runtime.runs.sweeps import swept
from tts_runtime.stats.proportions import clustered_wilson


def test_points_at_one_place_are_drawn_side_by_side_and_written_as_they_are() -> None:
    rows = [
        {"series": name, "at": at, "value": 50, "low": 40, "high": 60}
        for name in ("one", "two", "three")
        for at in (4, 16, 64)
    ]
    figure = curves("f", "title", rows, Axis("at", "n", exact=True))
    drawn = figure.spec["data"]["values"]
    for at in (4, 16, 64):
        places = sorted(row["_x"] for row in drawn if row["at"] == at)
        assert all(other / one > 1.01 for one, other in pairwise(places))
        assert places[1] == pytest.approx(at)
    assert figure.rows == rows
    dashes = [
        str(layer["mark"]["strokeDash"])
        for layer in figure.spec["layer"]
        if layer["mark"]["type"] == "line"
    ]
    assert len(set(dashes)) == 3


def test_points_apart_stay_where_they_are() -> None:
    rows = [
        {"series": name, "at": at, "value": at}
        for name, at in (("one", 1), ("one", 1000), ("two", 5), ("two", 70))
    ]
    drawn = curves("f", "title", rows, Axis("at", "tokens")).spec["data"]["values"]
    assert [row["_x"] for row in drawn] == pytest.approx([1, 1000, 5, 70])


def test_points_of_one_series_stay_where_they_are() -> None:
    scores = [0.00001, 0.00002, 0.9, 0.90001]
    rows = [{"series": "prm", "at": at, "value": 50} for at in scores]
    drawn = curves("f", "title", rows, Axis("at", "score", log=False)).spec["data"]["values"]
    assert [row["_x"] for row in drawn] == scores


@pytest.mark.parametrize(
    ("least", "most", "labels"),
    [
        (214.8, 519.1, [200, 300, 400, 500, 600, 700]),
        (3, 700, [5, 10, 20, 50, 100, 200, 500, 1000]),
        (2, 9000, [10, 100, 1000, 10000]),
        (410, 447, [410, 415, 420, 425, 430, 435, 440, 445, 450]),
        (0.021, 0.029, [0.02, 0.022, 0.024, 0.026, 0.028, 0.03]),
        (1, 1.4, [1, 1.1, 1.2, 1.3, 1.4]),  # 1.4 - 1 is a little less than 0.4
        (400, 400, [400]),
    ],
)
def test_a_logarithmic_axis_has_labels_by_which_its_values_can_be_read(
    least: float, most: float, labels: list[float]
) -> None:
    rows = [{"series": "one", "at": at, "value": 1} for at in (least, most)]
    figure = curves("f", "title", rows, Axis("at", "tokens"))
    assert figure.spec["layer"][0]["encoding"]["x"]["axis"]["values"] == pytest.approx(labels)


def test_a_logarithmic_axis_leaves_out_zero() -> None:
    rows = [{"series": "one", "at": at, "value": 1} for at in (0, 1, 2)]
    assert len(curves("f", "title", rows, Axis("at", "waits")).rows) == 2


@pytest.mark.parametrize(
    ("places", "log", "labels", "form"),
    [
        ([1234.5], True, [1230.0], "~s"),
        ([0.5, 1, 2], True, [0.5, 1, 2], ",~g"),  # seconds
        ([10.0**at for at in range(1, 9)], True, [10.0**at for at in range(1, 9)], "~s"),
        ([0.1, 0.9], False, None, ",~g"),  # scores: 0.5, not 500m
    ],
)
def test_an_axis_has_labels(
    places: list[float], log: bool, labels: list[float] | None, form: str
) -> None:
    rows = [{"series": "one", "at": at, "value": 1} for at in places]
    spec = curves("f", "title", rows, Axis("at", "cost", log=log)).spec
    axis = spec["layer"][0]["encoding"]["x"]["axis"]
    assert axis.get("values") == labels
    assert axis["format"] == form


def luminance(color: str) -> float:
    def linear(part: int) -> float:
        share = part / 255
        return float(share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4)

    red, green, blue = (linear(int(color[at : at + 2], 16)) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("at", "ground"), [(0, "#ffffff"), (1, "#0d1117")])
def test_every_color_of_a_series_can_be_seen(at: int, ground: str) -> None:
    below = luminance(ground)
    for pair in SERIES:
        lighter, darker = sorted((luminance(pair[at]), below), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 3, pair


def test_the_dark_style_knows_every_color_of_the_light_look() -> None:
    texts = str(config(dark=False))
    style = dark_style()
    for color in {texts[at : at + 7] for at in range(len(texts)) if texts[at] == "#"}:
        assert f'[fill="{color}"]' in style


def problems(field: str, *values: object) -> dict[str, Problem]:
    return {str(at): Problem(str(at), "?", "1", {field: each}) for at, each in enumerate(values)}


def test_bars_without_a_place_have_no_column_of_it() -> None:
    rows = [{"series": "one", "at": "", "panel": "hard (3)", "value": 1}]
    figure = bars("f", "title", rows, "")
    assert list(figure.columns.values())[:3] == ["problems", "strategy", "accuracy, %"]
    assert figure.spec["spec"]["encoding"]["x"]["axis"] is None
    assert [each["field"] for each in figure.spec["spec"]["layer"][0]["encoding"]["tooltip"]] == [
        "series",
        "value",
        "low",
        "high",
    ]


@pytest.mark.parametrize("count", [1, 3, 4, 5])
def test_each_panel_and_nothing_else_has_an_axis(count: int) -> None:
    rows = [
        {"panel": f"level {at}", "series": "one", "at": "4", "value": 1, "low": 0, "high": 2}
        for at in range(count)
    ]
    for draw in (panels, bars):
        assert svg(draw("f", "title", rows, "waits", "y")).count(">waits</text>") == count


def test_groups_by_difficulty() -> None:
    rates = grouping(problems("pass_rate", 0.51, "0.5", 0.11, 0.1, None, "none", 0, 1, 2), {})
    assert rates is not None
    assert rates.names == ["easy", "medium", "hard"]
    groups = ("easy", "medium", "medium", "hard", None, None, "hard", "easy", None)
    assert rates.of == {str(at): group for at, group in enumerate(groups) if group}
    levels = grouping(problems("level", 5, "Level 1", 10), {})
    assert levels is not None
    assert list(levels.names) == ["Level 1", "level 5", "level 10"]
    words = grouping(problems("difficulty", "hard", "easy", "other", "Medium", None), {})
    assert words is not None
    assert list(words.names) == ["easy", "Medium", "hard", "other"]
    assert "4" not in words.of
    for count in (1, 2, 8, 9, 50):
        drawn = grouping(problems("level", *range(count)), {})
        assert len(drawn.names if drawn else ()) == (count if 2 <= count <= 8 else 0)
    assert grouping(problems("other", 1), {}) is None
    measured = grouping(problems("other", 1, 2), {"0": 0.9, "1": 0.0})
    assert measured is not None
    assert measured.of == {"0": "easy", "1": "hard"}


@pytest.fixture(scope="module")
def two_sweeps(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A strategy over a number and a text."""
    out = tmp_path_factory.mktemp("two") / "run"
    plans, _ = swept(["best_of_n", "majority"], {}, ["n=2,4", "reduce=last,min"])
    settings = tts_runtime.Settings(policies={"policy": "sim"}, scorers={"prm": "sim"}, out=out)
    rows = [Problem(str(at), f"{at} + 1", str(at + 1), {"level": 1 + at % 2}) for at in range(4)]
    tts_runtime.run(plans, rows, settings=settings)
    study = Study([out])
    study.update()
    return study


@pytest.mark.parametrize(
    ("parameters", "swept_over", "budget"),
    [
        ([{"n": 4, "reduce": "last"}] * 2, set(), None),
        ([{"n": 4, "reduce": "last", "deep": True}, {"n": 4, "reduce": "min"}], set(), None),
        ([{"n": 4, "deep": True}, {"n": 4, "deep": False}], set(), None),
        ([{"depth": 2, "width": 3}, {"depth": 4, "width": 6}], {"depth", "width"}, "depth"),
        ([{"top": 0.5, "heat": 3}, {"top": 0.7, "heat": 2}], {"top", "heat"}, "heat"),
    ],
)
def test_an_axis_is_a_number_that_varies_within_a_strategy(
    two_sweeps: Study,
    parameters: list[Mapping[str, Scalar]],
    swept_over: set[str],
    budget: str | None,
) -> None:
    study = Study(two_sweeps.directories)
    study.update()
    other = next(each for each in study.entries if each.base == "majority")
    study.entries = [*study.entries[:2], other]
    for entry, values in zip(study.entries, [*parameters, {"n": 64}], strict=True):
        entry.parameters = values
    assert (study.swept(), study.budget) == (swept_over, budget)


def test_each_line_against_a_cost_follows_its_own_sweep(two_sweeps: Study) -> None:
    """Budget forcing over `waits` beside a vote over `n`."""
    study = Study(two_sweeps.directories)
    study.update()
    names = ("majority", "best_of_n")
    votes, others = ([e for e in study.entries if e.base == name][:2] for name in names)
    study.entries = votes + others
    for entry, waits in zip(others, (0, 1), strict=True):
        entry.parameters = {"waits": waits}
    for entry, n in zip(votes, (2, 4), strict=True):
        entry.parameters = {"n": n}
    [figure] = [each for each in figures(study, None, None) if each.name == "accuracy-tokens"]
    assert sorted(row["series"] for row in figure.rows) == sorted(2 * names)


@pytest.mark.parametrize("places", [(0, 1), (1, 0)])
def test_difficulty_is_measured_by_the_strategy_with_most_samples(
    two_sweeps: Study, places: tuple[int, int]
) -> None:
    study = Study(two_sweeps.directories)
    study.update()
    for at, solved in zip(places, ({"0": (1, 2)}, {"0": (1, 4), "1": (0, 0)}), strict=True):
        study.entries[at].tally.solved = solved
    assert study.pass_rates() == {"0": 0.25}


def test_difficulty_is_the_share_of_samples_that_are_right(tmp_path: Path) -> None:
    plan = plan_of("p = sample 4", "score p by prm", "return best of p by last(prm)")
    gold: str | None = None
    for run in ("first", "second"):  # what the first returned is right in the second
        settings = tts_runtime.Settings(
            policies={"policy": "sim"}, scorers={"prm": "sim"}, out=tmp_path / run
        )
        [result] = tts_runtime.run(plan, [Problem("one", "1 + 1", gold)], settings=settings)
        gold = result.answers[0].answer
    nodes = open_run(tmp_path / "second").tree("one").nodes.values()
    study = Study([tmp_path / "second"])
    study.update(lambda _entry, _tree: None)
    assert study.pass_rates() == {"one": [node.answer for node in nodes].count(gold) / 4}


@pytest.mark.parametrize(("text", "gold"), [("7 + 1", "1"), ("0 + 1", "2")])
def test_runs_of_other_problems_are_refused(
    two_sweeps: Study, tmp_path: Path, text: str, gold: str
) -> None:
    settings = tts_runtime.Settings(policies={"policy": "sim"}, out=tmp_path / "other")
    tts_runtime.run(plan_of("return sample 1"), [Problem("0", text, gold)], settings=settings)
    with pytest.raises(DirectoryError, match=r"problem '0' of .*other is another one than in"):
        Study([*two_sweeps.directories, tmp_path / "other"]).update()


def test_a_run_that_goes_on_has_its_strategies_once(two_sweeps: Study, tmp_path: Path) -> None:
    """Also runs whose folders have one name, and beside it another."""
    copies = [tmp_path / name / "run" for name in ("a/b", "c/b", "b")]
    for copy in copies:
        shutil.copytree(two_sweeps.directories[0], copy)
    study = Study(copies)
    study.update()
    assert list(study.runs) == ["run", "b/run", f"{tmp_path.name}/b/run"]
    names = [entry.name for entry in study.entries]
    manifest = (copies[0] / "run.json").read_bytes()
    (copies[0] / "run.json").unlink()
    (copies[0] / "run.json").write_bytes(manifest)
    assert study.update()
    assert [entry.name for entry in study.entries] == names
    assert not study.update()


@pytest.mark.parametrize(
    ("baseline", "against"),
    [
        (
            "best_of_n[n=2,reduce=min]",
            {
                "best_of_n[n=2,reduce=last]": "best_of_n[n=2,reduce=min]",
                "best_of_n[n=4,reduce=last]": "best_of_n[n=4,reduce=min]",
                "majority[n=2]": "best_of_n[n=2,reduce=min]",
                "majority[n=4]": "best_of_n[n=4,reduce=min]",
            },
        ),
        (
            "majority",
            {
                f"best_of_n[n={n},reduce={reduce}]": f"majority[n={n}]"
                for n in (2, 4)
                for reduce in ("last", "min")
            },
        ),
    ],
)
def test_a_baseline_is_followed_along_its_budget_only(
    two_sweeps: Study, baseline: str, against: dict[str, str]
) -> None:
    entry = baseline_of(two_sweeps, baseline)
    assert entry is not None
    assert {each.left: each.right for each in comparisons(two_sweeps, entry)} == against


def test_values_of_a_text_are_series_of_their_own(two_sweeps: Study) -> None:
    entry = two_sweeps.entries[0]
    assert two_sweeps.series(entry, "n") == "best_of_n[reduce=last]"
    groups = grouping(two_sweeps.problems, {})
    for figure in figures(two_sweeps, groups, None):
        rows = [(row.get("panel"), row["series"], row["at"]) for row in figure.rows]
        if figure.name in ("accuracy-n", "difficulty"):
            assert len(set(rows)) == len(rows), figure.name
            assert {row[1] for row in rows} > {"best_of_n[reduce=last]", "best_of_n[reduce=min]"}


def test_a_group_of_problems_is_one_panel_whoever_has_answered(two_sweeps: Study) -> None:
    """A strategy may have fewer answers; problems that nobody grades are not counted."""
    study = Study(two_sweeps.directories)
    study.update()
    del study.entries[0].trials[Trial("0", 0)]
    for entry in study.entries:
        entry.trials[Trial("1", 0)] = entry.trials[Trial("1", 0)]._replace(correct=None)
    drawn = figures(study, grouping(study.problems, {}), None)
    [difficulty] = [each for each in drawn if each.name == "difficulty"]
    assert {row["panel"] for row in difficulty.rows} == {"level 1 (2)", "level 2 (1)"}


def test_figures_and_tables_have_the_numbers_of_the_record(two_sweeps: Study) -> None:
    study = Study(two_sweeps.directories)
    study.update()
    for place, entry in enumerate(study.entries):
        for at, (key, trial) in enumerate(entry.trials.items()):
            entry.trials[key] = trial._replace(correct=(at + place) % 3 > 0)
    groups, baseline = grouping(study.problems, {}), study.entries[0]
    drawn = {each.name: each.rows for each in figures(study, groups, baseline)}
    cells: dict[str, dict[Any, Sequence[Any]]] = {
        table.name: {row[0]: row[1:] for row in table.rows} for table in tables(study, baseline)
    }

    def numbers(figure: str, **about: object) -> list[float]:
        [row] = [row for row in drawn[figure] if about.items() <= row.items()]
        return [row["value"], row["low"], row["high"]]

    def accuracy(grades: Sequence[bool | None]) -> tuple[float, float, float]:
        right = [each is True for each in grades]
        low, high = clustered_wilson((each, 1) for each in right)
        return 100 * sum(right) / len(right), 100 * low, 100 * high

    for entry in study.entries:
        grades = {key.problem: trial.correct for key, trial in entry.trials.items()}
        tokens = sum(each.policy_tokens for each in entry.record.answers.values()) / len(grades)
        series, n = study.series(entry, "n"), entry.parameters["n"]
        right = accuracy([*grades.values()])
        assert numbers("accuracy-n", series=series, at=n) == pytest.approx(right, rel=1e-5)
        by_cost = numbers("accuracy-tokens", series=series, at=tokens)
        assert by_cost == pytest.approx(right, rel=1e-5)
        share, ends, cost = cells["accuracy"][entry.name]
        assert (share.value, ends.low.value, ends.high.value) == pytest.approx(right)
        assert (share.shown, cost.value) == (rounded(right[0]), tokens)
        for level, problems in ((1, "02"), (2, "13")):
            panel = {"series": series, "at": str(n), "panel": f"level {level} (2)"}
            right = accuracy([grades[each] for each in problems])
            assert numbers("difficulty", **panel) == pytest.approx(right, rel=1e-5)
            assert cells["difficulty"][entry.name][level - 1].value == right[0]
    places = [(row["panel"], int(row["at"])) for row in drawn["difficulty"]]
    assert places == sorted(places)
    compared = comparisons(study, baseline)
    for each, row in zip(compared, drawn["differences"], strict=True):
        assert [row["series"], row["against"], row["only"], row["only_other"]] == (
            [each.left, each.right, each.left_only, each.right_only]
        )
        wanted = [100 * each.difference, 100 * each.low, 100 * each.high, each.adjusted]
        shown = [row["value"], row["low"], row["high"], row["p"]]
        assert shown == pytest.approx(wanted, abs=1e-3)
        against, points, ends, p = cells["differences"][each.left]
        assert against == each.right
        assert [points.value, ends.low.value, ends.high.value, p.value] == wanted


@pytest.mark.parametrize(("failed", "drawn"), [(True, True), (False, False)])
def test_flops_are_drawn_unless_unknown(two_sweeps: Study, failed: bool, drawn: bool) -> None:
    """A strategy that failed throughout has none, and does not keep the others from being drawn."""
    study = Study(two_sweeps.directories)
    study.update()
    for entry in study.entries:
        lacks = entry is study.entries[0]
        for key, trial in entry.trials.items():
            flops = None if lacks and not failed else 10**9
            entry.trials[key] = trial._replace(failed=lacks and failed, flops=flops)
    names = [each.name for each in figures(study, None, None)]
    assert ("accuracy-flops" in names) is drawn


def test_bars_do_not_stand_on_each_other() -> None:
    rows = [{"panel": "easy", "at": "4", "series": "one", "value": 75.0}] * 2
    bar = bars("f", "title", rows, "n").spec["spec"]["layer"][0]
    assert bar["encoding"]["y"]["stack"] is None


def test_problems_without_a_grade_are_said_to_be_left_out(run: Path) -> None:
    study = Study([run])
    study.update()
    note = "accuracies leave out what has no grade, 1 problem of each strategy"
    assert list(study.notes()) == [note]


@pytest.mark.parametrize(
    ("seeds", "left_out", "note"),
    [
        ((0, 0), 0, None),
        ((0, 0), 1, "strategies have 3 to 4 problems so far"),
        ((0, 1), 0, "strategies have other answers so far"),
        ((0, 1), 2, "strategies have 2 to 4 answers so far"),
    ],
)
def test_what_differs_between_strategies_is_said(
    two_sweeps: Study, seeds: tuple[int, int], left_out: int, note: str | None
) -> None:
    study = Study(two_sweeps.directories)
    study.update()
    entry = study.entries[0]
    trials = [Trial(id_, seeds[1]) for id_, _ in entry.trials][left_out:]
    entry.trials = dict(zip(trials, entry.trials.values(), strict=False))
    study.places |= dict.fromkeys(trials, 0)
    notes = list(study.notes())
    assert [each.partition(":")[0] for each in notes] == ([] if note is None else [note])
    unit = "answer" if any(seeds) else "problem"
    titles = {each.title for each in figures(study, None, None)}
    assert f"Accuracy against tokens drawn per {unit}" in titles
