"""Which tokens of a path a token statistic is about."""

from __future__ import annotations

from collections.abc import Sequence

from tests.support.reference.model import Node, Token
from tts_runtime.answers import extract_answer
from tts_runtime.binding import Binding
from tts_runtime.engines.base import Finish
from tts_runtime.steps import NOTHING
from tts_runtime.tokens import to_bytes


def drawn(tokens: Sequence[Token], statistic: str) -> list[float]:
    """Values of the sampled ones: forced tokens have none."""
    return [token.statistics[statistic] for token in tokens if token.sampled]


def last_step(node: Node, delimiter: bytes) -> Sequence[Token]:
    """Tokens of the last step, its delimiter included; what follows a delimiter opens the next."""
    steps: list[list[Token]] = [[]]
    segments = NOTHING
    for token in node.path:
        closed = len(segments.closed)
        segments = segments.add(node.tokenizer.pieces[token.id], delimiter)
        steps[-1].append(token)
        # A token that closes two pieces ends two steps, the second of them without tokens.
        steps += [[] for _ in range(len(segments.closed) - closed)]
    if segments.steps == 0:
        return []
    return steps[segments.steps - 1]


def written_answer(node: Node, binding: Binding) -> str | None:
    """The answer as it stands in the text."""
    return extract_answer(
        node.text,
        binding.answer,
        "end" if node.finish is Finish.END else "",
        binding.thinking.end if binding.thinking else None,
    )


def answer_tokens(node: Node, written: str | None) -> Sequence[Token]:
    """Tokens that hold a byte of the answer, where it stands last."""
    if written is None:
        return []
    start = to_bytes(node.tokenizer, node.ids).rfind(written.encode())
    if start < 0:
        return []
    end = start + len(written.encode())
    found: list[Token] = []
    reached = 0
    for token in node.path:
        before, reached = reached, reached + len(node.tokenizer.pieces[token.id])
        if before < end and reached > start:
            found.append(token)
    return found
