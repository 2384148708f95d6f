"""What every policy engine promises: answers are pure functions of requests (C62).

A module of tests takes `PolicyConformance` as the base of a class and gives a fixture `subject`.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import pytest

from tts_runtime.engines.base import (
    EngineError,
    Finish,
    GenerateRequest,
    Generation,
    Limits,
    Partial,
    PolicyEngine,
    Sampling,
)
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.sampling import NOTHING_ALLOWED, STATISTICS
from tts_runtime.steps import NOTHING
from tts_runtime.streams import child_key, root_key
from tts_runtime.tokens import to_bytes

Result = TypeVar("Result")


@dataclass(frozen=True)
class Subject:
    """An engine under test.

    Args:
        make: One with that many slots.
        virtual: Its event loop has a virtual clock.
        shared: `make` gives the same engine again, which is not to be closed.
    """

    make: Callable[[int], PolicyEngine]
    virtual: bool = False
    shared: bool = False

    def run(self, work: Callable[[PolicyEngine], Awaitable[Result]], slots: int = 64) -> Result:
        """Runs some work on an engine and closes it unless it is shared."""

        async def main() -> Result:
            engine = self.make(slots)
            try:
                return await work(engine)
            finally:
                if not self.shared:
                    await engine.close()

        return run_virtual(main()) if self.virtual else asyncio.run(main())

    def answers(
        self, requests: Sequence[GenerateRequest], slots: int = 64
    ) -> dict[GenerateRequest, Generation]:
        """The answers to requests that are all in flight at once."""

        async def work(engine: PolicyEngine) -> dict[GenerateRequest, Generation]:
            replies = await asyncio.gather(*map(engine.generate, requests))
            return dict(zip(requests, replies, strict=True))

        return self.run(work, slots)


def requests_for(subject: Subject, count: int, limits: Limits) -> list[GenerateRequest]:
    """Children 0, 1, ... of several problems, with various sampling settings."""
    engine = subject.make(1)
    samplings = (
        Sampling(),
        Sampling(temperature=0.7, top_p=0.9),
        Sampling(temperature=0.0),
        Sampling(temperature=1.3, top_k=9, min_p=0.02),
    )
    found = []
    for number in range(count):
        problem, child = number % 5, number // 5
        text = engine.binding.open(f"What is {problem}?" + " So?" * problem, thinking=False)
        key = child_key(root_key(0, str(problem)), b"", 0, 0, child, b"tag")
        prompt = engine.tokenizer.encode(text)
        sampling = samplings[number % len(samplings)]
        found.append(GenerateRequest(prompt, (), key, sampling, limits, NOTHING))
    return found


def after(request: GenerateRequest, done: Generation, **changes: object) -> GenerateRequest:
    """The request that continues a generation."""
    limits = replace(request.limits, **changes)  # type: ignore[arg-type]
    prefix = request.prefix + done.ids
    return replace(request, prefix=prefix, segments=done.segments, limits=limits)


class PolicyConformance:
    """The cases."""

    def test_batch_size_and_arrival_change_nothing(self, subject: Subject) -> None:
        requests = requests_for(subject, 40, Limits(40))
        expected = subject.answers(requests)
        assert {answer.finish for answer in expected.values()} >= {Finish.END, Finish.LENGTH}
        for slots, seed in ((1, 1), (7, 2), (64, 3)):
            shuffled = random.Random(seed).sample(requests, len(requests))
            answers = subject.answers(shuffled[: 10 if slots == 1 else 40], slots)
            for request, answer in answers.items():
                assert answer.ids == expected[request].ids
                assert answer.finish is expected[request].finish
                assert answer.logprobs == pytest.approx(expected[request].logprobs, abs=1e-4)

    def test_step_by_step_equals_one_shot(self, subject: Subject) -> None:
        """C16: a unit only cuts a stream."""
        whole = subject.answers(requests_for(subject, 15, Limits(60)))

        async def stepwise(engine: PolicyEngine) -> list[tuple[tuple[int, ...], int]]:
            async def one(request: GenerateRequest) -> tuple[tuple[int, ...], int]:
                current = replace(request, limits=Limits(60, steps=1))
                calls = 0
                while True:
                    done = await engine.generate(current)
                    calls += 1
                    ids = current.prefix + done.ids
                    if done.finish is not Finish.STOP or len(ids) >= 60:
                        return ids, calls
                    current = after(current, done, max_tokens=60 - len(ids))

            return await asyncio.gather(*map(one, whole))

        steps = subject.run(stepwise)
        assert [ids for ids, _ in steps] == [answer.ids for answer in whole.values()]
        assert max(calls for _, calls in steps) > 2

    def test_a_thought_and_the_rest_equal_one_shot(self, subject: Subject) -> None:
        """C25: the withheld delimiter is drawn again at the same position."""
        requests = requests_for(subject, 40, Limits(60))
        whole = subject.answers(requests)
        thought = subject.make(1).tokenizer.encode("</think>")
        thoughts = subject.answers(
            [replace(r, limits=Limits(60, thought=thought)) for r in requests]
        )
        stopped = [
            (request, done)
            for request, done in zip(requests, thoughts.values(), strict=True)
            if done.finish is Finish.STOP
        ]
        rests = subject.answers(
            [after(r, done, max_tokens=60 - len(done.ids)) for r, done in stopped]
        )
        for (request, done), rest in zip(stopped, rests.values(), strict=True):
            assert done.ids + rest.ids == whole[request].ids
            assert rest.ids[: len(thought)] == thought
        if subject.virtual:  # the simulated policy thinks; an untrained one rarely does
            assert len(stopped) > 3

    def test_longer_limits_extend_shorter_ones(self, subject: Subject) -> None:
        """C62: limits only cut the stream."""
        short = subject.answers(requests_for(subject, 20, Limits(9)))
        long = subject.answers(requests_for(subject, 20, Limits(30)))
        for one, other in zip(short.values(), long.values(), strict=True):
            assert other.ids[: len(one.ids)] == one.ids
            assert one.finish is Finish.LENGTH or one == replace(other, prefilled=one.prefilled)

    def test_the_context_window_limits(self, subject: Subject) -> None:
        request = requests_for(subject, 1, Limits(10_000, at_least=10_000))[0]
        context = subject.make(1).binding.context
        done = subject.answers([request])[request]
        assert done.finish is Finish.LENGTH
        assert len(request.prompt) + len(done.ids) == context
        with pytest.raises(EngineError, match="context window"):
            subject.answers([after(request, done)])

    def test_empty_limit_is_an_error_and_spares_the_others(self, subject: Subject) -> None:
        good, bad = requests_for(subject, 2, Limits(10))
        bad = replace(bad, limits=Limits(0))

        async def work(engine: PolicyEngine) -> list[Generation | BaseException]:
            futures = [engine.generate(bad), engine.generate(good)]
            return await asyncio.gather(*futures, return_exceptions=True)

        failed, answered = subject.run(work)
        assert isinstance(failed, EngineError)
        assert isinstance(answered, Generation)

    def test_an_error_in_stop_when_fails_its_request_only(self, subject: Subject) -> None:
        def broken(partial: Partial) -> bool:
            raise ZeroDivisionError(f"strategy.tts:3: {len(partial.ids)} / 0")

        good, bad = requests_for(subject, 2, Limits(10))
        bad = replace(bad, limits=Limits(10, stop_when=broken, at_least=1))

        async def work(engine: PolicyEngine) -> list[Generation | BaseException]:
            futures = [engine.generate(bad), engine.generate(good)]
            return await asyncio.gather(*futures, return_exceptions=True)

        failed, answered = subject.run(work)
        assert isinstance(failed, ZeroDivisionError)
        assert isinstance(answered, Generation)

    def test_tokens_are_told_as_they_are_drawn_and_change_nothing(self, subject: Subject) -> None:
        [request] = requests_for(subject, 1, Limits(12))
        seen: list[tuple[int, ...]] = []
        told = replace(request, on_token=lambda partial: seen.append(tuple(partial.ids)))

        async def work(engine: PolicyEngine) -> list[Generation]:
            return [await engine.generate(told), await engine.generate(request)]

        followed, alone = subject.run(work)
        assert followed.ids == alone.ids
        assert seen == [followed.ids[:count] for count in range(1, len(followed.ids) + 1)]

    def test_likeliest_starts_differ_and_follow_greedily(self, subject: Subject) -> None:
        base = replace(requests_for(subject, 1, Limits(8, at_least=8))[0], sampling=Sampling(0.0))
        ranks = [replace(base, first_rank=rank) for rank in range(4)]
        answers = subject.answers([base, *ranks])
        firsts = [answers[request].ids[0] for request in ranks]
        logprobs = [answers[request].logprobs[0] for request in ranks]
        assert len(set(firsts)) == 4
        assert logprobs == sorted(logprobs, reverse=True)
        assert answers[ranks[0]].ids == answers[base].ids
        with pytest.raises(EngineError, match="fewer children"):
            subject.answers([replace(base, first_rank=10_000)])

    def test_at_least_is_kept(self, subject: Subject) -> None:
        answers = subject.answers(requests_for(subject, 20, Limits(40, at_least=15, steps=1)))
        assert min(len(answer.ids) for answer in answers.values()) >= 15

    @pytest.mark.parametrize("form", ["ß+", "[a-h]ß"])
    def test_a_form_that_no_token_leads_to_fails_alone(self, subject: Subject, form: str) -> None:
        """No vocabulary here can write `ß`, at the beginning or behind a letter."""
        one, other = requests_for(subject, 2, Limits(9))

        async def work(engine: PolicyEngine) -> list[Generation | BaseException]:
            forms = [replace(one, limits=Limits(9, matching=each)) for each in (form, "[a-h]ß?")]
            requests = (*forms, other)
            return await asyncio.gather(*map(engine.generate, requests), return_exceptions=True)

        failed, ended, beside = subject.run(work)
        assert isinstance(failed, EngineError)
        assert str(failed).endswith(NOTHING_ALLOWED)
        assert isinstance(ended, Generation)
        assert ended.finish is Finish.END
        assert isinstance(beside, Generation)
        assert beside.ids == subject.answers([other])[other].ids

    def test_a_form_is_kept_and_every_engine_ends_where_it_ends(self, subject: Subject) -> None:
        """C77, with bytes that every vocabulary has; limits only cut."""
        form = "[a-h]{2,6} [0-9]"
        requests = requests_for(subject, 12, Limits(40, matching=form))
        answers = subject.answers(requests)
        tokenizer = subject.make(1).tokenizer
        for answer in answers.values():
            assert answer.finish is Finish.END
            assert re.fullmatch(form, to_bytes(tokenizer, answer.ids).decode())
        short = subject.answers(requests_for(subject, 12, Limits(2, matching=form)))
        for request, answer in zip(requests, short.values(), strict=True):
            assert answer.ids == answers[request].ids[:2]
        ranks = [replace(requests[0], first_rank=rank) for rank in range(4)]
        firsts = {answer.ids[0] for answer in subject.answers(ranks).values()}
        assert len(firsts) == 4

    def test_a_penalty_makes_a_token_rare(self, subject: Subject) -> None:
        """C78; what is told is the policy's own probability."""
        asked = requests_for(subject, 30, Limits(1, at_least=1))
        plain = [replace(each, sampling=Sampling()) for each in asked]
        answers = subject.answers(plain)
        often = Counter(answer.ids[0] for answer in answers.values()).most_common(1)[0][0]
        less = Sampling(penalties=((often, 1e4), (10**6, 1.0)))
        penalised = subject.answers([replace(each, sampling=less) for each in plain])
        for request, answer in zip(plain, penalised.values(), strict=True):
            assert answer.ids[0] != often
            if answers[request].ids[0] != often:
                assert answer.ids == answers[request].ids
                assert answer.logprobs == pytest.approx(answers[request].logprobs, abs=1e-6)

    def test_statistics_on_demand(self, subject: Subject) -> None:
        plain = requests_for(subject, 8, Limits(12))
        asked = [replace(request, statistics=STATISTICS) for request in plain]
        answers = subject.answers([*plain, *asked])
        for one, other in zip(plain, asked, strict=True):
            assert answers[one].ids == answers[other].ids
            assert answers[one].statistics == {}
            for name in STATISTICS:
                values = answers[other].statistics[name]
                assert len(values) == len(answers[other].ids)
                assert all(value >= -1e-9 for value in values)

    def test_cancelled_requests_make_room(self, subject: Subject) -> None:
        """With one slot, the second request is answered although the first was never finished."""
        first, second = requests_for(subject, 2, Limits(200, at_least=200))

        async def work(engine: PolicyEngine) -> Generation:
            endless = engine.generate(first)
            waiting = engine.generate(second)
            await asyncio.sleep(0)
            endless.cancel()
            return await waiting

        done = subject.run(work, slots=1)
        assert len(done.ids) == 200

    def test_close_cancels_what_is_in_flight(self, subject: Subject) -> None:
        requests = requests_for(subject, 3, Limits(200, at_least=200))

        async def work(engine: PolicyEngine) -> list[bool]:
            futures = [engine.generate(request) for request in requests]
            await engine.close()
            return [future.cancelled() for future in futures]

        assert subject.run(work, slots=1) == [True, True, True]

    def test_segments_and_text_agree(self, subject: Subject) -> None:
        tokenizer = subject.make(1).tokenizer
        for answer in subject.answers(requests_for(subject, 20, Limits(40))).values():
            text = to_bytes(tokenizer, answer.ids)
            assert b"\n\n".join([*answer.segments.closed, answer.segments.tail]) == text
