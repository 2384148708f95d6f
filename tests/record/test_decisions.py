"""Decisions of a run: which rows survived, and why, whatever came first in time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tts_runtime
from tests.support.runs import plan_of
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
    found = classes(tree.decisions[0])
    assert next(iter(found), None) == tree.answer.key
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
