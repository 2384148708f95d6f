"""A misbehaving server: what is tried again, for how long, and what the user is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from functools import partial
from typing import Any

import pytest

from tests.servers.conftest import Subject, requests_for
from tests.support.server import Fault, first, sim_server
from tts_runtime.engines.base import (
    Ability,
    CandidateError,
    EngineError,
    Finish,
    Generation,
    Limits,
)
from tts_runtime.engines.base import Fault as Reason
from tts_runtime.engines.http.address import Key, parse_address
from tts_runtime.engines.http.client import HttpClient, HttpOptions
from tts_runtime.engines.http.retry import Schedule, Transient, retry_after, wait_in
from tts_runtime.engines.openai.options import ServerOptions
from tts_runtime.engines.openai.policy import OpenAIPolicy
from tts_runtime.engines.options import parse_name
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.steps import NOTHING

BUSY = Fault(429)


def healthy(subject: Subject, limits: Limits) -> Generation:
    """The answer without faults."""
    subject.server.faults = first()
    [answer] = subject.answers(1, limits)
    return answer


def test_waits_double_without_a_retry_after(vllm: Subject) -> None:
    expected = healthy(vllm, Limits(8))
    vllm.server.faults = first(BUSY, Fault(500), Fault(503), Fault(502))
    [answer] = vllm.answers(1, Limits(8))
    assert answer.ids == expected.ids
    assert vllm.clock.slept == [0.5, 1.0, 2.0, 4.0]


def test_retry_after_in_seconds_is_kept(vllm: Subject) -> None:
    """At least: attempts that all return at once use themselves up before a limit is lifted."""
    busy, soon = (Fault(429, {"Retry-After": each}) for each in ("17", "0"))
    vllm.server.faults = first(busy, soon, soon, soon)
    vllm.answers(1, Limits(8))
    assert vllm.clock.slept == [17.0, 1.0, 2.0, 4.0]


@pytest.mark.parametrize("least", [0.0, 1.0])
def test_requests_over_a_limit_come_back_one_after_another(least: float) -> None:
    """Together they would be refused together, until most have no attempt left."""

    async def asked() -> int:
        client = HttpClient(parse_address("", "http://x"), Key("", ""), HttpOptions())
        seconds: Counter[int] = Counter()

        async def work() -> bool:
            second = int(asyncio.get_running_loop().time())
            seconds[second] += 1
            if seconds[second] > 8:
                raise Transient("HTTP 429", least)
            return True

        return sum(await asyncio.gather(*(client.retried(work) for _ in range(200))))

    assert run_virtual(asked()) == 200


def test_a_wait_that_is_spread_ends_before_the_deadline() -> None:
    async def asked() -> int:
        options = HttpOptions(deadline=10)
        client = HttpClient(parse_address("", "http://x"), Key("", ""), options)
        attempts: Counter[int] = Counter()

        async def work(number: int) -> bool:
            attempts[number] += 1
            if attempts[number] == 1:
                raise Transient("HTTP 429", 6.0)
            return True

        works = (partial(work, number) for number in range(8))
        return sum(await asyncio.gather(*map(client.retried, works)))

    assert run_virtual(asked()) == 8


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("Please try again in 20s. Visit", 20),
        ("Please try again in 7m12.5s.", 432.5),
        ("Please try again in 1h2m0s.", 3720),
        ("Please try again in 120ms.", 0.12),
        ("Please retry after 22 seconds.", 22),
        ("Try again in 5 minutes.", 300),
        ('"retryDelay": "34.5s"', 34.5),
        ("Please try again later.", 0),
        ("try again in 2 days", 0),
    ],
)
def test_a_wait_in_a_message_is_read(said: str, seconds: float) -> None:
    assert wait_in(said) == pytest.approx(seconds)


def test_a_wait_in_a_message_is_kept_at_least(vllm: Subject) -> None:
    late, soon = (f'{{"error": "try again in {each}"}}' for each in ("17s", "1ms"))
    vllm.server.faults = first(Fault(429, body=late), Fault(429, body=soon))
    vllm.answers(1, Limits(8))
    assert vllm.clock.slept == [17.0, 1.0]


def test_retry_after_as_a_date_goes_by_the_servers_clock(vllm: Subject) -> None:
    later = {"Retry-After": formatdate(1_000_090, usegmt=True)}
    server_time = {"Date": formatdate(1_000_060, usegmt=True)}
    assert retry_after({k.lower(): v for k, v in (later | server_time).items()}, 5.0) == 30.0
    assert retry_after({"retry-after": later["Retry-After"]}, 1_000_000.0) == 90.0
    for unreadable in ("soon", "", "-3", "nan", "Mon, 99 Foo 2026"):
        assert retry_after({"retry-after": unreadable}, 0.0) is None
    vllm.server.faults = first(Fault(429, later))
    vllm.answers(1, Limits(8))
    [waited] = vllm.clock.slept
    assert waited == 0.5  # by the server's own date, the moment has long passed


def test_too_long_a_wait_pauses_everybody_once(
    vllm: Subject, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests that are all told to wait a day wait for the patience together."""
    tomorrow = Fault(429, {"Retry-After": "86400"})
    told: set[str] = set()

    def once_each(_number: int, body: Mapping[str, Any]) -> Fault | None:
        """One of them may be back before another arrives for the first time."""
        if body["prompt"] in told:
            return None
        told.add(body["prompt"])
        return tomorrow

    vllm.server.faults = once_each
    assert len(vllm.answers(5, Limits(8))) == len(told) == 5
    assert vllm.clock.slept[:1] == [300.0]
    assert sum(vllm.clock.slept) <= 600.0
    assert caplog.text.count("all requests pause for 300") == 1
    vllm.server.faults = lambda _number, _body: tomorrow
    with pytest.raises(EngineError, match=r"try again; it asks to wait 86400 seconds"):
        vllm.answers(1, Limits(8))


def test_without_patience_too_long_a_wait_is_no_wait(vllm: Subject) -> None:
    vllm.server.faults = first(Fault(429, {"Retry-After": "86400"}))
    with pytest.raises(EngineError, match=r"try again; it asks to wait 86400 seconds") as caught:
        vllm.answers(1, Limits(8), patience=0)
    assert caught.value.wait == 86400
    assert vllm.clock.slept == []


def test_a_short_wait_is_no_patience(vllm: Subject) -> None:
    vllm.server.faults = first(Fault(429, {"Retry-After": "0.7"}), Fault(429, {"Retry-After": "9"}))
    vllm.answers(1, Limits(8), patience=0)
    assert vllm.clock.slept == [0.7, 9.0]


def test_given_up_after_so_many_attempts(vllm: Subject) -> None:
    vllm.server.faults = lambda _number, _body: Fault(500)
    with pytest.raises(EngineError, match="HTTP 500: try again; given up after 3 attempts"):
        vllm.answers(1, Limits(8), attempts=3)
    assert vllm.clock.slept == [0.5, 1.0]


def test_the_deadline_ends_a_request_and_its_repetitions(vllm: Subject) -> None:
    vllm.server.faults = lambda _number, _body: Fault(500)
    with pytest.raises(EngineError, match=r"the deadline of 5 seconds \(\?deadline\) has passed"):
        vllm.answers(1, Limits(8), deadline=5)
    assert sum(vllm.clock.slept) <= 5


def test_schedules_are_bounded() -> None:
    schedule = Schedule()
    waits = [schedule.wait(failures) for failures in range(1, 12)]
    assert waits == sorted(waits)
    assert waits[-1] == 30.0


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(200, body="{'choices': oops"), "the answer is not JSON"),
        (Fault(200, body='{"choices": [{"text": 3}]}'), "unknown form"),
        (Fault(200, body='{"answer": 42}'), "unknown form"),
        (Fault(200, body="[]"), "unknown form"),
        (Fault(cut=40), "the connection broke"),
        (Fault(200, body='{"choices": [{"text": "a"}]}'), "does not say why it ended"),
    ],
)
def test_spoilt_answers_are_asked_for_again(vllm: Subject, fault: Fault, message: str) -> None:
    expected = healthy(vllm, Limits(8))
    vllm.server.faults = first(fault, fault)
    [answer] = vllm.answers(1, Limits(8))
    assert answer.ids == expected.ids
    assert vllm.clock.slept == [0.5, 1.0]
    vllm.server.faults = lambda _number, _body: fault
    with pytest.raises(EngineError, match=message):
        vllm.answers(1, Limits(8), attempts=2)


@pytest.mark.parametrize("fault", [Fault(events=4), Fault(cut=4)])
def test_a_stream_that_breaks_goes_on_where_it_broke(continuing: Subject, fault: Fault) -> None:
    """What has come in is kept: the rest is asked for behind it."""
    limits = Limits(12, stop_when=lambda _partial: False)
    continuing.server.faults = first(fault)
    [answer] = continuing.answers(1, limits)
    assert len(answer.ids) == 12 or answer.finish.value == "end"
    before, after = continuing.server.bodies()[-2:]
    kind = "messages" if "messages" in before else "prompt"
    assert len(str(after[kind])) > len(str(before[kind]))
    if not continuing.server.style.vllm or kind == "prompt":
        assert after["max_tokens"] == before["max_tokens"] - 4
    assert after["seed"] != before["seed"]


def test_a_broken_stream_of_chat_begins_anew() -> None:
    with sim_server(completions=False).running() as server:
        subject = Subject(server, {"context": 256})
        limits = Limits(20, steps=1)
        expected = healthy(subject, limits)
        server.faults = first(Fault(events=3))
        [answer] = subject.answers(1, limits)
    assert answer.ids == expected.ids
    assert subject.clock.slept == [0.5]


def test_a_stall_ends_with_the_timeout(vllm: Subject) -> None:
    vllm.server.faults = lambda _number, _body: Fault(stall=True)
    with pytest.raises(EngineError, match=r"said nothing for 0\.2 seconds \(\?timeout\)"):
        vllm.answers(1, Limits(8), timeout=0.2, attempts=2)
    assert vllm.clock.slept == [0.5]


def test_an_error_within_a_stream_is_understood(vllm: Subject) -> None:
    wrong = 'data: {"error": {"message": "too hot", "code": 400}}\n\n'
    vllm.server.faults = first(Fault(200, body=wrong))
    with pytest.raises(EngineError, match="HTTP 400: too hot"):
        vllm.answers(1, Limits(8, stop_when=lambda _partial: False))
    for called in (
        '{"message": "too hot", "code": 400}',
        "too hot",
        '{\ndata: "detail": "too hot"}',
    ):
        vllm.server.faults = first(Fault(200, body=f"event: error\ndata: {called}\n\n"))
        with pytest.raises(EngineError, match=r"HTTP [45]00: too hot"):
            vllm.answers(1, Limits(8, stop_when=lambda _partial: False), attempts=1)
    for only in ('{"detail": "too hot"}', '{"code": 20012, "message": "too hot"}'):
        vllm.server.faults = first(Fault(200, body=f"data: {only}\n\n"))
        with pytest.raises(EngineError, match="HTTP 500: too hot"):
            vllm.answers(1, Limits(8, stop_when=lambda _partial: False), attempts=1)
    passing = 'data: {"error": {"message": "cooling", "code": 503}}\n\n'
    vllm.server.faults = first(Fault(200, body=passing))
    assert vllm.answers(1, Limits(8, stop_when=lambda _partial: False))[0].ids


def test_what_will_not_pass_is_not_repeated(vllm: Subject) -> None:
    spent = '{"error": {"message": "no money left", "code": "insufficient_quota"}}'
    for fault in (Fault(400), Fault(429, body=spent), Fault(302)):
        vllm.server.faults = first(fault)
        with pytest.raises(EngineError, match=f"HTTP {fault.status}"):
            vllm.answers(1, Limits(8))
    assert vllm.clock.slept == []


def test_an_answer_kept_back_is_its_candidates_fault(vllm: Subject) -> None:
    body = '{"choices": [{"text": "so far", "finish_reason": "content_filter"}]}'
    vllm.server.faults = first(Fault(200, body=body))
    with pytest.raises(CandidateError, match="withheld its answer") as caught:
        vllm.answers(1, Limits(8))
    assert caught.value.fault is Reason.FILTERED


def test_a_server_that_writes_nothing_ends_the_request(
    vllm: Subject, caplog: pytest.LogCaptureFixture
) -> None:
    body = '{"choices": [{"text": "", "finish_reason": "length"}]}'
    vllm.server.faults = lambda _number, _body: Fault(200, body=body)
    answers = vllm.answers(3, Limits(8))
    assert {answer.finish for answer in answers} == {Finish.LENGTH}
    assert caplog.text.count("at a limit of its own") == 1


# ---------------------------------------------------------------------- opening


def opened(server: Any, **options: Any) -> OpenAIPolicy:
    """The engine of a server."""
    url = options.pop("url", server.url)
    return OpenAIPolicy(url, ServerOptions.model_validate(options))


def refusal(server: Any, **options: Any) -> str:
    """Why an engine cannot be opened."""
    with pytest.raises(EngineError) as caught:
        opened(server, **options)
    return str(caught.value)


def test_a_wrong_model_name_gets_the_list() -> None:
    with sim_server(vllm=True, names=("sim", "simon", "other")).running() as server:
        message = refusal(server, url=f"{server.root}/v1#smi")
        assert message == (
            f"server {server.root}/v1 has no model `smi`; did you mean 'sim'?; it serves `sim`, "
            "`simon`, `other`"
        )
        assert "which model? write URL#MODEL" in refusal(server, url=f"{server.root}/v1")
    with sim_server(vllm=True).running() as server:
        assert opened(server, url=server.root).binding.name == "sim"


def test_keys_come_from_variables_and_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with sim_server(vllm=True, key="sk-right").running() as server:
        message = refusal(server)
        assert "it requires a key: set the environment variable OPENAI_API_KEY" in message
        monkeypatch.setenv("OPENAI_API_KEY", "sk-expired")
        message = refusal(server)
        assert "the key in OPENAI_API_KEY is refused (expired" in message
        assert "HTTP 401: Incorrect API key provided: Bearer $OPENAI_API_KEY" in message
        assert "sk-expired" not in message
        assert "variable MY_KEY (?key_env) is not set" in refusal(server, key_env="MY_KEY")
        monkeypatch.setenv("MY_KEY", "sk-right")
        assert opened(server, key_env="MY_KEY").binding.name == "sim"


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server = sim_server()
    with server.running():
        url = server.url
    assert "cannot be reached" in refusal(server, url=url, attempts=1)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "expected an address"),
        ("localhost:8000", "expected an address"),
        ("http://user:secret@host/v1#m", "put it into OPENAI_API_KEY"),
        ("http://host:port/v1", "is no address"),
        ("ftp://host/v1", "expected an address"),
    ],
)
def test_addresses_that_are_none(url: str, message: str) -> None:
    with pytest.raises(EngineError, match=message) as caught:
        OpenAIPolicy(url)
    assert "secret" not in str(caught.value)


def test_options_before_the_model_are_put_right() -> None:
    with pytest.raises(EngineError, match=r"after the model: openai:http://x/v1#m\?context=9$"):
        parse_name("openai:http://x/v1?context=9#m")


def test_a_window_that_nobody_tells() -> None:
    with sim_server().running() as server:
        assert "does not say its window: add `?context=TOKENS`" in refusal(server)


def test_a_server_without_a_list_of_models_is_taken_at_its_word() -> None:
    with sim_server(names=None).running() as server:
        assert opened(server, context=256).binding.name == "sim"
        message = refusal(server, context=256, url=f"{server.root}/v1#unknown")
        assert "The model does not exist" in message


def test_nothing_of_an_interface_that_is_not_there() -> None:
    with sim_server(chat=False, completions=False).running() as server:
        assert "HTTP 404" in refusal(server, context=256)
    with sim_server(chat=False).running() as server:
        assert Ability.CONTINUE not in opened(server, context=256).lacks
        assert "HTTP 404" in refusal(server, context=256, api="chat")


def test_vllm_stops_at_a_step_by_itself_unless_its_end_has_begun(vllm: Subject) -> None:
    async def work(engine: OpenAIPolicy) -> None:
        delimiter = engine.binding.step_delimiter
        for path in ("", f"so{delimiter}", f"so{delimiter}\n", f"so{delimiter[:1]}"):
            [request] = requests_for(engine, 1, Limits(8, steps=1))
            split = NOTHING.add(path.encode(), delimiter.encode())
            prefix = engine.tokenizer.encode(path)
            known = len(vllm.server.bodies())
            await engine.generate(replace(request, prefix=prefix, segments=split))
            first_of_them.append(vllm.server.bodies()[known])

    first_of_them: list[dict[str, Any]] = []
    vllm.run(work)
    cut_here = ["stream" in body and "stop" not in body for body in first_of_them]
    assert cut_here == [False, False, False, True]


def test_requests_carry_what_makes_them_reproducible(vllm: Subject) -> None:
    vllm.answers(2, Limits(8))
    one, other = vllm.server.bodies()
    assert one["seed"] != other["seed"]
    settings: Mapping[str, Any] = {
        "model": "sim",
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "max_tokens": 8,
    }
    assert one.items() >= settings.items()
