"""The solutions of a reply: `n`, votes without an answer, thoughts, tokens."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.serve.conftest import serving
from tests.support.scripted import ScriptedPolicy


def test_n_gives_the_best_rows_and_extras_the_search() -> None:
    async def asked() -> None:
        async with serving() as served:
            tts = {"return": ["candidates", "trace"]}
            reply = (await served.chat(model="best_of_n@n=5", n=3, seed=1, tts=tts)).json()
            assert [choice["index"] for choice in reply["choices"]] == [0, 1, 2]
            candidates = reply["tts"]["candidates"]
            assert len(candidates) == 5
            assert candidates[0]["text"].endswith(reply["choices"][0]["message"]["content"])
            scores = [each["scores"]["prm"][-1] for each in candidates]
            assert scores == sorted(scores, reverse=True)
            trace = reply["tts"]["trace"]
            assert len(trace["nodes"]) == 5
            assert all(node["place"].startswith("best_of_n.tts:") for node in trace["nodes"])
            assert trace["decisions"][-1]["op"] == "select"
            returned = sum(each["tokens"] for each in candidates[:3])
            usage = reply["usage"]
            unseen = usage["completion_tokens_details"]["reasoning_tokens"]
            assert unseen == usage["completion_tokens"] - returned

    asyncio.run(asked())


@pytest.mark.parametrize("stream", [False, True])
def test_a_vote_without_an_answer_returns_the_first_reply(stream: bool) -> None:
    """Of an open question, say; a thought that was cut off is none."""
    policy = ScriptedPolicy(["<think>Hm", "Hello.", "Good day."], thinking=True)

    async def asked() -> None:
        async with serving(policy=policy) as served:
            reply = await served.chat("Greet me", model="majority@n=3", stream=stream)
            if stream:
                assert '{"content": "Hello."}' in reply.text
                return
            body = reply.json()
            [choice] = body["choices"]
            assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello.", "stop")
            assert body["tts"]["answer"] is None
            usage = body["usage"]
            unseen = usage["completion_tokens_details"]["reasoning_tokens"]
            assert usage["completion_tokens"] - unseen == len("Hello.")

    asyncio.run(asked())


def test_all_solutions_of_a_vote_without_an_answer_are_candidates() -> None:
    policy = ScriptedPolicy(["Hello.", "Good day.", "Hi."])

    async def asked() -> None:
        async with serving(policy=policy) as served:
            body = (
                await served.chat(model="majority@n=3", n=2, tts={"return": ["candidates"]})
            ).json()
            said = [each["message"]["content"] for each in body["choices"]]
            assert said == ["Hello.", "Good day."]
            assert [each["text"] for each in body["tts"]["candidates"]] == [*said, "Hi."]

    asyncio.run(asked())


def test_where_all_solutions_of_a_vote_are_cut_off_the_reply_says_so(tmp_path: Path) -> None:
    file = tmp_path / "mine.tts"
    file.write_text("strategy mine():\n    return vote (sample 2 max 9 tokens)\n")
    policy = ScriptedPolicy(["<think>Hmmmmmm", "Well, hello."], thinking=True)

    async def asked() -> None:
        async with serving([str(file)], policy=policy) as served:
            body = (await served.chat(model="mine", n=2)).json()
            said = [(each["message"], each["finish_reason"]) for each in body["choices"]]
            assert [(each["content"], finish) for each, finish in said] == [
                ("Well, hel", "length"),
                ("", "length"),
            ]
            assert said[1][0]["reasoning_content"] == "Hm"

    asyncio.run(asked())


def test_nothing_is_made_up_where_a_strategy_returns_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mine.tts"
    file.write_text(
        'strategy mine():\n    pool = sample 2\n    good = pool where text contains "xyz"\n'
        "    return vote good\n"
    )

    async def asked() -> None:
        async with serving([str(file)], policy=ScriptedPolicy(["Hello.", "Hi."])) as served:
            body = (await served.chat(model="mine", n=2)).json()
            assert [each["message"]["content"] for each in body["choices"]] == [""]

    asyncio.run(asked())


def test_thoughts_of_choices_are_split_as_their_own_policy_writes_them(tmp_path: Path) -> None:
    file = tmp_path / "mine.tts"
    file.write_text(
        "policy other\n\nstrategy mine():\n    pool = (sample 1) + (sample 1 from other)\n"
        "    return vote pool\n"
    )
    plain, thinks = (
        ScriptedPolicy(["so \\boxed{1}"]),
        ScriptedPolicy(["<think>Hm</think>so \\boxed{1}"], thinking=True),
    )

    async def asked() -> None:
        async with serving([str(file)], policy=plain, others={"other": thinks}) as served:
            choices = (await served.chat(model="mine", n=2)).json()["choices"]
            messages = [each["message"] for each in choices]
            assert [each["content"] for each in messages] == ["so \\boxed{1}"] * 2
            assert [each.get("reasoning_content") for each in messages] == [None, "Hm"]

    asyncio.run(asked())


def test_tokens_that_choices_share_are_returned_once(tmp_path: Path) -> None:
    file = tmp_path / "mine.tts"
    file.write_text(
        "strategy mine():\n    pool = sample 1 step\n    pool = expand pool by 4\n"
        "    score pool by prm\n    return best of pool by last(prm)\n"
    )

    async def asked() -> None:
        async with serving([str(file)]) as served:
            tts = {"return": ["candidates", "trace"]}
            reply = (await served.chat(model="mine", seed=2, n=4, tts=tts)).json()
            candidates, usage = reply["tts"]["candidates"], reply["usage"]
            drawn, ends = usage["completion_tokens"], len(candidates)
            assert len(candidates) == len(reply["choices"]) == 4
            assert sum(each["tokens"] for each in candidates) > drawn
            # Tokens that end a text are in none.
            assert usage["completion_tokens_details"]["reasoning_tokens"] <= ends

    asyncio.run(asked())
