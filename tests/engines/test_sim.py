"""Simulated engines: schedules, failures and cancellation on a virtual clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from tts_runtime.engines.base import (
    EngineError,
    GenerateRequest,
    Limits,
    Sampling,
    ScoreRequest,
)
from tts_runtime.engines.sim.engines import SimPolicy, SimScorer
from tts_runtime.engines.sim.model import Rates, SimModel, SimTokenizer
from tts_runtime.engines.sim.sim_server import FaultPlan, Latency
from tts_runtime.engines.sim.virtual import Deadlock, run_virtual
from tts_runtime.steps import NOTHING
from tts_runtime.streams import derive
from tts_runtime.tokens import to_bytes, to_text


def request(number: int, limits: Limits | None = None) -> GenerateRequest:
    """One sample of a problem."""
    prompt = SimTokenizer().encode("How many? é")
    key = derive(b"key", number)
    return GenerateRequest(prompt, (), key, Sampling(), limits or Limits(60), NOTHING)


def test_time_passes_only_for_timers() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        times: list[float] = []

        async def sleeper(seconds: float) -> None:
            await asyncio.sleep(seconds)
            times.append(loop.time())

        await asyncio.gather(sleeper(3600.0), sleeper(0.5), sleeper(86_400.0))
        return times

    assert run_virtual(main()) == pytest.approx([0.5, 3600.0, 86_400.0])


def test_waiting_for_nothing_is_a_deadlock() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        run_virtual(main())


def test_texts_have_what_strategies_look_for() -> None:
    policy = SimPolicy()
    generations = [policy.generate_now(request(number)) for number in range(300)]
    texts = [to_text(to_bytes(policy.tokenizer, done.ids)) for done in generations]
    steps = Counter(done.segments.steps for done in generations)
    assert 1.5 < sum(steps.elements()) / 300 < 6
    for part in ("\\boxed{", "</think>", "\n\n"):
        assert sum(part in text for text in texts) > 20
    assert len(set(texts)) > 200
    assert {done.finish.value for done in generations} == {"end", "length"}


@pytest.mark.parametrize("text", ["", "日本 é ab", "a\n\nb\x00", "\\boxed{12}</think>\n\n\n"])
def test_any_text_can_be_encoded(text: str) -> None:
    tokenizer = SimTokenizer()
    decoded = to_text(to_bytes(tokenizer, tokenizer.encode(text)))
    known = "".join(letter if letter in "é\n \\boxed{12}</think>ab" else "?" for letter in text)
    assert decoded == known


def test_models_differ_by_seed_and_forget_by_order() -> None:
    prompt, ids = (3, 4), (5, 6, 7, 8, 9)
    one, other = SimModel(1), SimModel(2)
    assert one.logits(prompt, ids) != other.logits(prompt, ids)
    assert one.logits(prompt, ids) != one.logits(prompt, (4, *ids[1:]))
    finite = SimModel(1, order=2)
    assert finite.logits(prompt, ids) == finite.logits(prompt, (4, *ids[1:]))
    assert finite.logits(prompt, ids) != finite.logits((3,), ids)
    with pytest.raises(ValueError, match="order 0"):
        SimModel(order=0)


def test_rates_tune_texts() -> None:
    def length(rates: Rates) -> float:
        policy = SimPolicy(SimModel(rates=rates))
        return sum(len(policy.generate_now(request(n)).ids) for n in range(100)) / 100

    assert length(Rates(end=0.3)) < length(Rates()) < length(Rates(end=0.01))


def test_slots_and_latency_set_the_time_but_not_the_answers() -> None:
    requests = [request(number, Limits(5, at_least=5)) for number in range(6)]

    async def main(latency: Latency) -> tuple[float, list[tuple[int, ...]]]:
        policy = SimPolicy(latency=latency)
        answers = await asyncio.gather(*map(policy.generate, requests))
        return asyncio.get_running_loop().time(), [answer.ids for answer in answers]

    _, expected = run_virtual(main(Latency()))
    for latency, seconds in (
        (Latency(token=2.0, slots=1), 60.0),
        (Latency(token=2.0, slots=3), 20.0),
        (Latency(token=2.0), 10.0),
        (Latency(token=2.0, prefill=0.5, overhead=1.0), 11 + 0.5 * len(requests[0].prompt)),
    ):
        took, answers = run_virtual(main(latency))
        assert took == pytest.approx(seconds)
        assert answers == expected


def test_jitter_reorders_arrivals_the_same_way_every_time() -> None:
    async def main(seed: int) -> list[int]:
        policy = SimPolicy(latency=Latency(jitter=3.0, seed=seed))
        order: list[int] = []
        futures = []
        for number in range(12):
            future = policy.generate(request(number, Limits(5, at_least=5)))
            future.add_done_callback(lambda _, number=number: order.append(number))  # type: ignore[misc]
            futures.append(future)
        await asyncio.gather(*futures)
        await asyncio.sleep(0)
        return order

    first = run_virtual(main(0))
    assert sorted(first) == list(range(12)) != first
    assert run_virtual(main(0)) == first != run_virtual(main(1))


def test_scripted_failures_and_stalls() -> None:
    async def main() -> tuple[list[object], float, SimPolicy]:
        policy = SimPolicy(
            latency=Latency(token=0.0),
            faults=FaultPlan(failures={1: "out of memory"}, stalls={2: 99}),
        )
        replies = await asyncio.gather(
            *(policy.generate(request(number)) for number in range(3)), return_exceptions=True
        )
        return list(replies), asyncio.get_running_loop().time(), policy

    replies, seconds, policy = run_virtual(main())
    assert [isinstance(reply, EngineError) for reply in replies] == [False, True, False]
    assert str(replies[1]) == "out of memory"
    assert seconds == pytest.approx(99)
    assert (policy.counts.finished, policy.counts.failed) == (2, 1)


def test_cancellation_is_accounted_for() -> None:
    async def main() -> SimPolicy:
        policy = SimPolicy(latency=Latency(slots=2))
        futures = [policy.generate(request(number)) for number in range(6)]
        futures[0].cancel()  # running
        futures[5].cancel()  # waiting
        await asyncio.sleep(0)
        assert (policy.counts.running, policy.counts.waiting) == (2, 2)
        await asyncio.gather(*futures, return_exceptions=True)
        return policy

    counts = run_virtual(main()).counts
    assert (counts.submitted, counts.finished, counts.cancelled) == (6, 4, 2)
    assert (counts.running, counts.waiting, counts.failed) == (0, 0, 0)


def test_remembered_generations_are_the_same() -> None:
    policy = SimPolicy(remember=True)
    assert policy.generate_now(request(1)) is policy.generate_now(request(1))
    assert policy.generate_now(request(1)) == SimPolicy().generate_now(request(1))


SCORED = ScoreRequest("What?", {}, "a\n\nb\n\nc", ("a", "b", "c"))


def test_step_scores_depend_on_the_text_so_far_and_on_nothing_else() -> None:
    scorer = SimScorer(3)
    scores = scorer.score_now(SCORED).scores
    assert len(set(scores)) == 3
    known = scorer.score_now(replace(SCORED, known=2))
    assert known.scores == scores[2:]
    assert known.tokens == 1 < scorer.score_now(SCORED).tokens
    assert scorer.score_now(replace(SCORED, steps=("a", "b"))).scores == scores[:2]
    assert scorer.score_now(replace(SCORED, steps=("x", "b"))).scores[1] != scores[1]
    assert scorer.score_now(replace(SCORED, problem="Why?")).scores != scores
    assert SimScorer(4).score_now(SCORED).scores != scores


def test_outcomes_ties_and_missing_scores() -> None:
    assert len(SimScorer(0, steps=False).score_now(SCORED).scores) == 1
    requests = [replace(SCORED, steps=(str(number),)) for number in range(200)]
    scores = [SimScorer(0, levels=4, missing=0.2).score_now(r).scores[0] for r in requests]
    assert set(scores) == {None, 0.0, 0.25, 0.5, 0.75}
    assert 15 < scores.count(None) < 70


def test_scores_together_depend_on_the_whole_pool_in_order() -> None:
    scorer = SimScorer(0, steps=False)
    pool = [replace(SCORED, text=text) for text in "abc"]
    scores = [reply.scores[0] for reply in scorer.score_together_now(pool)]
    reversed_scores = [reply.scores[0] for reply in scorer.score_together_now(pool[::-1])]
    assert len(set(scores)) == 3
    assert not set(scores) & set(reversed_scores)

    async def main() -> list[float | None]:
        return [reply.scores[0] for reply in await scorer.score_together(pool)]

    assert run_virtual(main()) == scores


def test_virtual_time_passes_inside_a_running_loop() -> None:
    async def inner() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    async def outer() -> float:
        found = run_virtual(inner())
        await asyncio.sleep(0)
        return found

    assert asyncio.run(outer()) == pytest.approx(3600)
