"""Streams as servers write them: events, lines, and counts that come late."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import ClientResponse

from tests.servers.test_behaviours import PROBLEMS, RIGHT, chats_only, result_of, serving
from tests.servers.test_reading import in_events, streamed
from tests.support.records import candidates
from tests.support.runs import plan_of
from tests.support.scripted_server import Asked, Reply, chat
from tts_runtime import Settings, run
from tts_runtime.engines.http.connections import lines_of


def in_lines(event: Any) -> str:
    """An event whose data are written over several lines."""
    lines = json.dumps(event, indent=1).splitlines()
    return "".join(f"data: {line}\n" for line in lines) + "\n"


EVENTS: list[Callable[[Any], str]] = [
    lambda event: f": hi\nevent: x\ndata:{json.dumps(event)}\n\n",
    lambda event: f"data: {json.dumps(event)}\r\n\r\n",
    lambda event: f"data: {json.dumps(event)}\r\r",
    lambda event: f" \nx: y\nevent: error\n\ndata: {json.dumps(event)}\n\n",
    lambda event: f"data: {json.dumps(event)}\n",  # the specification wants an empty line
    in_lines,
    lambda event: in_lines(event).replace("\n", "\r\n"),
    lambda event: in_lines(event).replace("\n", "\r"),
]


@pytest.mark.parametrize("kind", ["text/event-stream", "application/json"])
@pytest.mark.parametrize("write", EVENTS)
def test_events_are_read_as_they_are_specified(write: Callable[[Any], str], kind: str) -> None:
    """Whatever the reply's header says: some proxies call all replies JSON."""

    def answer(asked: Asked) -> Reply:
        reply = in_events(7, usage=True)(asked)
        body = "".join(map(write, reply.events or ())) + "data: [DONE]\n\n"
        headers = {"content-type": kind}
        return reply if reply.events is None else Reply(body.encode(), headers=headers)

    with serving(answer) as server:
        plan = plan_of('return sample 1 stop at "never"')
        result = result_of(server, plan, "api=completions&attempts=1")
    assert result.summary.accuracy == 1.0
    assert result.summary.policy_tokens == 2 * 30


@pytest.mark.parametrize("size", [1, 2, 3, 99])
def test_lines_end_wherever_the_parts_do(size: int) -> None:
    data = b"a\r\n\r\nb\rc\r\rd\n\ne"

    async def parts() -> AsyncIterator[bytes]:
        for at in range(0, len(data), size):
            yield data[at : at + size]

    async def work() -> list[str]:
        response = SimpleNamespace(content=SimpleNamespace(iter_any=parts))
        return [line async for line in lines_of(cast(ClientResponse, response))]

    assert asyncio.run(work()) == ["a", "", "b", "c", "", "d", "", "e"]


def test_pieces_count_where_the_whole_comes_along(tmp_path: Path) -> None:
    """Perplexity sends what it has drawn so far beside each piece."""
    pieces = ["Maybe 1, ", "so ", RIGHT]

    def answer(asked: Asked) -> Reply:
        if not asked.body.get("stream"):
            return chat("It", "length", 1)
        events: list[Any] = []
        for at, piece in enumerate([*pieces, ""]):
            whole = {"role": "assistant", "content": "".join(pieces[: at + 1])}
            choice = {"index": 0, "message": whole, "delta": {"content": piece}}
            events.append({"choices": [{**choice, "finish_reason": None if piece else "stop"}]})
        return Reply(events=tuple(events))

    with serving(chats_only(answer)) as server:
        policies = {"policy": f"openai:{server.root}/v1#m"}
        settings = Settings(policies=policies, scorers={}, out=tmp_path / "run")
        run(plan_of('return sample 1 stop at "never"'), PROBLEMS, settings=settings)
    assert [each.added for each in candidates(tmp_path / "run")] == ["".join(pieces)] * 2


@pytest.mark.parametrize("between", [0, 1, 3])
def test_counts_may_come_late(between: int) -> None:
    def answer(asked: Asked) -> Reply:
        if not asked.body.get("stream"):
            return chat("It", "length", 1)
        *events, usage = streamed({"content": RIGHT}, drawn=77).events or ()
        empty = {"choices": [{"index": 0, "delta": {}}]}
        return Reply(events=(*events, *[empty] * between, usage))

    with serving(chats_only(answer)) as server:
        result = result_of(server, plan_of('return sample 1 stop at "never"'))
    assert result.summary.policy_tokens == 2 * 77


STOPS: dict[str, list[tuple[str, str | None]]] = {
    "every piece": [("It is ", "stop"), ("\\boxed{4", "stop"), ("2}.", "stop")],
    "an empty first piece": [("", "stop"), ("It is ", None), ("\\boxed{42}.", None)],
    "all but the last": [("It ", "STOP"), ("is \\boxed{4", "STOP"), ("2}.", None), ("", "STOP")],
    "pieces before one without": [
        ("It ", "stop"),
        ("is ", None),
        ("\\boxed{42}", None),
        (".", None),
    ],
}


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("kind", STOPS)
def test_a_stop_with_every_piece_ends_no_answer(kind: str, counted: bool) -> None:
    def answer(asked: Asked) -> Reply:
        if not asked.body.get("stream"):
            return chat(RIGHT)
        usage = {"usage": {"prompt_tokens": 5, "completion_tokens": 9}} if counted else {}
        return Reply(
            events=tuple(
                {"choices": [{"delta": {"content": text}, "finish_reason": finish}], **usage}
                for text, finish in STOPS[kind]
            )
        )

    with serving(chats_only(answer)) as server:
        result = result_of(server, plan_of('return sample 1 stop at "never"'), "attempts=1")
    assert [each.answer for each in result.answers] == ["42"] * len(PROBLEMS)


def test_nothing_is_awaited_behind_an_end_with_its_counts() -> None:
    def answer(asked: Asked) -> Reply:
        if not asked.body.get("stream"):
            return chat("It", "length", 1)
        first = {"choices": [{"delta": {"content": "It is "}, "finish_reason": None}]}
        end = [{"delta": {"content": "\\boxed{42}."}, "finish_reason": "stop"}]
        usage = {"prompt_tokens": 5, "completion_tokens": 9}
        more = [{"delta": {"content": "\\boxed{7}"}, "finish_reason": "stop"}]
        return Reply(events=(first, {"choices": end, "usage": usage}, {"choices": more}))

    with serving(chats_only(answer)) as server:
        result = result_of(server, plan_of('return sample 1 stop at "never"'))
    assert [each.answer for each in result.answers] == ["42"] * len(PROBLEMS)
    assert result.summary.policy_tokens == 2 * 9


def test_the_reason_of_an_empty_last_event_counts() -> None:
    def answer(asked: Asked) -> Reply:
        if not asked.body.get("stream"):
            return chat(RIGHT)
        pieces = [("It is ", "stop"), ("\\boxed{42", "stop"), ("", "length")]
        choices = [{"delta": {"content": text}, "finish_reason": end} for text, end in pieces]
        return Reply(events=tuple({"choices": [each]} for each in choices))

    with serving(chats_only(answer)) as server:
        result = result_of(server, plan_of('return sample 1 stop at "never"'), "attempts=1")
    assert [each.answer for each in result.answers] == [None] * len(PROBLEMS)


@pytest.mark.parametrize("spaces", [None, 2])
def test_a_whole_reply_may_be_called_a_stream(spaces: int | None) -> None:
    def answer(asked: Asked) -> Reply:
        reply = chat(RIGHT, "stop", 9)
        if not asked.body.get("stream"):
            return reply
        kind = {"content-type": "text/event-stream"}
        return Reply(json.dumps(reply.body, indent=spaces).encode(), headers=kind)

    with serving(chats_only(answer)) as server:
        result = result_of(server, plan_of('return sample 1 stop at "never"'), "attempts=1")
    assert result.summary.accuracy == 1.0
    assert result.summary.policy_tokens == 2 * 9
