"""Costs are functions of what a strategy needed, whatever engines did and when (C66)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tts_runtime
from tests.agreement.conftest import USUAL_PROGRAMS
from tests.agreement.test_early_exit import votes
from tests.support.agreement import PROBLEMS, compiled, latency, world
from tests.support.programs import programs, random_program
from tests.support.runs import PROBLEM, box, plan_of
from tests.support.scripted import ScriptedPolicy
from tests.support.shipped import NAMED, small
from tts_lang.plan.graph import Plan
from tts_runtime.engines.base import ScoreReply
from tts_runtime.engines.registry import find_policy, find_scorer
from tts_runtime.engines.sim.engines import SimPolicy, SimScorer
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import PASSES, Bound, Outcome, bind, execute, execute_together
from tts_runtime.executor.requests import CostCounter, step_marks
from tts_runtime.problems import Problem
from tts_runtime.runs.results import Answer
from tts_runtime.runs.settings import Settings

#: Another strategy in the same run, which shares some work with most.
BESIDE = compiled(
    "strategy main():\n    pool = sample 3 steps\n    return vote (expand pool by 2)\n"
)


def ran(
    plan: Plan,
    number: int,
    arrival: int,
    *,
    beside: Sequence[Plan] = (),
    problems: Sequence[Problem] = PROBLEMS,
    concurrency: int | None = None,
    speculate: float = 0.0,
    done: str | None = None,
) -> list[Outcome]:
    """A plan's outcomes by problem, all passes on, replies in one of many orders."""
    here, speed = world(number), latency(arrival)
    policies: dict[str, SimPolicy] = {}
    scorers: dict[str, SimScorer] = {}
    for each in (plan, *beside):
        policies |= here.policies(each, speed)
        scorers |= here.scorers(each, speed)
    found: list[Outcome] = []

    def bound(each: Plan) -> Bound:
        return bind(each, policies, scorers, tuple(PASSES), speculate > 0)

    def ended(place: int, outcome: Outcome) -> None:
        if not place:
            found.append(outcome)

    run_virtual(
        execute_together(
            [bound(plan), *map(bound, beside)],
            [(problem, number) for problem in problems],
            ended,
            concurrency=concurrency,
            speculate=speculate,
            done=lambda _, problem, __: problem == done,
        )
    )
    return sorted(found, key=lambda outcome: outcome.problem_id)


def others(plan: Plan, number: int) -> Iterator[list[Outcome]]:
    """The same of runs in which engines do other things."""
    yield ran(plan, number, number + 1, concurrency=1)
    yield ran(plan, number, number + 2, concurrency=2, speculate=1.0)
    yield ran(plan, number, number + 3, beside=(BESIDE,))
    yield [
        *ran(plan, number, number + 3, problems=PROBLEMS[:1]),
        *ran(plan, number, number + 1, done=PROBLEMS[0].id, speculate=0.3, beside=(BESIDE,)),
    ]


def costs_are_equal(plan: Plan, number: int) -> int:
    """Checks one plan; how many of its problems have costs."""
    expected = ran(plan, number, number)
    for outcomes in others(plan, number):
        for mine, other in zip(expected, outcomes, strict=True):
            # What is not needed fails in some orders only (C57).
            if mine.error is None and other.error is None:
                assert mine == other
                assert mine.counts == other.counts
                assert mine.candidates == other.candidates
    return sum(outcome.error is None for outcome in expected)


def test_c66_costs_of_shipped_strategies(program_count: int) -> None:
    """Some of them; all with more programs."""
    every = 1 if program_count > USUAL_PROGRAMS else 13
    finished = 0
    for number, (path, name) in enumerate(NAMED[::every]):
        plan = small(path, name)
        if any(scorer.together and scorer.judge is None for scorer in plan.scorers):
            continue
        finished += costs_are_equal(plan, number)
    assert finished > len(NAMED) // every


def test_c66_costs_of_generated_programs(program_count: int) -> None:
    for number in range(program_count // 40):
        costs_are_equal(compiled(random_program(number)), number)

    @settings(
        max_examples=max(10, program_count // 40),
        deadline=None,
        derandomize=True,
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
    )
    @given(source=st.one_of(votes(), programs()), number=st.integers(0, 99))
    def same(source: str, number: int) -> None:
        costs_are_equal(compiled(source), number)

    same()


@pytest.mark.parametrize(
    ("answers", "needed"),
    # A later class that draws level does not win.
    [("11121", 3), ("12113", 4), ("12312", 4), ("11222", 5), ("1111", 2), ("2211", 2)],
)
def test_c66_a_vote_costs_the_rows_up_to_the_one_that_decides(answers: str, needed: int) -> None:
    plan = plan_of(f"pool = sample {len(answers)}", "return vote pool")
    for delays in list(permutations(range(1, len(answers) + 1)))[::7]:
        policy = ScriptedPolicy([box(letter) for letter in answers], delays)
        bound = bind(plan, {"policy": policy}, {}, tuple(PASSES))
        found = run_virtual(execute(bound, PROBLEM, 0))
        assert found.counts.policy_calls == len(found.candidates) == needed
        # Nothing was asked for twice, or without need, to find that out.
        assert len(policy.requests) == needed


def test_c66_scorers_read_the_problem_once_and_each_step_once() -> None:
    plan = plan_of(
        *("pool = sample 4 steps", "score pool by prm", "pool = expand pool by 2 steps"),
        *("score pool by prm", "score pool by orm", "return best of pool by orm"),
        before="scorer orm per solution",
    )
    scorers = {"prm": SimScorer(1), "orm": SimScorer(2, steps=False)}
    policy = ScriptedPolicy(["aa\n\nb\n\nccc", "aa\n\nbb\n\nc", "a\n\nb", "aa\n\n", "b\n\ncc", "d"])
    found = run_virtual(execute(bind(plan, {"policy": policy}, scorers), PROBLEM, 0))
    counts = found.counts
    texts = {each.uid: each.added for each in found.candidates}
    steps: set[tuple[str, ...]] = set()
    solutions: set[str] = set()
    for each in found.candidates:
        text = texts[each.uid] = texts.get(each.parent or 0, "") + each.added
        path = [piece.strip() for piece in text.split("\n\n") if piece.strip()]
        steps.update(tuple(path[: length + 1]) for length in range(len(path)))
        if each.parent:
            solutions.add(text)
    problem = len(PROBLEM.text.encode())
    assert counts.by_scorer["prm"] == problem + sum(len(path[-1].encode()) for path in steps)
    assert counts.by_scorer["orm"] == sum(problem + len(text.encode()) for text in solutions)
    assert counts.scorer_tokens == sum(counts.by_scorer.values())
    assert counts.by_policy["policy"] == counts.policy_tokens + counts.prompt_tokens


PATHS = st.lists(
    st.tuples(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), st.booleans()), max_size=8
)


@given(paths=PATHS, order=st.randoms(use_true_random=False))
def test_c66_scored_paths_count_in_any_order(
    paths: list[tuple[list[str], bool]], order: Random
) -> None:
    """A path without scores (too long, ambiguous) costs its call, and hides no step of another."""
    counted = []
    for shuffled in (paths, order.sample(paths, len(paths))):
        bill = CostCounter()
        for steps, fails in shuffled:
            whole = ScoreReply((0.5,) * len(steps), 0, 7, tuple(map(ord, steps)))
            bill.scored("prm", step_marks(0, steps), ScoreReply(()) if fails else whole)
        counted.append(bill.counts)
    read = {tuple(steps[:length]) for steps, fails in paths for length in range(1, 9) if not fails}
    expected = sum(ord(path[-1]) for path in read) + 7 * bool(read)
    assert counted[0] == counted[1]
    assert (counted[0].scorer_calls, counted[0].scorer_tokens) == (len(paths), expected)


def test_c66_costs_on_the_bundled_models(tmp_path: Path) -> None:
    """Alone, together, with more problems, one at a time, and continued: equal line by line."""
    given = Settings({"policy": find_policy("bundled")()}, {"prm": find_scorer("bundled")()})
    names = ["best_of_n", "beam_search", "majority"]
    small: dict[str, int | float | str] = {"n": 4, "depth": 5}

    def costs(chosen: Sequence[str], limit: int, settings: Settings = given) -> list[list[Answer]]:
        problems = tts_runtime.problems_named("arith")[:limit]
        parameters = small if "beam_search" in chosen else {"n": small["n"]}
        results = tts_runtime.run(chosen, problems, settings=settings, parameters=parameters)
        # How many lines a record has of an answer is no cost, and 0 without a record.
        unrecorded = {"nodes": 0, "decisions": 0}
        return [
            [answer.model_copy(update=unrecorded) for answer in result.answers[:2]]
            for result in results
        ]

    together = costs(names, 2)
    assert all(answer.flops for answers in together for answer in answers)
    assert costs(names, 4, replace(given, concurrency=1, speculate=0.5)) == together
    assert [costs([name], 2)[0] for name in ("best_of_n", "beam_search")] == together[:2]
    kept = replace(given, out=tmp_path / "run")
    costs(names, 2, kept)
    for path in tmp_path.glob("run/*/answers.jsonl"):
        path.write_text(path.read_text().splitlines(keepends=True)[0])
    assert costs(names, 2, kept) == together
