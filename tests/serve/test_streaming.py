"""Answers that are streamed while they are drawn, over real connections and to a real client."""

from __future__ import annotations

import asyncio
import random
from asyncio import Future
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

import pytest

from tests.serve.conftest import Served, serving
from tests.support.scripted import ScriptedPolicy
from tts_lang.printable import conceal, concealed, concealed_beginning
from tts_runtime.binding import Binding, Thinking
from tts_runtime.engines.base import CandidateError, Fault, GenerateRequest, Generation, Partial
from tts_runtime.thoughts import ThoughtSplit, split_thought

#: Imported where it is used: that takes half a second.
pytestmark = pytest.mark.skipif(find_spec("openai") is None, reason="a client of OpenAI's asks")

TEXT = "a: 1+1=2 \N{SNOWMAN}\n\nThe answer is \\boxed{2}"


class SteppedPolicy(ScriptedPolicy):
    """Draws the tokens of a streamed request one by one, each when it may."""

    def __init__(self, texts: list[str], *, thinking: bool = False) -> None:
        super().__init__(texts, thinking=thinking)
        self.may: asyncio.Queue[int] = asyncio.Queue()
        #: Tokens of the first attempt, if there are to be two.
        self.before: bytes | None = None
        self.fails = False

    def may_draw(self, count: int) -> None:
        """Lets it draw that many tokens more."""
        for _ in range(count):
            self.may.put_nowait(1)

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """Waits for each token."""
        tell = request.on_token
        return super().generate(request) if tell is None else self._stepped(request, tell)

    def _answer(self, request: GenerateRequest) -> Generation:
        object.__setattr__(request, "on_token", None)
        return super()._answer(request)

    def _stepped(
        self, request: GenerateRequest, tell: Callable[[Partial], None]
    ) -> Future[Generation]:
        async def draw() -> Generation:
            generation = self._answer(request)
            partial = Partial()
            for tokens in (self.before or b"", generation.ids):
                partial = Partial()
                for token in tokens:
                    await self.may.get()
                    partial.ids.append(token)
                    tell(partial)
            if self.fails:
                raise CandidateError(Fault.UNUSABLE, "it broke")
            return generation

        return asyncio.ensure_future(draw())


@asynccontextmanager
async def listening(policy: SteppedPolicy, **options: Any) -> AsyncIterator[tuple[Served, Any]]:
    """A server on a real socket, and OpenAI's client of it."""
    import openai
    import uvicorn

    strategies = ["greedy", "self_refine", "majority"]
    async with serving(strategies, policy=policy, **options) as served:
        config = uvicorn.Config(served.app, port=0, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        running = asyncio.ensure_future(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        client = openai.AsyncOpenAI(
            base_url=f"http://127.0.0.1:{port}/v1", api_key="any", max_retries=0, timeout=20
        )
        try:
            yield served, client
        finally:
            await client.close()
            server.should_exit = True
            await running


ASKED: dict[str, Any] = {"model": "greedy", "messages": [{"role": "user", "content": "1 + 1"}]}


def test_tokens_reach_the_openai_client_as_they_are_drawn() -> None:
    async def asked() -> None:
        policy = SteppedPolicy([TEXT])
        async with listening(policy) as (served, client):
            whole = await client.chat.completions.create(**ASKED, seed=1)
            stream = await client.chat.completions.create(**ASKED, seed=1, stream=True)
            chunks = aiter(stream)
            text = ""
            # Each token is drawn only once the client has what was drawn before.
            for count in range(1, len(TEXT.encode()) + 1):
                policy.may_draw(1)
                certain = TEXT.encode()[:count].decode("utf-8", "ignore")
                while text != certain:
                    text += (await anext(chunks)).choices[0].delta.content or ""
                    assert certain.startswith(text)
            async for chunk in chunks:
                assert not chunk.choices[0].delta.content
            assert text == whole.choices[0].message.content == TEXT
            assert served.idle()

    asyncio.run(asyncio.wait_for(asked(), 15))


#: It ends as it begins, and so does a part of it.
KEY = "sk-0123-sk-0"


def test_a_key_that_a_server_repeats_reaches_no_client() -> None:
    """Token by token, whole, in candidates and in the trace."""
    conceal(KEY, "$A_KEY")
    wrote = "so {0} it {0}s</think>is {0}123: \\boxed{{{0}}} sk-0"
    extra = {"extra_body": {"tts": {"return": ["candidates", "trace"]}}}

    async def asked() -> None:
        policy = SteppedPolicy([wrote.format(KEY)], thinking=True)
        always = policy.binding.thinking
        assert always is not None
        policy.binding = policy.binding.model_copy(
            update={"thinking": always.model_copy(update={"always": True})}
        )
        async with listening(policy) as (_, client):
            stream = await client.chat.completions.create(**ASKED, **extra, seed=1, stream=True)
            thought, text, events = "", "", []
            shown = wrote.format("$A_KEY").split("</think>")
            policy.may_draw(1)
            async for chunk in stream:
                events.append(chunk.model_dump_json())
                if chunk.choices:
                    delta = chunk.choices[0].delta
                    thought += getattr(delta, "reasoning_content", None) or ""
                    text += delta.content or ""
                    assert not text or thought == shown[0]
                policy.may_draw(len(KEY) - 1 if thought else 200)
            whole = await client.chat.completions.create(**ASKED, **extra, seed=1)
        assert [thought, text] == shown
        assert whole.choices[0].message.content == text
        assert whole.tts["answer"] == "$A_KEY"
        assert whole.tts["candidates"][0]["answer"] == "$A_KEY"
        assert whole.tts["trace"]["nodes"]
        for reply in (*events, whole.model_dump_json()):
            assert KEY not in reply

    asyncio.run(asyncio.wait_for(asked(), 15))


@pytest.mark.parametrize("key", ["sk-0123", "abab", "aXa", "aaa", "$A_K", KEY])
def test_no_beginning_of_a_text_holds_a_part_of_a_key(key: str) -> None:
    conceal(key, "$A_KEY")
    chance = random.Random(1)
    for _ in range(300):
        text = "".join(chance.choices([key, *key, "z"], k=6))
        whole = concealed(text)
        sent = ""
        for size in range(len(text) + 1):
            beginning = concealed_beginning(text[:size])
            assert beginning.startswith(sent)
            assert whole.startswith(beginning)
            assert key not in text[:size] or "$A_K" in beginning
            sent = beginning
        assert whole.startswith(sent)


def test_completions_and_responses_are_streamed_too() -> None:
    async def asked() -> None:
        policy = SteppedPolicy([f"so it is</think>{TEXT}"], thinking=True)
        always = policy.binding.thinking
        assert always is not None
        policy.binding = policy.binding.model_copy(
            update={"thinking": always.model_copy(update={"always": True})}
        )
        half = len("so it is</think>") + 4
        async with listening(policy) as (_, client):
            for way in ("completions", "responses"):
                policy.may_draw(half)
                if way == "completions":
                    stream = await client.completions.create(
                        model="greedy", prompt="1 + 1", stream=True
                    )
                else:
                    stream = await client.responses.create(
                        model="greedy", input="1 + 1", stream=True
                    )
                text, thought, last = "", "", None
                async for event in stream:
                    last = event
                    if way == "completions":
                        text += event.choices[0].text
                    elif event.type == "response.output_text.delta":
                        text += event.delta
                    elif event.type == "response.reasoning_summary_text.delta":
                        thought += event.delta
                    if text == TEXT[:4] and policy.may.empty():
                        policy.may_draw(len(TEXT.encode()))
                while not policy.may.empty():
                    policy.may.get_nowait()
                assert text == TEXT
                if way == "responses":
                    assert thought == "so it is"
                    assert last is not None
                    assert last.response.output_text == TEXT
                    assert last.response.output[0].summary[0].text == "so it is"

    asyncio.run(asyncio.wait_for(asked(), 15))


@pytest.mark.parametrize(("before", "same"), [(TEXT[:9], True), ("b: no", False)])
def test_an_engine_that_begins_again_continues_or_ends_the_stream(before: str, same: bool) -> None:
    from openai import APIError

    async def asked() -> None:
        policy = SteppedPolicy([TEXT])
        policy.before = before.encode()
        async with listening(policy) as (served, client):
            stream = await client.chat.completions.create(**ASKED, stream=True)
            text = ""

            async def read() -> None:
                nonlocal text
                policy.may_draw(len(before))
                async for chunk in stream:
                    text += chunk.choices[0].delta.content or ""
                    if text == before:
                        policy.may_draw(len(TEXT.encode()))

            if same:
                await read()
                assert text == TEXT
            else:
                with pytest.raises(APIError, match="begin again"):
                    await read()
                assert text == before
            assert served.idle()

    asyncio.run(asyncio.wait_for(asked(), 15))


def test_an_engine_that_breaks_ends_the_stream_with_an_error() -> None:
    from openai import APIError

    async def asked() -> None:
        policy = SteppedPolicy([TEXT])
        policy.fails = True
        async with listening(policy) as (served, client):
            policy.may_draw(200)
            with pytest.raises(APIError, match="it broke"):
                async for _ in await client.chat.completions.create(**ASKED, stream=True):
                    pass
            assert served.idle()

    asyncio.run(asyncio.wait_for(asked(), 15))


@pytest.mark.parametrize("stream", [True, False])
def test_at_the_deadline_what_was_drawn_is_the_answer(stream: bool) -> None:
    async def asked() -> None:
        policy = SteppedPolicy([TEXT])
        async with listening(policy) as (served, client):
            policy.may_draw(8)
            body = {**ASKED, "extra_body": {"tts": {"budget": {"seconds": 0.5}}}}
            if not stream:
                reply = await client.chat.completions.create(**body)
                text, finish = reply.choices[0].message.content, reply.choices[0].finish_reason
                usage = reply.usage
            else:
                text, finish = "", None
                body["stream_options"] = {"include_usage": True}
                async for chunk in await client.chat.completions.create(**body, stream=True):
                    usage = chunk.usage
                    for choice in chunk.choices:
                        text += choice.delta.content or ""
                        finish = choice.finish_reason
            assert (text, finish) == (TEXT[:8], "length")
            whole = await client.chat.completions.create(**ASKED)
            prompt = whole.usage.prompt_tokens
            assert (usage.prompt_tokens, usage.completion_tokens) == (prompt, 8)
            assert usage.completion_tokens_details.reasoning_tokens == 0
            drawn = 8 + whole.usage.completion_tokens
            metrics = served.service.metrics.text().decode()
            assert f'tts_tokens_total{{kind="drawn",model="greedy"}} {drawn}.0' in metrics
            assert served.idle()

    asyncio.run(asyncio.wait_for(asked(), 15))


def test_a_client_that_leaves_in_the_middle_leaves_nothing() -> None:
    async def asked() -> None:
        policy = SteppedPolicy([TEXT])
        async with listening(policy) as (served, client):
            policy.may_draw(1)
            stream = await client.chat.completions.create(**ASKED, stream=True)
            async for chunk in stream:
                if chunk.choices[0].delta.content:
                    break
            await stream.close()
            while not served.idle():
                await asyncio.sleep(0.01)
            # What was drawn is paid, too.
            metrics = served.service.metrics.text().decode()
            assert 'tts_tokens_total{kind="drawn",model="greedy"} 1.0' in metrics

    asyncio.run(asyncio.wait_for(asked(), 15))


THINKING = Thinking(begin="<think>\n", end="</think>")


@pytest.mark.parametrize(
    ("text", "thinking", "expected"),
    [
        ("so</think>\n2", True, ("so", "\n2")),
        ("so", True, ("so", "")),
        ("so</thin", True, ("so</thin", "")),
        ("<think>\nso</think>2</think>3", False, ("\nso", "2</think>3")),
        (" <think>so", False, ("so", "")),
        ("<thin", False, ("", "<thin")),
        ("2</think>3", False, ("", "2</think>3")),
        ("", False, ("", "")),
        # Without delimiters of the binding's.
        ("<think>\nso</think>2</think>3", None, ("\nso", "2</think>3")),
        (" [THINK]so[/THINK]2", None, ("so", "2")),
        ("<thinking>so</think> [/THI", None, ("so</think> [/THI", "")),
        ("<thin", None, ("", "<thin")),
        ("so <think>2</think>", None, ("", "so <think>2</think>")),
        ("2</think>3", None, ("", "2</think>3")),
    ],
)
def test_a_thought_is_told_from_the_reply_however_the_text_arrives(
    text: str, thinking: bool | None, expected: tuple[str, str]
) -> None:
    binding = Binding(name="t", context=100, thinking=None if thinking is None else THINKING)
    thinking = bool(thinking)
    assert split_thought(text, binding, thinking=thinking) == expected
    chance = random.Random(1)
    for _ in range(20):
        split = ThoughtSplit(binding, thinking=thinking)
        at = 0
        while at < len(text):
            size = chance.randint(1, 5)
            split.feed(text[at : at + size])
            at += size
            assert expected[0].startswith(split.thought)
            assert expected[1].startswith(split.reply)
        assert split.close() == expected


def test_a_prompt_may_open_the_thought() -> None:
    opened = Binding(name="t", context=100, thinking=THINKING, prompt="{message}<think>\n")
    assert split_thought("a</think>b", opened, thinking=False) == ("a", "b")
