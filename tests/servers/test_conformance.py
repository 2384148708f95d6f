"""What every policy engine promises, as far as servers can: limits, stops, texts, counts."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tests.servers.conftest import Subject, requests_for
from tests.support.server import Fault, first
from tts_runtime.engines.base import (
    EngineError,
    Finish,
    Generation,
    Limits,
    Partial,
    Sampling,
)
from tts_runtime.engines.openai.policy import OpenAIPolicy
from tts_runtime.sampling import log_probabilities, token_statistics


def written(subject: Subject, many: int, limits: Limits) -> tuple[list[Generation], list[str]]:
    """Answers and their texts."""
    answers = subject.answers(many, limits)
    return answers, subject.texts(answers)


def test_order_and_concurrency_change_nothing(subject: Subject) -> None:
    many = subject.answers(8, Limits(20))
    one = subject.answers(8, Limits(20), concurrency=1)
    assert [each.ids for each in one] == [each.ids for each in many]
    assert {each.finish for each in many} >= {Finish.END}
    assert not subject.open().exact
    assert all(len(each.logprobs) == len(each.ids) for each in many)


def test_segments_and_text_agree(subject: Subject) -> None:
    answers, said = written(subject, 8, Limits(24))
    for answer, text in zip(answers, said, strict=True):
        parts = [*answer.segments.closed, answer.segments.tail]
        assert b"\n\n".join(parts).decode("utf-8", "replace") == text


def test_limits_end_with_length(subject: Subject) -> None:
    for answer in subject.answers(8, Limits(7)):
        assert len(answer.ids) <= 7
        assert (answer.finish is Finish.LENGTH) == (len(answer.ids) == 7)
        assert answer.drawn >= len(answer.ids)
    for answer in subject.answers(8, Limits(30, unit_tokens=4)):
        assert len(answer.ids) == 4 or answer.finish is Finish.END


def test_a_step_is_the_beginning_of_the_whole(subject: Subject) -> None:
    """Streamed and cut, or stopped at the server: the text up to the first closed step."""
    answers, steps = written(subject, 8, Limits(24, steps=1))
    _, whole = written(subject, 8, Limits(24))
    assert sum(answer.finish is Finish.STOP for answer in answers) > 2
    for answer, step, text in zip(answers, steps, whole, strict=True):
        if answer.finish is Finish.STOP:
            assert len(answer.segments.closed) == 1
            assert "\n\n" in step
            if step.strip("\n").count("\n\n") == 0 and not step.startswith("\n"):
                assert text.startswith(step)


def test_several_steps_at_once(subject: Subject) -> None:
    answers = subject.answers(6, Limits(40, steps=2))
    stopped = [answer for answer in answers if answer.finish is Finish.STOP]
    assert stopped
    assert {len(answer.segments.closed) for answer in stopped} == {2}


def test_the_end_of_a_thought_is_withheld(subject: Subject) -> None:
    thought = subject.tokenizer.encode("</think>")
    answers, said = written(subject, 10, Limits(40, thought=thought))
    _, whole = written(subject, 10, Limits(40))
    stopped = 0
    for answer, text, full in zip(answers, said, whole, strict=True):
        assert "</think>" not in text
        if answer.finish is Finish.STOP:
            stopped += 1
            assert full.startswith(text + "</think>")
    assert stopped


def test_stop_texts_stop(subject: Subject) -> None:
    _, said = written(subject, 8, Limits(30, stop_at=b"boxed{2"))
    found = [text for text in said if "boxed{2" in text]
    assert found
    assert all(text.endswith("boxed{2") for text in found)


def test_step_by_step_goes_on(continuing: Subject) -> None:
    """Each call's prefix is what was written, and only the end ends it."""

    async def stepwise(engine: OpenAIPolicy) -> list[Generation]:
        async def one(number: int) -> Generation:
            request = requests_for(engine, 5, Limits(40, steps=1))[number]
            while True:
                done = await engine.generate(request)
                prefix = request.prefix + done.ids
                if done.finish is not Finish.STOP or len(prefix) >= 40:
                    return replace(done, ids=prefix)
                limits = Limits(40 - len(prefix), steps=1)
                request = replace(request, prefix=prefix, segments=done.segments, limits=limits)

        return await asyncio.gather(*map(one, range(5)))

    answers = continuing.run(stepwise)
    said = continuing.texts(answers)
    assert max(answer.segments.steps for answer in answers) > 1
    for answer, text in zip(answers, said, strict=True):
        parts = [*answer.segments.closed, answer.segments.tail]
        assert b"\n\n".join(parts).decode("utf-8", "replace") == text


def test_a_delimiter_that_the_prefix_begins_is_seen(continuing: Subject) -> None:
    """The server's own stop texts begin with the answer: such a call is streamed."""

    async def work(engine: OpenAIPolicy) -> list[Generation]:
        requests = []
        for request in requests_for(engine, 24, Limits(8, stop_at=b"ab")):
            prefix = engine.tokenizer.encode("a")
            requests.append(replace(request, prefix=prefix))
        return await asyncio.gather(*map(engine.generate, requests))

    answers = continuing.run(work)
    said = continuing.texts(answers)
    begun = [text for text in said if text.startswith("b")]
    assert begun
    assert set(begun) == {"b"}


def test_stop_when_sees_every_token(continuing: Subject) -> None:
    def fires(partial: Partial) -> bool:
        return len(partial.ids) == 3

    limits = Limits(30, end_when=fires)
    for answer in continuing.answers(5, limits):
        assert (len(answer.ids) == 3 and answer.halted) or answer.finish is Finish.END


def test_an_error_in_stop_when_fails_its_request(continuing: Subject) -> None:
    def broken(partial: Partial) -> bool:
        raise ZeroDivisionError(f"strategy.tts:3: {len(partial.ids)} / 0")

    with pytest.raises(ZeroDivisionError, match=r"strategy\.tts:3"):
        continuing.answers(1, Limits(30, stop_when=broken))


def test_the_window_is_kept(subject: Subject) -> None:
    for answer in subject.answers(3, Limits(10_000)):
        assert answer.finish in (Finish.END, Finish.LENGTH)

    async def work(engine: OpenAIPolicy) -> Generation:
        request = requests_for(engine, 1, Limits(10))[0]
        return await engine.generate(replace(request, prefix=request.prompt * 100))

    with pytest.raises(EngineError, match="context window"):
        subject.run(work)


def test_log_probabilities_are_the_models(known_ids: Subject) -> None:
    model = known_ids.server.model

    async def work(engine: OpenAIPolicy) -> None:
        requests = [
            replace(each, statistics=("margin",)) for each in requests_for(engine, 6, Limits(12))
        ]
        for request in requests:
            answer = await engine.generate(request)
            path = [*request.prompt]
            for token, logprob, margin in zip(
                answer.ids, answer.logprobs, answer.statistics["margin"], strict=True
            ):
                expected = log_probabilities(model.logits(path))
                assert logprob == pytest.approx(expected[token])
                assert margin == pytest.approx(token_statistics(expected, ["margin"])[0])
                path.append(token)
            if answer.finish is Finish.END and known_ids.server.style.vllm:
                expected = log_probabilities(model.logits(path))
                assert answer.end_logprob == pytest.approx(expected[0])

    known_ids.run(work)


@pytest.mark.parametrize("limits", [Limits(20), Limits(20, stop_at=b"a")], ids=["whole", "stop"])
def test_without_log_probabilities_the_tokens_are_the_same(
    subject: Subject, limits: Limits
) -> None:
    """Where ids come by themselves, requests that want none do not ask for them."""

    async def work(engine: OpenAIPolicy) -> list[tuple[Generation, Generation]]:
        return [
            (await engine.generate(each), await engine.generate(replace(each, logprobs=False)))
            for each in requests_for(engine, 6, limits)
        ]

    spares = subject.open().spares_logprobs
    found = subject.run(work)
    for asked, spared in found:
        assert replace(spared, logprobs=(), end_logprob=0) == replace(
            asked, logprobs=(), end_logprob=0
        )
        assert len(spared.logprobs) == len(spared.ids)
        assert not spares or all(map(np.isnan, spared.logprobs))
    asked_for = ["logprobs" in body for body in subject.server.bodies()]
    assert spares == (subject.name == "vllm-ids")
    assert not spares or asked_for.count(False) == len(found)


@pytest.mark.parametrize("subject", ["vllm-ids"], indirect=True)
def test_a_server_that_sends_no_ids_is_asked_for_log_probabilities(subject: Subject) -> None:
    """Their names are ids: an older vLLM has no other field for them."""

    async def work(engine: OpenAIPolicy) -> tuple[int, ...]:
        [request] = requests_for(engine, 1, Limits(20))
        return (await engine.generate(replace(request, logprobs=False))).ids

    newer = subject.run(work)
    assert subject.run(work, omit="return_token_ids") == newer
    assert ["logprobs" in body for body in subject.server.bodies()] == [False, True]


@pytest.mark.parametrize("subject", ["vllm-ids"], indirect=True)
def test_statistics_and_ranks_come_without_the_wish_for_log_probabilities(
    subject: Subject,
) -> None:
    async def work(engine: OpenAIPolicy) -> list[Generation]:
        plain = replace(requests_for(engine, 1, Limits(8))[0], logprobs=False)
        rank = replace(plain, first_rank=1, sampling=Sampling(0.0))
        return [
            await engine.generate(replace(plain, statistics=("margin",))),
            await engine.generate(rank),
        ]

    told, ranked = subject.run(work)
    assert not any(map(np.isnan, told.statistics["margin"]))
    assert not np.isnan(ranked.logprobs[0])
    assert all(map(np.isnan, ranked.logprobs[1:]))


def test_confidence_is_that_of_the_twenty_likeliest(vllm_ids: Subject) -> None:
    model = vllm_ids.server.model

    async def work(engine: OpenAIPolicy) -> None:
        request = replace(requests_for(engine, 1, Limits(8))[0], statistics=("confidence",))
        answer = await engine.generate(request)
        path = [*request.prompt]
        for token, value in zip(answer.ids, answer.statistics["confidence"], strict=True):
            expected = log_probabilities(model.logits(path))
            assert value == pytest.approx(token_statistics(expected, ["confidence"])[0])
            path.append(token)

    vllm_ids.run(work)


def test_likeliest_starts_differ_and_go_on(known_ids: Subject) -> None:
    model = known_ids.server.model

    async def work(engine: OpenAIPolicy) -> list[Generation]:
        base = requests_for(engine, 1, Limits(6), Sampling(0.0))[0]
        ranked = [replace(base, first_rank=rank) for rank in range(4)]
        answers = await asyncio.gather(*map(engine.generate, [base, *ranked]))
        order = np.argsort(-np.array(model.logits(base.prompt)), kind="stable")
        for rank, answer in enumerate(answers[1:]):
            first = int(order[rank])
            assert answer.ids[:1] == ((first,) if first != 0 else ())
        assert answers[1].ids == answers[0].ids
        with pytest.raises(EngineError, match="ask for fewer children"):
            await engine.generate(replace(base, first_rank=60))
        return answers

    known_ids.run(work)
    asked = [each for each in known_ids.server.bodies() if each["max_tokens"] == 1]
    assert len(asked) <= 5  # one list of likeliest tokens serves those who come after


def test_at_least_keeps_ends_away(known_ids: Subject) -> None:
    thought = known_ids.tokenizer.encode("</think>")
    for limits in (Limits(30, at_least=6), Limits(30, thought=thought, at_least=2)):
        answers = known_ids.answers(12, limits)
        assert min(len(answer.ids) for answer in answers) >= limits.at_least


@pytest.mark.parametrize("subject", ["vllm", "vllm-ids", "vllm-chat"], indirect=True)
def test_a_form_is_kept_by_a_server_that_knows_it(subject: Subject) -> None:
    form = "[a-h]{2,6}"
    answers, said = written(subject, 8, Limits(24, matching=form))
    assert all(re.fullmatch(form, text) for text in said)
    assert {answer.finish for answer in answers} == {Finish.END}
    assert [len(answer.ids) for answer in subject.answers(8, Limits(1, matching=form))] == [1] * 8


@pytest.mark.parametrize("subject", ["vllm", "vllm-ids"], indirect=True)
def test_a_form_begins_again_after_a_failure(subject: Subject) -> None:
    """Not where the failed reply was cut: the server knows nothing of an earlier request."""
    form = "[a-h]{6}"
    subject.server.faults = first(Fault(events=3))
    limits = Limits(24, matching=form, stop_at=b"never said")  # streamed
    answers, said = written(subject, 1, limits)
    assert re.fullmatch(form, said[0])
    assert answers[0].finish is Finish.END


def test_a_penalty_is_a_bias(known_ids: Subject) -> None:
    plain = known_ids.answers(12, Limits(1))
    often = Counter(answer.ids[0] for answer in plain if answer.ids).most_common(1)[0][0]
    penalised = known_ids.answers(12, Limits(1), Sampling(penalties=((often, 1e9),)))
    assert not any(answer.ids == (often,) for answer in penalised)
    assert known_ids.server.bodies()[-1]["logit_bias"] == {str(often): -100}


def test_cancelling_closes_the_connection_and_makes_room(continuing: Subject) -> None:
    """With one place, the second request is answered although the first never was."""

    async def work(engine: OpenAIPolicy) -> Generation:
        first, second = requests_for(engine, 2, Limits(30))
        stuck = engine.generate(first)
        waiting = engine.generate(second)
        await asyncio.get_running_loop().run_in_executor(None, server.reached.wait, 30)
        stuck.cancel()
        return await waiting

    server = continuing.server
    server.faults = first(Fault(stall=True))
    assert continuing.run(work, concurrency=1).ids
    assert server.peak >= 1


def test_close_cancels_what_is_in_flight(subject: Subject) -> None:
    subject.server.faults = first(Fault(stall=True))

    async def work(engine: OpenAIPolicy) -> list[bool]:
        futures = [engine.generate(each) for each in requests_for(engine, 3, Limits(30))]
        await asyncio.get_running_loop().run_in_executor(None, subject.server.reached.wait, 30)
        await engine.close()
        return [future.cancelled() for future in futures]

    assert subject.run(work, concurrency=1) == [True, True, True]


def test_who_waits_goes_in_order_of_priority(vllm: Subject) -> None:
    async def work(engine: OpenAIPolicy) -> None:
        requests = requests_for(engine, 6, Limits(3))
        ordered = [replace(each, priority=-place) for place, each in enumerate(requests)]
        await asyncio.gather(*map(engine.generate, ordered))

    vllm.run(work, concurrency=1)
    asked = [each["prompt"] for each in vllm.server.bodies()]
    numbers = [int(prompt.split()[-1].rstrip("?\n")) for prompt in asked]
    assert numbers == [0, 5, 4, 3, 2, 1]  # the first found the place free


def test_as_many_at_once_as_vllm_runs(subject: Subject) -> None:
    usual = 256 if subject.server.style.vllm else 64
    assert subject.open().load.slots == usual
    assert subject.open(concurrency=64).load.slots == 64


def test_at_most_so_many_at_once(vllm: Subject) -> None:
    vllm.answers(20, Limits(10), concurrency=3)
    assert vllm.server.peak <= 3
