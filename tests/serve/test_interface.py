"""What clients of the OpenAI interface send and get."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import tts_runtime
from tests.serve.conftest import serving
from tts_runtime.engines.sim.engines import SimPolicy
from tts_runtime.engines.sim.model import SimModel
from tts_runtime.serve.errors import ApiError
from tts_runtime.serve.requests import conversation
from tts_runtime.serve.watch import Watch


def events(text: str) -> list[Any]:
    """The objects of a stream."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data:")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def test_models_have_parameters_and_bounds() -> None:
    async def asked() -> None:
        async with serving(settings={"n": "4"}) as served:
            listed = (await served.http.get("/v1/models")).json()["data"]
            assert [each["id"] for each in listed] == ["majority", "best_of_n", "policy"]
            assert listed[0]["tts"]["parameters"] == {"n": 4}
            assert listed[0]["tts"]["bounds"] == {
                "tokens": 4 * SimPolicy().binding.context,
                "calls": 4,
                "rounds": 1,
                "scorer_tokens": 0,
            }
            one = (await served.http.get("/v1/models/majority@n=2")).json()
            assert one["tts"]["bounds"]["calls"] == 2
            assert (await served.http.get("/v1/models/none")).status_code == 404

    asyncio.run(asked())


def test_a_strategy_is_listed_at_the_values_that_it_is_named_with(tmp_path: Path) -> None:
    file = tmp_path / "mine.tts"
    file.write_text("strategy mine(n = 2, k = 1):\n    return vote (sample n * k)\n")

    async def asked() -> None:
        async with serving([f"{file}@n=3,k=2", "majority@n=4", "majority"]) as served:
            listed = (await served.http.get("/v1/models")).json()["data"]
            names = ["mine@k=2,n=3", "majority@n=4", "majority", "policy"]
            assert [each["id"] for each in listed] == names
            assert listed[0]["tts"]["bounds"]["calls"] == 6
            for name in names[:2]:
                reply = (await served.chat(model=name)).json()
                calls = {"mine@k=2,n=3": 6, "majority@n=4": 4}[name]
                assert reply["tts"]["policy_calls"] <= calls
            assert (await served.chat(model="mine@n=1")).status_code == 200

    asyncio.run(asked())


@pytest.mark.parametrize(
    "now",
    [
        "strategy mine(n = 2:\n    return vote (sample n)\n",
        "strategy mine(n = 2):\n    return vote (sample n)\n",
        "scorer orm\n\nstrategy mine(n = 2, k = 1):\n    pool = sample n * k\n"
        "    score pool by orm\n    return best of pool by orm\n",
        "scorer orm\n\nstrategy mine(n = 2, k = 1):\n    if k == 2:\n        pool = sample n\n"
        "        score pool by orm\n        return best of pool by orm\n"
        "    return vote (sample n)\n",
    ],
    ids=["mistake", "listed parameter lost", "engine missing", "engine missing where listed"],
)
def test_a_file_that_cannot_be_served_leaves_all_old_plans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: str
) -> None:
    monkeypatch.setattr("tts_runtime.serve.catalogue._LOOK_EVERY", 0.0)
    file = tmp_path / "mine.tts"
    file.write_text("strategy mine(n = 2, k = 1):\n    return vote (sample n * k)\n")

    async def asked() -> None:
        async with serving([f"{file}@n=3,k=2", str(file)]) as served:
            listed = (await served.http.get("/v1/models")).json()
            models = ["mine", "mine@k=2,n=3", "mine@n=3"]
            before = [(await served.chat(model=each, seed=1)).json() for each in models]
            file.write_text(now)
            assert (await served.http.get("/v1/models")).json() == listed
            for model, reply in zip(models, before, strict=True):
                again = (await served.chat(model=model, seed=1)).json()
                assert again["choices"] == reply["choices"]
            other = await served.chat(model="mine@n=4")
            assert other.status_code == 503
            assert other.json()["error"]["code"] == "model_unavailable"
            file.write_text("strategy mine(n = 4, k = 1):\n    return vote (sample n * k)\n")
            assert (await served.chat(model="mine@n=5", seed=1)).status_code == 200
            assert (await served.http.get("/v1/models")).json()["data"][1]["tts"]["parameters"] == {
                "n": 4,
                "k": 1,
            }

    asyncio.run(asked())


def test_values_that_need_an_engine_which_nobody_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "mine.tts"
    file.write_text(
        "scorer orm\n\nstrategy mine(hard = 0):\n    if hard == 1:\n        pool = sample 2\n"
        "        score pool by orm\n        return best of pool by orm\n    return sample 1\n"
    )

    async def asked() -> None:
        async with serving([str(file)]) as served:
            assert (await served.chat(model="mine")).status_code == 200
            reply = await served.chat(model="mine@hard=1")
            assert reply.status_code == 503
            assert reply.json()["error"]["code"] == "model_unavailable"

    asyncio.run(asked())
    assert "orm" in caplog.text
    assert "Traceback" not in caplog.text


def test_listed_values_stay_however_many_others_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tts_runtime.serve.catalogue._KEPT", 2)

    async def asked() -> None:
        async with serving(["majority@n=2"]) as served:
            listed = served.service.catalogue.find("majority@n=2", {})
            for n in range(3, 9):
                served.service.catalogue.find(f"majority@n={n}", {})
            assert served.service.catalogue.find("majority@n=2", {}) is listed

    asyncio.run(asked())


def test_an_answer_is_that_of_a_session_and_seeds_repeat_it() -> None:
    async def asked() -> None:
        async with tts_runtime.Session({"policy": SimPolicy(SimModel())}) as session:
            expected = await session.answer("majority", "What is 17 x 3?", n=3, seed=7)
        async with serving() as served:
            # Twelve at once, by every way to name parameters and seeds.
            ways: list[dict[str, Any]] = [
                {"model": "majority@n=3", "seed": 7},
                {"model": "majority", "seed": 7, "tts": {"params": {"n": 3}}},
                {"model": "majority", "tts": {"params": {"n": "3"}, "seed": 7}},
            ]
            asking = (served.chat("What is 17 x 3?", **way) for way in ways * 4)
            replies = [reply.json() for reply in await asyncio.gather(*asking)]
            for reply in replies:
                text = reply["choices"][0]["message"]["content"]
                assert expected.text.endswith(text)
                assert reply["tts"]["answer"] == expected.answer
                assert reply["tts"]["seed"] == 7
                assert reply["usage"]["completion_tokens"] == expected.usage.policy_tokens
                details = reply["usage"]["completion_tokens_details"]
                drawn, returned = expected.usage.policy_tokens, expected.usage.returned_tokens
                assert details["reasoning_tokens"] == drawn - returned
            assert len({reply["system_fingerprint"] for reply in replies}) == 1
            other = (await served.chat("What is 17 x 3?", seed=8)).json()
            assert other["system_fingerprint"] == replies[0]["system_fingerprint"]
            fresh = [(await served.chat()).json()["tts"]["seed"] for _ in range(2)]
            assert fresh[0] != fresh[1]
            assert served.idle()

    asyncio.run(asked())


@pytest.mark.parametrize("choices", [1, 2])
def test_a_stream_says_what_the_whole_reply_says(choices: int) -> None:
    async def asked() -> None:
        async with serving() as served:
            body = {"model": "best_of_n@n=3", "seed": 5, "n": choices}
            whole = (await served.chat(**body)).json()
            options = {"stream": True, "stream_options": {"include_usage": True}}
            reply = await served.chat(**body, **options)
            assert reply.headers["content-type"].startswith("text/event-stream")
            assert reply.text.startswith(": ")
            *chunks, usage, done = events(reply.text)
            assert done == "[DONE]"
            assert usage["usage"] == whole["usage"]
            assert usage["choices"] == []
            texts = [""] * choices
            ends = []
            for chunk in chunks:
                for choice in chunk["choices"]:
                    texts[choice["index"]] += choice["delta"].get("content", "")
                    ends += [choice["finish_reason"]] * (choice["finish_reason"] is not None)
            assert texts == [each["message"]["content"] for each in whole["choices"]]
            assert ends == [each["finish_reason"] for each in whole["choices"]]

    asyncio.run(asked())


def test_progress_says_how_far_a_search_is() -> None:
    async def asked() -> str:
        async with serving(["beam_search"]) as served:
            found = served.service.catalogue.find("beam_search@depth=4,n=4,width=2", {})
            watch = Watch()
            await served.service.session.answer(
                found.plan,
                "1 + 1",
                seed=1,
                subscribe=lambda events: watch.subscribe(events, found.rounds),
            )
            return watch.said()

    assert asyncio.run(asked()).startswith("round 3 of 3, ")


def test_completions_and_responses_give_the_same_text() -> None:
    async def asked() -> None:
        async with serving() as served:
            chat = (await served.chat("2 + 2", seed=3)).json()
            text = chat["choices"][0]["message"]["content"]
            asked = {"model": "majority@n=3", "seed": 3}
            post = served.http.post
            completion = (await post("/v1/completions", json={**asked, "prompt": "2 + 2"})).json()
            assert completion["choices"][0]["text"] == text
            assert completion["usage"] == chat["usage"]
            response = (await post("/v1/responses", json={**asked, "input": "2 + 2"})).json()
            message = response["output"][-1]
            assert message["content"][0]["text"] == text
            streamed = await post("/v1/responses", json={**asked, "input": "2 + 2", "stream": True})
            found = events(streamed.text)
            numbers = [each["sequence_number"] for each in found]
            assert numbers == list(range(len(found)))
            deltas = [each["delta"] for each in found if each["type"].endswith("text.delta")]
            assert "".join(deltas) == text
            assert found[-1]["response"]["output"][-1]["content"] == message["content"]

    asyncio.run(asked())


def test_sampling_members_set_parameters_of_their_name_and_others_are_named() -> None:
    async def asked() -> None:
        async with serving() as served:
            greedy = {"model": "policy", "temperature": 0, "max_tokens": 4}
            first, second = [(await served.chat(**greedy, seed=seed)).json() for seed in (1, 2)]
            assert first["choices"] == second["choices"]
            assert first["usage"]["completion_tokens"] <= 4
            assert "ignored" not in first["tts"]
            body = {"model": "policy", "input": "1 + 1", "max_output_tokens": 1, "seed": 1}
            response = (await served.http.post("/v1/responses", json=body)).json()
            assert response["status"] == response["output"][-1]["status"] == "incomplete"
            reply = (await served.chat(temperature=0.3, stop=["x"], max_tokens=9)).json()
            assert reply["tts"]["ignored"] == ["max_tokens", "stop", "temperature"]
            # Also those that other servers know; what is empty or null asks for nothing.
            others = {"min_tokens": 5, "extra_body": {"tts": {}}, "tools": [], "user": None}
            texts = {"response_format": {"type": "text"}, "tts": None}
            reply = (await served.chat(**others, **texts)).json()
            assert reply["tts"]["ignored"] == ["extra_body", "min_tokens"]

    asyncio.run(asked())


def test_reasoning_effort_is_what_the_file_says(tmp_path: Path) -> None:
    file = tmp_path / "mine.tts"
    file.write_text(
        'strategy mine(reasoning_effort = "low"):\n'
        '    if reasoning_effort == "high":\n'
        "        return best of (sample 4) by tokens\n"
        "    return best of (sample 2) by tokens\n"
    )

    async def asked() -> None:
        async with serving([str(file), "majority"]) as served:

            async def calls(path: str = "chat/completions", **body: object) -> Any:
                name = "input" if path == "responses" else "messages"
                asking = {"model": "mine", name: [{"role": "user", "content": "1 + 1"}], **body}
                return (await served.http.post(f"/v1/{path}", json=asking)).json()["tts"]

            assert (await calls())["policy_calls"] == 2
            assert (await calls(reasoning_effort="high"))["policy_calls"] == 4
            effort = {"effort": "high", "summary": "auto"}
            assert (await calls("responses", reasoning=effort))["policy_calls"] == 4
            for unset in ({"summary": "auto"}, {"effort": None}):
                assert (await calls("responses", reasoning=unset))["policy_calls"] == 2
            other = await calls(model="majority@n=3", reasoning_effort="high")
            assert other["ignored"] == ["reasoning_effort"]
            wrong = {"model": "mine", "reasoning_effort": "high; rm"}
            assert (await served.chat(**wrong)).status_code == 400

    asyncio.run(asked())


def test_conversations_are_one_text_where_the_server_joins_them() -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "1 + 1"}]},
    ]
    longer = [*turns, {"role": "assistant", "content": "2"}, {"role": "user", "content": "Why?"}]

    async def asked() -> None:
        async with serving(joined=True) as served:
            body = {"model": "majority@n=2", "seed": 1}
            for messages, text in (
                (turns, "Be brief.\n\n1 + 1"),
                (longer, "System: Be brief.\n\nUser: 1 + 1\n\nAssistant: 2\n\nUser: Why?"),
            ):
                asked = {**body, "messages": messages}
                joined = (await served.http.post("/v1/chat/completions", json=asked)).json()
                alone = (await served.chat(text, **body)).json()
                assert joined["choices"] == alone["choices"]
        async with serving() as served:
            reply = await served.http.post("/v1/chat/completions", json={**body, "messages": turns})
            assert reply.status_code == 400
            assert "--join-messages" in reply.json()["error"]["message"]

    asyncio.run(asked())


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}, "content"),
        ({"type": "function_call_output", "call_id": "c", "output": "42"}, "content"),
        ({"type": "item_reference", "id": "msg_1"}, "content"),
        ({"role": "assistant", "content": None, "function_call": {"name": "f"}}, "parameter"),
        ({"role": "assistant", "content": None, "audio": {"id": "a"}}, "content"),
    ],
)
def test_nothing_of_a_conversation_is_left_out(item: dict[str, Any], code: str) -> None:
    turns = [{"role": "user", "content": "a"}, item, {"role": "user", "content": "b"}]
    with pytest.raises(ApiError) as refused:
        conversation(turns, joined=True)
    assert refused.value.code == f"unsupported_{code}"
    assert (refused.value.status, refused.value.param) == (400, "messages.1")


def test_outputs_of_responses_and_refusals_are_turns() -> None:
    outputs: list[dict[str, Any]] = [
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "x"}]},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "2"}],
        },
        {"role": "user", "content": "and?", "type": "text"},
        {"role": "assistant", "content": None, "refusal": "No."},
    ]
    turns = [{"role": "user", "content": "a"}, *outputs, {"role": "user", "content": "b"}]
    text = "User: a\n\nAssistant: 2\n\nUser: and?\n\nAssistant: No.\n\nUser: b"
    assert conversation(turns, joined=True) == text


def test_the_openai_client_asks_and_streams() -> None:
    openai = pytest.importorskip("openai")

    async def asked() -> None:
        async with serving() as served:
            client = openai.AsyncOpenAI(
                base_url="http://test/v1", api_key="any", http_client=served.http, max_retries=0
            )
            models = [model.id async for model in client.models.list()]
            assert models[-1] == "policy"
            asking: dict[str, Any] = {
                "model": "majority@n=3",
                "messages": [{"role": "user", "content": "1 + 1"}],
                "seed": 4,
            }
            whole = await client.chat.completions.create(**asking)
            stream = await client.chat.completions.create(**asking, stream=True)
            text = "".join(
                [each.choices[0].delta.content or "" async for each in stream if each.choices]
            )
            assert text == whole.choices[0].message.content
            response = await client.responses.create(
                model="majority@n=3", input="1 + 1", extra_body={"tts": {"seed": 4}}
            )
            assert response.output_text == text
            with pytest.raises(openai.NotFoundError) as caught:
                await client.chat.completions.create(**{**asking, "model": "majorty"})
            assert caught.value.code == "model_not_found"
            assert "did you mean 'majority'" in str(caught.value)

    asyncio.run(asked())
