"""Texts as ids: round trips, borders of tokens, ends of thoughts, whatever a server tells."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.servers.test_behaviours import RIGHT, chats_only, result_of, serving
from tests.support.runs import plan_of
from tests.support.scripted_server import Asked, Reply, chat, completion, models
from tests.support.tiny_hf import metaspace
from tts_runtime import Problem, Response, Session
from tts_runtime.engines.base import Finish, GenerateRequest, Limits, Sampling
from tts_runtime.engines.hf.tokenizer import HuggingFaceTokenizer
from tts_runtime.engines.http.retry import Transient
from tts_runtime.engines.http.semaphore import PrioritySemaphore
from tts_runtime.engines.openai.replies import Chunk, ReplyToken, Usage, read
from tts_runtime.engines.openai.sampled import (
    END,
    SampledToken,
    Vocabulary,
)
from tts_runtime.engines.openai.stop_tracking import StopTracker
from tts_runtime.steps import NOTHING, StepSplit
from tts_runtime.tokens import TEXT, TextTokenizer, split_evenly, to_bytes

VOCABULARY = Vocabulary(TEXT, frozenset(), ("<stop>",))
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@settings(deadline=None)
@given(anything)
def test_texts_round_trip_and_ids_are_the_same_everywhere(text: str) -> None:
    ids = TEXT.encode(text)
    assert to_bytes(TEXT, ids).decode() == text
    assert TextTokenizer().encode(text) == ids
    assert len(ids) <= len(text)


@settings(deadline=None)
@given(anything, st.integers(1, 30))
def test_a_text_is_cut_into_as_many_pieces_as_were_counted(text: str, many: int) -> None:
    pieces = split_evenly(text, many)
    assert "".join(pieces) == text
    assert len(pieces) == many


def test_unknown_ids_are_errors() -> None:
    with pytest.raises(IndexError):
        TEXT.pieces[12345]
    with pytest.raises(TypeError):
        TEXT.pieces[1:2]


def chunk(text: str, *names: str, finish: str | None = None, stop: str | None = None) -> Chunk:
    """A reply with tokens of these texts."""
    tokens = tuple(ReplyToken(name.encode(), None, -1.0) for name in names)
    return Chunk(text, tokens, finish, stop, None)


def said(drawn: list[SampledToken]) -> list[bytes]:
    """Pieces, the end as `b"END"`."""
    return [b"END" if each.token == END else TEXT.pieces[each.token] for each in drawn]


#: A character and a stop text, which come evenly in as many pieces as there are tokens.
SPOILT_STOP = ["é".encode(), b"\n", b"\n"]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (chunk("ab", "a", "b"), [b"a", b"b"]),
        (chunk("ab", "a", "b", finish="length"), [b"a", b"b"]),
        (chunk("ab", "a", "b", finish="stop"), [b"a", b"b", b"END"]),
        (chunk("ab", "a", "b", "<eos>", finish="stop"), [b"a", b"b", b"END"]),
        (chunk("ab", "a", "b", "", finish="stop"), [b"a", b"b", b"END"]),
        # A stop text is in the tokens, and not in the text.
        (chunk("a", "a", "\n\nb", finish="stop", stop="\n\n"), [b"a", b"\n\nb"]),
        (chunk("a", finish="stop", stop="\n\n"), [b"a", b"\n\n"]),
        # A token of the binding's that ends a solution.
        (chunk("a<stop>", "a", "<stop>"), [b"a", b"END"]),
        # A character spread over two tokens is spoilt in both, and whole in the text.
        (chunk("aé", "a", "\ufffd", "\ufffd"), [b"a", "é".encode(), b""]),
        (chunk("é", "\ufffd", "\ufffd", "<eos>", finish="stop"), ["é".encode(), b"", b"END"]),
        (chunk("é", "\ufffd", "\ufffd", "\n\nb", finish="stop", stop="\n\n"), SPOILT_STOP),
        # An end of several tokens; white space before the text that the server removes.
        (chunk("ab", "a", "b", "<e", "os>", finish="stop"), [b"a", b"b", b"END"]),
        (chunk("ab", "\n", " a", "b", finish="length"), [b"", b"a", b"b"]),
        # Tokens that do not spell the text: some of them, their names, without their spaces.
        (chunk("ab c", "a", finish="stop"), [b"ab", b" c", b"END"]),
        (chunk("ab c", "ab", "\u0120c", finish="stop"), [b"ab", b" c", b"END"]),
        (chunk("ab c", "ab", "c", finish="length"), [b"ab", b" c"]),
        (chunk("ab", "a", "b", "c", finish="length"), [b"ab"]),
        (chunk("ab é c", "ab", " \ufffd", "\ufffd"), [b"ab", " é".encode(), b" c"]),
        (chunk("", finish="stop"), [b"END"]),
    ],
)
def test_what_a_server_tells_becomes_tokens(reply: Chunk, expected: list[bytes]) -> None:
    assert said(VOCABULARY.drawn(reply)) == expected


def test_pieces_of_a_reply_have_no_spaces_of_their_own(tmp_path: Path) -> None:
    """A tokenizer that begins texts with a space, and a server that tells texts only."""
    metaspace().save(str(tmp_path / "tokenizer.json"))
    tokenizer = HuggingFaceTokenizer(tmp_path)
    vocabulary = Vocabulary(tokenizer, frozenset(), ())
    drawn = [each for part in ("St", "ep 1", ":") for each in vocabulary.drawn(chunk(part))]
    assert to_bytes(tokenizer, [each.token for each in drawn]) == b"Step 1:"


@pytest.mark.parametrize(
    ("events", "expected", "failed"),
    [
        ([("a", [b"a"]), (" b", [b" b"])], "a b", False),
        # The text comes behind its tokens: parts of a character, what may begin a stop text.
        ([("", [b"\xc3"]), ("\u00e9!", [b"\xa9", b"!"])], "\u00e9!", False),
        ([("", [b"a"]), ("", [b"b"]), ("abc", [b"c"])], "abc", False),
        ([("", [b" \xef\xbf\xbd"]), (" \u00e9", [b"\xef\xbf\xbd"])], " \u00e9", False),
        ([("a", [b"a"]), (" b", ["\u0120b".encode()])], "a b", True),
        ([("ab c", [b"ab"]), ("d", [b"d"])], "ab cd", True),
        ([("", [b"x"]), ("y", [b"y"])], "xy", False),
    ],
)
def test_tokens_of_a_stream_may_come_before_their_text(
    events: list[tuple[str, list[bytes]]], expected: str, failed: bool
) -> None:
    spelling = VOCABULARY.spelling(streamed=True)
    ids: list[int] = []
    for text, names in events:
        tokens = tuple(ReplyToken(name, None, -1.0) for name in names)
        reply = Chunk(text, tokens, None, None, None)
        ids += [each.token for each in VOCABULARY.drawn(reply, spelling=spelling)]
    assert to_bytes(TEXT, ids).decode() == expected
    assert spelling.failed is failed


def follow(pieces: list[str], prefix: str = "", size: int = 50) -> tuple[bytes, Finish | None]:
    """What a thought holds when these pieces come in after a prefix."""
    limits = Limits(size, thought=TEXT.encode("</think>"))
    begun = TEXT.encode(prefix)
    request = GenerateRequest(TEXT.encode("Q"), begun, b"k" * 16, Sampling(), limits, NOTHING)
    tracker = StopTracker(request, VOCABULARY, b"\n\n")
    for piece in pieces:
        tracker.feed([SampledToken(TEXT.id(piece.encode()), -1.0)])
    tracker.flush()
    return to_bytes(TEXT, tracker.ids), tracker.criteria.finish


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["ab", "</think>", "x"], (b"ab", Finish.STOP)),
        (["ab", "</", "think", ">", "x"], (b"ab", Finish.STOP)),
        (["ab</", "think>x"], (b"ab", Finish.STOP)),
        (["ab", "</th", "ought>", "x"], (b"ab</thought>x", None)),
        (["<", "<", "/think>"], (b"<", Finish.STOP)),
        (["a</thi"], (b"a</thi", None)),
    ],
)
def test_a_thoughts_end_is_found_however_it_is_cut(
    pieces: list[str], expected: tuple[bytes, Finish | None]
) -> None:
    assert follow(pieces) == expected


def test_a_thoughts_end_may_begin_in_the_prefix() -> None:
    assert follow(["ink>", "x"], prefix="hm </th") == (b"", Finish.STOP)


@settings(deadline=None)
@given(st.text("</think> a", max_size=24), st.lists(st.integers(1, 5), min_size=24))
def test_the_first_end_counts_whatever_the_tokens(text: str, sizes: list[int]) -> None:
    pieces, rest = [], text + "</think>tail"
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    found, finish = follow([piece for piece in (*pieces, rest) if piece], size=1000)
    assert finish is Finish.STOP
    assert found.decode() == (text + "</think>").partition("</think>")[0]


def test_steps_are_those_of_the_text() -> None:
    request = GenerateRequest((), (), b"k" * 16, Sampling(), Limits(50, steps=1), NOTHING)
    tracker = StopTracker(request, VOCABULARY, b"\n\n")
    tracker.feed(
        [SampledToken(TEXT.id(piece.encode()), -1.0) for piece in ("\n\n", "a", "\n", "\nb", "c")]
    )
    assert tracker.criteria.segments == StepSplit((b"\n\na",), b"b", False)
    assert tracker.criteria.finish is Finish.STOP


@pytest.mark.parametrize(
    "reply",
    [
        None,
        {"choices": [{"text": "a", "logprobs": {"tokens": ["a"], "token_logprobs": [-1, -2]}}]},
        {"choices": [{"text": "a", "token_ids": [1, 2], "logprobs": {"tokens": ["a"]}}]},
        {
            "choices": [
                {
                    "message": {},
                    "logprobs": {"content": [{"token": "a", "logprob": 0, "bytes": [900]}]},
                }
            ]
        },
        {"choices": [{"text": "a", "finish_reason": "abort"}]},
        {"choices": [{"text": "a", "finish_reason": "network_error"}]},
    ],
)
def test_replies_that_make_no_sense_are_asked_for_again(reply: object) -> None:
    with pytest.raises(Transient):
        read(reply)


@pytest.mark.parametrize(
    ("prompt", "counts", "drawn", "thought"),
    [
        (10, {"completion_tokens": 20, "total_tokens": 30}, 20, None),
        (10, {"completion_tokens": 20, "reasoning_tokens": 15, "total_tokens": 30}, 20, 15),
        # Thoughts that are not among the drawn ones: xAI's, Gemini's, and without a total.
        (32, {"completion_tokens": 100, "reasoning_tokens": 94, "total_tokens": 226}, 194, 94),
        (10, {"completion_tokens": 20, "total_tokens": 1230}, 1220, 1200),
        (10, {"completion_tokens": 20, "reasoning_tokens": 90}, 110, 90),
        # Totals that do not fit.
        (10, {"completion_tokens": 20, "total_tokens": 5}, 20, None),
        (10, {"completion_tokens": 20, "total_tokens": None}, 20, None),
        (None, {"completion_tokens": 20, "total_tokens": 30}, 20, None),
    ],
)
def test_what_a_server_bills_was_drawn(
    prompt: int | None, counts: dict[str, int | None], drawn: int, thought: int | None
) -> None:
    usage = {**counts, **({} if prompt is None else {"prompt_tokens": prompt})}
    reply = {"choices": [{"text": "a", "finish_reason": "stop"}], "usage": usage}
    assert read(reply).usage == Usage(prompt or 0, drawn, thought)


@pytest.mark.parametrize(
    "logprobs",
    [
        {"tokens": [12, 13], "token_logprobs": [-0.1, -0.1], "top_logprobs": []},
        {"tokens": ["a", None], "token_logprobs": [-0.1, -0.1]},
        {"content": [{"token": 12, "logprob": -0.1}]},
        {"content": [None]},
    ],
)
def test_tokens_without_a_text_are_missing(logprobs: dict[str, object]) -> None:
    reply = read({"choices": [{"text": "a", "finish_reason": "stop", "logprobs": logprobs}]})
    assert (reply.text, reply.tokens, reply.told) == ("a", (), False)


def test_a_gate_passes_a_given_place_on_when_its_taker_is_cancelled() -> None:
    async def main() -> list[int]:
        semaphore, entered = PrioritySemaphore(1), []

        async def visit(number: int) -> None:
            async with semaphore.permit(0):
                entered.append(number)
                await asyncio.sleep(0)

        await semaphore.enter(0)
        visits = [asyncio.ensure_future(visit(number)) for number in range(3)]
        await asyncio.sleep(0)
        semaphore.leave()  # the first visit gets the place, and is cancelled before it runs
        visits[0].cancel()
        await asyncio.gather(*visits, return_exceptions=True)
        return entered

    assert asyncio.run(main()) == [1, 2]


@pytest.mark.parametrize(
    ("said", "finish"),
    [
        ({"finish_reason": "sensitive"}, "filter"),  # Zhipu
        ({"finish_reason": "content_filtered"}, "filter"),  # Bedrock
        ({"finish_reason": "guardrail_intervened"}, "filter"),
        ({"finish_reason": "SPII"}, "filter"),  # Gemini
        ({"finish_reason": "content_filter: RECITATION"}, "filter"),
        ({"finish_reason": "function_call_filter: MALFORMED_FUNCTION_CALL"}, "filter"),
        ({"finish_reason": "model_context_window_exceeded"}, "length"),  # Bedrock, Zhipu
        ({"finish_reason": "time_limit"}, "length"),  # watsonx
        ({"finish_reason": "end_turn"}, "stop"),
        ({"finish_reason": None, "finishReason": "stop"}, "stop"),  # Gemini
    ],
)
def test_reasons_of_an_end_in_words_of_other_servers(said: dict[str, Any], finish: str) -> None:
    assert read({"choices": [{"message": {"content": "so far"}, **said}]}).finish == finish


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize("word", ["end_turn", "eos", "1", "<|im_end|>"])
def test_a_stop_that_the_strategy_did_not_ask_for_is_the_end(api: str, word: str) -> None:
    """vLLM has the stop text in `stop_reason`; others say there what `finish_reason` says."""

    def answer(asked: Asked) -> Reply:
        reply = chat(RIGHT) if asked.chat else completion(RIGHT)
        reply.body["choices"][0]["stop_reason"] = word
        assert len(server.asked) < 20, "it asks for ever"
        return reply

    with serving(answer) as server:
        result = result_of(server, "greedy", f"api={api}&binding=qwen2.5-instruct")
    assert [each.answer for each in result.answers] == ["42", "42"]


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize(
    ("streamed", "marker"),
    [
        (False, ("<|im_end|>",)),
        (True, ("<|im_end|>",)),
        (True, ("<|", "im_", "end", "|>")),
        (True, (" <", "<|im_end", "|>")),
    ],
)
def test_a_server_that_ignores_stop_is_cut_at_the_end(
    api: str, marker: Sequence[str], *, streamed: bool
) -> None:
    behind = *marker, "\n<|im_start|>assistant\n", "It is \\boxed{7}."

    def answer(asked: Asked) -> Reply:
        assert asked.body["stop"] == ["<|im_end|>", "<|endoftext|>"]
        assert len(server.asked) < 20, "it asks for ever"
        parts = (RIGHT, *behind)
        if not asked.body.get("stream"):
            text = "".join(parts)
            return chat(text, "length", 60) if asked.chat else completion(text, "length")
        named = [{"delta": {"content": part}} if asked.chat else {"text": part} for part in parts]
        return Reply(events=tuple({"choices": [each]} for each in named))

    plan = plan_of("return sample 1 steps" if streamed else "return sample 1")
    with serving(answer) as server:
        result = result_of(server, plan, f"api={api}&binding=qwen2.5-instruct")
    assert [each.answer for each in result.answers] == ["42", "42"]


def test_what_only_begins_like_an_end_marker_is_read_piece_by_piece() -> None:
    """Without counts of the server's, a short piece is a token."""
    parts = "x", "<", "y", " and", " <|", "im", " \\boxed{42}", "<"

    def answer(asked: Asked) -> Reply:
        if not asked.body.get("stream"):
            return chat("".join(parts))
        deltas = *({"delta": {"content": part}} for part in parts), {"finish_reason": "stop"}
        return Reply(events=tuple({"choices": [each]} for each in deltas))

    with serving(answer) as server:
        plan = plan_of("return sample 1 steps")
        result = result_of(server, plan, "api=chat&binding=qwen2.5-instruct")
    assert [each.answer for each in result.answers] == ["42", "42"]
    assert result.summary.policy_tokens == 2 * (len(parts) + 1)  # and the end


def test_thoughts_in_the_content_are_no_part_of_a_solution_without_a_binding() -> None:
    written = f"<think>maybe \\boxed{{1}}, like {RIGHT}</think>\n\n{RIGHT}"
    plan = plan_of(
        "p = sample 1",
        "q = ask shown about p",
        "return first of q + (ask again about p with history)",
        before='prompt shown = "Check {solution}"\nprompt again = "Sure?"\n',
    )
    with serving(chats_only(lambda _asked: chat(written))) as server:
        name = f"openai:{server.root}/v1#m?api=chat&context=512"

        async def main() -> Response:
            async with Session({"policy": name}, {}) as session:
                return await session.answer(plan, Problem("1", "What?", "42"))

        response = asyncio.run(main())
        said = [each for body in server.sent() for each in body["messages"]]
    assert response.text == written
    assert (response.thought, response.reply) == (written[7 : written.index("</")], f"\n\n{RIGHT}")
    assert {"role": "user", "content": f"Check \n\n{RIGHT}"} in said
    assert {"role": "assistant", "content": RIGHT} in said


@pytest.mark.parametrize("streams", [True, False])
def test_a_byte_order_mark_is_no_text(streams: bool) -> None:
    mark = "\ufeff".encode()

    def answer(asked: Asked) -> Reply:
        reply = chat("It", "length", 1) if asked.body["max_tokens"] == 1 else chat(RIGHT)
        if not (asked.body.get("stream") and streams):
            return Reply(mark + json.dumps(reply.body).encode())
        event = {"choices": [{"index": 0, "delta": {"content": RIGHT}, "finish_reason": "stop"}]}
        body = f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode()
        return Reply(mark + body, headers={"content-type": "text/event-stream"})

    listed = Reply(mark + json.dumps(models().body).encode())
    with serving(chats_only(answer), listed) as server:
        for plan in ("greedy", plan_of('return sample 1 stop at "never"')):
            assert result_of(server, plan, "attempts=1").summary.accuracy == 1.0


def test_an_empty_text_hides_no_message() -> None:
    choice = {"text": "", "message": {"content": "2"}, "finish_reason": "stop"}
    assert read({"choices": [choice]}).text == "2"
