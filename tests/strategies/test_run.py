"""Every shipped strategy runs on simulated engines and gives answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.agreement import PROBLEMS, by_executor, world
from tests.support.shipped import every_strategy, small
from tts_runtime.engines.sim.model import Rates
from tts_runtime.executor import Outcome

#: Worlds and problems: the first two, the empty text among them, and more where both give nothing.
RUNS = ((0, PROBLEMS[0]), (1, PROBLEMS[1]), (0, PROBLEMS[1]), (0, PROBLEMS[2]))
# Many answers, steps and ends of thoughts, so that short texts have everything.
RICH = Rates(step=0.3, end=0.12, answer=0.4, thought=0.2, spread=0.5)


@every_strategy
def test_runs_and_answers(path: Path, name: str) -> None:
    plan = small(path, name)
    answers = []
    for number, problem in RUNS:
        here = replace(world(number), rates=RICH, context=2000, missing=0.0)
        outcome = by_executor(plan, here, problem, seed=number)
        assert outcome.error is None
        assert outcome.counts.policy_tokens > 0
        answers.append(outcome.answer_key)
        assert recorded_text(outcome) == outcome.text
        if len(answers) > 1 and any(answer is not None for answer in answers):
            return
    pytest.fail("it answers in no world")


def recorded_text(outcome: Outcome) -> str:
    """The text of the returned candidate, as lines of `nodes.jsonl` have it."""
    nodes = {node.uid: node for node in outcome.candidates}
    parts: list[str] = []
    at = nodes.get(outcome.row or 0)
    while at is not None:
        parts.append(at.added)
        at = nodes.get(at.before)
    return "".join(reversed(parts))
