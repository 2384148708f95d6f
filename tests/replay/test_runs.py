"""Run directories replayed: what a strategy gave, and others as far as the record reaches."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tts_lang
import tts_runtime
from tests.support.runs import plan_of
from tts_lang.plan.graph import Plan
from tts_runtime.engines.base import EngineError
from tts_runtime.executor import BindError
from tts_runtime.problems import problems_named
from tts_runtime.runs.results import Answer
from tts_runtime.runs.rundir import RunDirectoryError
from tts_runtime.runs.sweeps import swept

PROBLEMS = problems_named("arith", 2)


def ran(folder: Path, strategy: str | Plan, **parameters: float) -> list[list[Answer]]:
    """What a strategy gives on the bundled models, recorded in `folder`."""
    results = tts_runtime.run(
        strategy, PROBLEMS, settings=tts_runtime.Settings(out=folder), parameters=parameters
    )
    return [list(result.answers) for result in results]


def replayed(folder: Path, strategy: str | Plan, seed: int = 0, **parameters: Any) -> list[Answer]:
    """What it gives on the record in `folder`."""
    settings = tts_runtime.Settings(policies={"policy": f"replay:{folder}"}, seeds=(seed,))
    [result] = tts_runtime.run(strategy, settings=settings, parameters=parameters)
    return list(result.answers)


def gist(answers: list[Answer]) -> list[tuple[object, ...]]:
    """What does not depend on how the policy counts prompts, and the scorer steps."""
    return [
        (each.id, each.answer, each.correct, each.node, each.policy_calls, each.policy_tokens)
        for each in answers
    ]


@pytest.mark.parametrize(
    ("strategy", "parameters"),
    [
        ("weighted_best_of_n", {"n": 8}),  # its vote ends early
        ("beam_search", {"n": 4}),
        ("dvts", {"n": 4}),
        ("rebase", {"n": 4}),
        ("particle_filter", {"n": 4}),  # copies
        ("budget_forcing", {}),  # forced texts, whose ids are other ones here
        (plan_of("return best of (sample 2 thoughts) by tokens"), {}),  # ends that none forces
        # A call gives up its second draw: it is not needed, and not recorded.
        (
            plan_of(
                "return first 1 of (many() on (sample 2 steps))",
                before="strategy many():\n    return first 1 of (sample 2)",
            ),
            {},
        ),
        (plan_of('return best of (sample 3 thoughts stop at "+") by tokens'), {}),
        ("plan_search", {}),  # questions
        # Equal draws, and what follows each.
        (
            plan_of(
                "p = sample 3 x 4 tokens at temperature 0",
                "return best of (expand p by 2) by tokens",
            ),
            {},
        ),
        # What may sample otherwise does not run.
        (
            plan_of(
                "p = sample 2",
                "if share(p) < 0: return sample 1 at temperature 0",
                "repeat 2 until share(p) > 0: p = p + (sample 1 at temperature 0.5)",
                "p = p + (expand (p where not done) by 1 at temperature 0.3)",
                "return vote p",
            ),
            {},
        ),
        ("best_of_n_likelihood", {"n": 3}),
        ("multiple_choice", {"n": 3, "choices": "[0-9]{1,2}"}),  # forms (C77)
        ("thought_switching_penalty", {"word": "is", "span": 8, "most": 3}),  # penalties (C78)
    ],
)
def test_a_strategy_gives_what_it_gave(
    tmp_path: Path, strategy: str | Plan, parameters: dict[str, Any]
) -> None:
    [first] = ran(tmp_path / "run", strategy, **parameters)
    again = replayed(tmp_path / "run", strategy, **parameters)
    assert [each.error for each in again] == [None, None]
    assert gist(again) == gist(first)


def length(problem: str, solution: str) -> float:
    """A scorer of whole solutions."""
    return 1 / (1 + len(problem + solution) % 7)


@pytest.mark.parametrize(
    ("strategy", "parameters", "calls"),
    [
        ("beam_search_refill_first", {"n": 4}, True),  # steps that a full window cut
        ("compute_optimal", {"n": 4}, True),  # a copy of the problem beside an empty solution
        ("compute_optimal_trees", {"n": 16}, True),  # a strategy called on a step draws from it
        ("revision_chains", {}, False),  # questions that are too long: here they are asked
        ("pacore", {}, False),  # several times
    ],
)
def test_a_strategy_on_a_model_of_few_tokens_gives_what_it_gave(
    tmp_path: Path, strategy: str, parameters: dict[str, int], calls: bool
) -> None:
    plan = tts_lang.compile(strategy, **parameters)
    settings = tts_runtime.Settings(
        policies={"policy": "sim"},
        scorers={each.name: "sim" if each.steps else length for each in plan.scorers},
        out=tmp_path / "run",
    )
    [first] = tts_runtime.run(plan, PROBLEMS[:1], settings=settings)
    again = replayed(tmp_path / "run", plan)
    both = [gist(answers) for answers in (list(first.answers), again)]
    if not calls:
        both = [[row[:4] for row in each] for each in both]
    assert [each.error for each in again] == [None]
    assert both[0] == both[1]


def test_a_called_strategy_that_needs_what_is_not_recorded_fails_its_problem(
    tmp_path: Path,
) -> None:
    """Both it and what called it wait for the same: nothing else can happen."""
    ran(tmp_path / "run", "majority", n=2)
    plan = plan_of(
        "best = many() on problem",
        "return first 1 of best",
        before="strategy many(n = 4):\n    pool = sample n\n    return vote pool",
    )
    settings = tts_runtime.Settings(policies={"policy": f"replay:{tmp_path / 'run'}"})
    running = tts_runtime.arun(plan, settings=settings)
    [result] = asyncio.run(asyncio.wait_for(running, 60))
    assert all("the record" in (each.error or "") for each in result.answers)


def test_of_several_budgets_each_is_served_its_own_thought(tmp_path: Path) -> None:
    plans, _ = swept(["budget_forcing_maximum"], {}, ["budget=8,64"])
    settings = tts_runtime.Settings(out=tmp_path / "run")
    first = tts_runtime.run(plans, PROBLEMS, settings=settings)
    for budget, result in zip((8, 64), first, strict=True):
        again = replayed(tmp_path / "run", "budget_forcing_maximum", budget=budget)
        assert gist(again) == gist(list(result.answers))
    [refused, _] = replayed(tmp_path / "run", "budget_forcing_maximum", budget=32)
    assert "the record" in (refused.error or "")


def test_waits_are_replayed_together_as_far_as_the_record_reaches(tmp_path: Path) -> None:
    """Paths of several strategies that force the same are one, and greedy draws have their keys."""
    first, record = {}, tts_runtime.Settings(out=tmp_path / "run")
    plans, _ = swept(["budget_forcing"], {}, ["waits=0,1,3"])
    for waits, result in zip(
        (0, 1, 3), tts_runtime.run(plans, PROBLEMS, settings=record), strict=True
    ):
        first[waits] = gist(list(result.answers))
        assert gist(replayed(tmp_path / "run", "budget_forcing", waits=waits)) == first[waits]
    replay = tts_runtime.Settings(policies={"policy": f"replay:{tmp_path / 'run'}"})
    for waits, result in zip((0, 1, 3), tts_runtime.run(plans, settings=replay), strict=True):
        assert gist(list(result.answers)) == first[waits]
    [refused, _] = replayed(tmp_path / "run", "budget_forcing", waits=2)
    words = "the record continues with 'Wait' where this continues with '</think>'"
    assert words in (refused.error or "")


def test_of_several_policies_each_is_served_its_own_draws(tmp_path: Path) -> None:
    """Theirs have the same numbers and clauses, of greedy draws too."""
    small = "policy small\n"
    lines = {"policy": "a = sample 2", "small": "a = sample 2 from small"}
    greedy = "b = sample 1 {}at temperature 0"
    plans = [
        plan_of(lines["policy"], greedy.format(""), "return vote (a + b)"),
        plan_of(lines["small"], greedy.format("from small "), "return vote (a + b)", before=small),
    ]
    plans = [replace(plan, strategy=name) for plan, name in zip(plans, lines, strict=True)]
    record = tmp_path / "run"
    policies = {"policy": "sim", "small": "sim:7"}
    first = tts_runtime.run(
        plans, PROBLEMS, settings=tts_runtime.Settings(policies=policies, out=record)
    )
    assert gist(list(first[0].answers)) != gist(list(first[1].answers))
    both = {name: f"replay:{record}?policy={name}" for name in policies}
    again = tts_runtime.run(plans, settings=tts_runtime.Settings(policies=both))
    assert [gist(list(each.answers)) for each in again] == (
        [gist(list(each.answers)) for each in first]
    )
    # A policy may be bound under another name.
    other = tts_runtime.Settings(policies={"policy": both["small"]})
    [renamed] = tts_runtime.run(plans[0], settings=other)
    assert gist(list(renamed.answers)) == gist(list(first[1].answers))
    with pytest.raises(EngineError, match="no policy `large`; its policies: policy, small"):
        replayed(Path(f"{record}?policy=large"), plans[0])


def test_one_policy_continues_what_another_drew(tmp_path: Path) -> None:
    """Behind a forced text too, whose key is another one in a replay; each has its own record."""
    plan = plan_of(
        "p = sample 2 x 3 tokens from small",
        'force "ab" into p',
        "p = expand p by 2 x 4 tokens from small",
        "p = expand p by 1 x 3 tokens from large",
        "return vote (expand p by 1 from small)",
        before="policy small\npolicy large\n",
    )
    record = tts_runtime.Settings(policies={"small": "sim:3", "large": "sim"}, out=tmp_path / "run")
    [first] = tts_runtime.run(plan, PROBLEMS, settings=record)
    same_names = dict.fromkeys(("small", "large"), f"replay:{tmp_path / 'run'}")
    [again] = tts_runtime.run(plan, settings=tts_runtime.Settings(policies=same_names))
    assert gist(list(again.answers)) == gist(list(first.answers))
    assert all(answer.policy_tokens for answer in again.answers)


def test_other_strategies_run_as_far_as_the_record_reaches(tmp_path: Path) -> None:
    ran(tmp_path / "run", "best_of_n", n=6)
    for strategy, n in (
        ("majority", 6),
        ("best_of_n", 3),
        ("weighted_best_of_n", 5),
        ("pass_at", 4),
    ):
        [alone] = ran(tmp_path / f"{strategy}-{n}", strategy, n=n)
        assert gist(replayed(tmp_path / "run", strategy, n=n)) == gist(alone), strategy
    [first, _] = replayed(tmp_path / "run", "best_of_n", n=9)
    assert "the record ends with draw 6, and draw 7 is asked for" in (first.error or "")
    [first, _] = replayed(tmp_path / "run", "beam_search", n=4)
    assert "is recorded as a whole, and this stops inside" in (first.error or "")


def test_flops_are_known_where_the_record_knows_its_models(tmp_path: Path) -> None:
    """Scorer tokens are the policy's count of the same texts, so about the same FLOPs."""
    [first] = ran(tmp_path / "run", "best_of_n", n=2)
    for before, again in zip(first, replayed(tmp_path / "run", "best_of_n", n=2), strict=True):
        assert again.flops == pytest.approx(before.flops, rel=0.5)


def test_a_search_is_replayed_with_another_selection(tmp_path: Path) -> None:
    """Of the beams that were drawn, another one may win; a path that was not drawn is missed."""
    lines = "beams = sample 4 steps", "score beams by prm", "beams = expand beams by 2 solutions"
    last = "return best of beams by last(prm)"
    [first] = ran(tmp_path / "run", plan_of(*lines, "score beams by prm", last))
    best = "return best of beams by min(prm)"
    again = replayed(tmp_path / "run", plan_of(*lines, "score beams by prm", best))
    assert [each.error for each in again] == [None, None]
    assert [each.policy_tokens for each in again] == [each.policy_tokens for each in first]
    further = plan_of(*lines[:2], "return best of (expand beams by 3 solutions) by tokens")
    [missed, _] = replayed(tmp_path / "run", further)
    assert "the record ends after a path that ends" in (missed.error or "")


@pytest.mark.parametrize(
    ("draws", "cut"),
    [
        (("a = sample 3",), "1 steps"),
        (("a = sample 3",), "5 tokens"),
        (("a = sample 3 steps", 'force "a longer text " into a'), "tokens - 1 tokens"),
    ],
)
def test_a_cut_inside_of_a_draw_is_refused(
    tmp_path: Path, draws: tuple[str, ...], cut: str
) -> None:
    plan = plan_of(*draws, f"return best of (cut a to {cut}) by tokens")
    ran(tmp_path / "run", plan)
    for answer in replayed(tmp_path / "run", plan):
        assert "does not say where tokens end, and this cuts inside" in (answer.error or "")


@pytest.mark.parametrize("cut", ["1 steps", "0 tokens", "2 steps", "999 tokens"])
def test_a_cut_where_a_draw_ended_is_as_it_was(tmp_path: Path, cut: str) -> None:
    draws = "a = sample 3 steps", 'force "so " into a'
    plan = plan_of(*draws, f"return best of (cut a to {cut}) by tokens")
    ran(tmp_path / "run", plan)
    settings = tts_runtime.Settings(
        policies={"policy": f"replay:{tmp_path / 'run'}"}, out=tmp_path / "again"
    )
    tts_runtime.run(plan, settings=settings)
    texts = [
        {tree.problem.id: tree.text(tree.answer.node or 0) for tree in record.trees()}
        for name in ("run", "again")
        for record in tts_runtime.open_run(tmp_path / name).strategies.values()
    ]
    assert len(texts[0]) == 2
    assert texts[0] == texts[1]


def test_other_clauses_seeds_and_questions_are_refused(tmp_path: Path) -> None:
    ran(tmp_path / "run", "majority", n=2)
    with pytest.raises(BindError, match=r"temperature 0\.5, and the record was drawn at 1"):
        replayed(tmp_path / "run", plan_of("return vote (sample 2 at temperature 0.5)"))
    with pytest.raises(
        BindError, match=r"`stop when` needs an engine that streams, .* is a record"
    ):
        replayed(tmp_path / "run", plan_of("return sample 1 stop when tokens > 3"))
    [first, _] = replayed(tmp_path / "run", "majority", seed=3, n=2)
    assert "not there under seed 3; its seeds are 0" in (first.error or "")
    with pytest.raises(tts_runtime.UnnamedError, match="name the scorer that best_of_n needs"):
        replayed(tmp_path / "run", "best_of_n", n=2)
    settings = tts_runtime.Settings(policies={"policy": f"replay:{tmp_path}/run"})
    [result] = tts_runtime.run(
        "majority", [{"id": PROBLEMS[0].id, "problem": "1+1"}], settings=settings,
        parameters={"n": 2},
    )  # fmt: skip
    assert "has another text here than in the record" in (result.answers[0].error or "")
    [result] = tts_runtime.run("majority", ["1+1"], settings=settings, parameters={"n": 2})
    assert "has no such problem" in (result.answers[0].error or "")


def test_problems_that_were_not_answered_are_left_out(tmp_path: Path) -> None:
    """Of a run that was stopped, or that continues, what is there is replayed."""
    ran(tmp_path / "run", "majority", n=2)
    for path in (tmp_path / "run" / "majority").glob("*.jsonl"):
        lines = path.read_text("utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if PROBLEMS[1].id not in line), "utf-8")
    assert len(replayed(tmp_path / "run", "majority", n=2)) == 1


def test_a_run_that_replays_goes_on_with_the_same_run_only(tmp_path: Path) -> None:
    def played() -> None:
        settings = tts_runtime.Settings(
            policies={"policy": f"replay:{tmp_path / 'run'}"}, out=tmp_path / "out"
        )
        tts_runtime.run("majority", settings=settings, parameters={"n": 2})

    sim = tts_runtime.Settings(policies={"policy": "sim"}, out=tmp_path / "run")
    tts_runtime.run("majority", PROBLEMS[:1], settings=sim, parameters={"n": 2})
    played()
    tts_runtime.run("majority", PROBLEMS, settings=sim, parameters={"n": 2})
    played()
    shutil.rmtree(tmp_path / "run")
    sim = replace(sim, policies={"policy": "sim:1"})
    tts_runtime.run("majority", PROBLEMS, settings=sim, parameters={"n": 2})
    with pytest.raises(RunDirectoryError, match="has changed since"):
        played()


def test_a_damaged_run_is_not_replayed(tmp_path: Path) -> None:
    ran(tmp_path / "run", "majority", n=2)
    nodes = tmp_path / "run" / "majority" / "nodes.jsonl"
    nodes.write_text(nodes.read_text(encoding="utf-8").replace("boxed", "boxes", 1), "utf-8")
    with pytest.raises(EngineError, match="is damaged, so it is not replayed"):
        replayed(tmp_path / "run", "majority", n=2)
