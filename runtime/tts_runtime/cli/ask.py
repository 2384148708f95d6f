"""`tts-run --ask`: the answer to one question, and the text of the candidate that gave it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tts_lang.explain.units import counted
from tts_lang.printable import printable
from tts_runtime.executor import Outcome
from tts_runtime.runs.results import Result


@dataclass(frozen=True, slots=True)
class Reply:
    """The returned candidate of a strategy.

    Args:
        text: Its whole text; `None` if no candidate was returned.
    """

    strategy: str
    answer: str | None
    text: str | None
    error: str | None


def reply(strategy: str, outcome: Outcome) -> Reply:
    """The reply of a strategy's only outcome."""
    text = outcome.text if outcome.row else None
    return Reply(strategy, outcome.answer, text, outcome.error)


def shown(replies: Sequence[Reply], results: Sequence[Result]) -> str:
    """For people: the answer, the text, and what it took; under the strategy's name if several."""
    blocks = []
    for reply, result in zip(replies, results, strict=True):
        lines = [f"{reply.strategy}:"] if len(replies) > 1 else []
        lines.append(f"answer: {reply.answer if reply.answer is not None else 'none'}")
        if reply.text is not None:
            lines += ["", reply.text.strip("\n")]
        summary = result.summary
        calls, tokens = summary.policy_calls, summary.policy_tokens
        lines += ["", f"({counted(calls, 'call')}, {counted(tokens, 'token')})"]
        blocks.append("\n".join(lines))
    return printable("\n\n".join(blocks))


def as_json(each: Reply, result: Result) -> str:
    """The reply and the summary of a strategy as one JSON object."""
    summary = json.loads(result.summary.model_dump_json())
    return printable(json.dumps({**summary, "answer": each.answer, "text": each.text}))
