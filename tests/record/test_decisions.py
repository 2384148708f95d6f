"""Decisions of a run: which rows survived, and why, whatever came first in time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tts_runtime
from tests.support.runs import plan_of
from tts_lang.values import mean
from tts_runtime.problems import Problem
from tts_runtime.record.decisions import Decision, classes
from tts_runtime.record.reader import Tree, open_run

PROBLEM = Problem("one", "1 + 1", "2")


def tree_of(folder: Path, *lines: str, before: str = "", **settings: Any) -> Tree:
    """The tree of a strategy on one problem, on the simulated engine."""
    chosen = tts_runtime.Settings(
        policies={"policy": "sim"}, scorers={"prm": "sim"}, out=folder, **settings
    )
    tts_runtime.run(plan_of(*lines, before=before), [PROBLEM], settings=chosen)
    run = open_run(folder)
    assert run.verify() == []
    return run.tree("one")


def test_a_vote_says_its_classes_and_weights(tmp_path: Path) -> None:
    tree = tree_of(
        tmp_path / "run", "pool = sample 6", "score pool by prm",
        "return vote pool weighted by mean(prm)", disabled=frozenset({"short_circuit"}),
    )  # fmt: skip
    [vote] = [Decision.model_validate(each) for each in tree.decisions]
    assert (vote.op, list(vote.in_)) == ("vote", [1, 2, 3, 4, 5, 6])
    keys = [tree.nodes[uid].answer_key for uid in vote.in_]
    assert list(vote.values) == keys
    [counted] = classes(tree.decisions[0])
    assert next(iter(counted), None) == tree.answer.key
    assert vote.weights == [mean(tree.nodes[uid].scores["prm"] or ()) for uid in vote.in_]  # type: ignore[arg-type]
    assert list(vote.out) == ([] if tree.answer.node is None else [tree.answer.node])


def test_selections_of_a_search_explain_every_survivor(tmp_path: Path) -> None:
    tree = tree_of(
        tmp_path / "run",
        "beams = sample 4 steps", "score beams by prm",
        "repeat 2:", "    beams = select top 2 of beams by last(prm)",
        "    beams = expand beams by 2 steps", "    score beams by prm",
        "kept = beams where last(prm) > 0.3",
        "return best of kept by last(prm)",
    )  # fmt: skip
    found = [Decision.model_validate(each) for each in tree.decisions]
    assert [each.op for each in found if each.op != "where"] == ["select", "select", "select"]
    assert [list(each.round) for each in found if each.op == "select"] == [[0], [1], []]
    for each in found:
        assert len(each.values) == len(each.in_)
        if each.op == "select":
            scores = [tree.nodes[uid].scores["prm"][-1] for uid in each.in_]  # type: ignore[index]
            wanted = sorted(each.in_, key=lambda uid: -scores[list(each.in_).index(uid)])  # type: ignore[operator]
            assert set(each.out) <= set(wanted[: len(each.out) + 1])
        assert set(each.out) <= set(each.in_)


def test_decisions_do_not_depend_on_arrival(tmp_path: Path) -> None:
    lines = ("pool = sample 8", "score pool by prm", "pool = pool where last(prm) > 0.4")
    end = ("pool = dedupe pool by answer", "return first of pool")
    first = tree_of(tmp_path / "a", *lines, *end)
    again = tree_of(tmp_path / "b", *lines, *end, concurrency=1)
    assert first.decisions == again.decisions


@pytest.mark.parametrize(
    ("values", "weights", "groups", "wanted"),
    [
        (["3", "4", None, "4"], None, None, [[("4", 2), ("3", 1)]]),
        (["3", "4", None, "4"], [0.5, 0.125, 9, 0.25], None, [[("3", 0.5), ("4", 0.375)]]),
        # Of equal weights the first row's class wins; sums are exact.
        (["4"] * 10 + ["3"], [0.1] * 10 + [1.0], None, [[("4", 1.0), ("3", 1.0)]]),
        ([2, 1.0, 1, 2.5], None, None, [[(1.0, 2), (2, 1), (2.5, 1)]]),
        (["3", "4", "4", "3"], None, [[0, 3], [1, 2]], [[("3", 2)], [("4", 2)]]),
        ([None], None, None, [[]]),
    ],
)
def test_classes_weigh_what_the_vote_counted(
    values: list[Any],
    weights: list[float] | None,
    groups: list[list[int]] | None,
    wanted: list[list[tuple[Any, float]]],
) -> None:
    line = {"values": values, "weights": weights, "groups": groups}
    counted = classes({name: each for name, each in line.items() if each is not None})
    assert [list(each.items()) for each in counted] == wanted


def test_a_decision_in_groups_has_their_places(tmp_path: Path) -> None:
    tree = tree_of(
        tmp_path / "run", "pool = sample 3 steps", "pool = expand pool by 2", "score pool by prm",
        "pool = select top 1 of pool by last(prm) per root", "return first of pool",
    )  # fmt: skip
    [chosen] = [each for each in tree.decisions if each["op"] == "select"]
    assert chosen["in"] == [4, 5, 6, 7, 8, 9]
    assert chosen["groups"] == [[0, 1], [2, 3], [4, 5]]
    scores = [tree.nodes[uid].scores["prm"] for uid in chosen["in"]]
    assert chosen["values"] == [each[-1] if each else None for each in scores]  # type: ignore[index]
    assert [uid // 2 for uid in chosen["out"]] == [2, 3, 4]
