"""Prompt tokens are what a policy reads and did not draw itself, each once."""

from __future__ import annotations

import pytest

from tests.support.agreement import by_executor, compiled, world
from tts_runtime.problems import Problem

PROBLEM = Problem("p", "What is 1+2?", None, {})
PROMPT = 'prompt again = """{text} again"""\n'


def prompt_tokens(body: str, *, before: str = "") -> int:
    """Prompt tokens of one problem under a strategy with this body."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    plan = compiled(f"{before}strategy main():\n{lines}")
    return by_executor(plan, world(1), PROBLEM, 0).counts.prompt_tokens


def test_a_prompt_is_read_once_however_many_samples() -> None:
    one = prompt_tokens("return sample 1")
    assert one > 0
    assert prompt_tokens("return vote (sample 5)") == one
    assert prompt_tokens("pool = sample 3 steps\nreturn vote (expand pool by 2)") == one


def test_forced_text_is_read_and_drawn_text_is_not() -> None:
    body = 'pool = sample 1 steps\nforce "abc" into pool\nreturn expand pool by 2 x 4 tokens'
    bare = prompt_tokens("return sample 1")
    forced = prompt_tokens(body.replace("return expand", "return first of (expand") + ")")
    assert forced == bare + 3


@pytest.mark.parametrize("asks", [1, 2])
def test_every_conversation_reads_its_own_prompt(asks: int) -> None:
    lines = ["pool = sample 1", *["pool = ask again about pool"] * asks, "return pool"]
    longer = prompt_tokens("\n".join(lines), before=PROMPT)
    shorter = prompt_tokens("\n".join([*lines[:asks], "return pool"]), before=PROMPT)
    assert longer > shorter
