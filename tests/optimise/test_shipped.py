"""Shipped strategies: every pass fires in one, and optimised ones give what they gave."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.agreement import INSTANT, PROBLEMS, world
from tests.support.optimising import difference, outcome
from tts_lang import library
from tts_lang.compiler import CompileError, check_path, compile_strategy
from tts_lang.optimise import NAMES, Optimised, optimise

ROOT = Path(__file__).parents[2]
#: Strategies and the parameters (in laws, or at a small budget) at which a pass finds work.
FIRES = {
    "fold_constants": ("layered_mixture", {}),
    "simplify_selections": ("beam_search", {"n": 4, "width": 1}),
    "eliminate_dead": ("best_of_n", {"n": 1}),
    "push_down_selections": ("best_of_answered", {"n": 4}),
    "fuse_expansions": ("token_conditional", {}),
}
SMALL = {"depth": 3, "rollouts": 3, "most": 4, "rounds": 2, "n": 4, "trees": 2, "width": 2}


def found(name: str) -> Path:
    """The file of a strategy, wherever it is shipped."""
    (path,) = ROOT.glob(f"strategies/**/{name}.tts")
    return path


def test_every_pass_fires_in_a_shipped_strategy() -> None:
    assert set(FIRES) == set(NAMES)
    for passed, (name, parameters) in FIRES.items():
        made = optimise(compile_strategy(found(name), name, parameters))
        assert [s.trace.fired > 0 for s in made.stages if s.trace.passed.name == passed] == [True]


def variants() -> list[tuple[str, Optimised]]:
    """Shipped strategies at small parameters, and with each of these at 1, that passes change."""
    made: list[tuple[str, Optimised]] = []
    for path in sorted(ROOT.glob("strategies/**/*.tts")):
        for strategy in check_path(path).strategies:
            given = {name: SMALL[name] for name in strategy.parameters if name in SMALL}
            for values in (given, *({**given, name: 1} for name in given)):
                try:
                    plan = compile_strategy(path, strategy.name, values)
                except CompileError:  # not a strategy at these parameters
                    continue
                optimised = optimise(plan, check=True)
                if optimised.plan.body != plan.body:
                    made.append((f"{strategy.name} {values}", optimised))
    return made


def test_optimised_strategies_give_what_they_gave() -> None:
    checked = 0
    for number, (name, made) in enumerate(variants()):
        here, problem = world(number), PROBLEMS[number % len(PROBLEMS)]
        before = outcome(made.raw, made.raw, here, problem, number, INSTANT)
        after = outcome(made.plan, made.raw, here, problem, number, INSTANT)
        assert difference(made.raw, before, after) is None, name
        checked += before.error is None
    assert checked > 40


@pytest.mark.parametrize("law", ["beam_search", "dvts"])
def test_a_search_of_width_1_becomes_best_of_n(law: str) -> None:
    """The rules prove what the strategies' laws say: nothing of the search is left."""
    plan = compile_strategy(library.find(law), law, {"n": 8, "width": 1})
    left = [operation.spec.op for operation in optimise(plan).plan.body.operations]
    assert left[-2:] == ["score", "select"]
    assert "repeat" not in left
    assert left.count("expand") == 1
