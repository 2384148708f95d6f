"""Prompts and their arguments, filled from rows (the runtime half of tts_lang.plan.template)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tts_lang.plan.expr import Expr
from tts_lang.plan.template import Slot, Template
from tts_runtime.executor.expressions import Compiler
from tts_runtime.executor.model import Row
from tts_runtime.executor.views import View
from tts_runtime.streams import Part


def shown(row: Row) -> str:
    """A row's text; the question for the problem's own row."""
    node = row.node
    return node.text if node.start is None else node.conversation.message


def _solution(row: Row) -> str:
    text = shown(row)
    thinking = row.node.policy.binding.thinking
    return text if thinking is None else text.rpartition(thinking.end)[2]


def _parent_text(row: Row) -> str:
    parent = row.candidate.parent
    return "" if parent is None else shown(parent)


#: Slots that show one row.
_OF_ROW: Final[Mapping[str, Callable[[Row], str]]] = {
    "text": shown,
    "solution": _solution,
    "answer": lambda row: row.node.written or "",
    "parent.text": _parent_text,
}


def _listed(what: str, texts: Sequence[str]) -> str:
    return "\n\n".join(f"{what} {place}:\n{text}" for place, text in enumerate(texts, 1))


def _attempts(row: Row, last: int | None) -> str:
    """The line of asks that led to a row, oldest first."""
    line: list[str] = []
    current: Row | None = row
    while current is not None and not current.candidate.problem:
        line.append(shown(current).strip())
        current = current.candidate.about
    line.reverse()
    return _listed("Attempt", line if last is None else line[-last:])


def _argument(value: Any) -> str:
    if isinstance(value, list):
        return "\n\n".join(shown(row) for row in value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value)


def fill(
    template: Template,
    problem: str,
    arguments: Mapping[str, Any],
    row: Row,
    pool: Sequence[Row],
) -> str:
    """A prompt's text about one row of a pool; of a whole pool, `row` is its first.

    An argument is a number, a text, or a pool as its rows.
    """
    parts: list[str] = []
    for part in template.parts:
        if not isinstance(part, Slot):
            parts.append(part)
        elif part.name in arguments:
            parts.append(_argument(arguments[part.name]))
        elif part.name == "problem":
            parts.append(problem)
        elif part.name == "candidates":
            parts.append(_listed("Candidate", [shown(each) for each in pool]))
        elif part.name == "others":
            others = [each for each in pool if each.candidate is not row.candidate]
            parts.append(_listed("Candidate", [shown(each) for each in others]))
        elif part.name == "attempts":
            parts.append(_attempts(row, part.last))
        else:
            parts.append(_OF_ROW[part.name](row))
    return "".join(parts)


def argument_parts(arguments: Mapping[str, Any]) -> list[Part]:
    """What a prompt's pools add to the key of a conversation (C5); the message shows the rest."""
    parts: list[Part] = []
    for value in arguments.values():
        if isinstance(value, list):
            parts += ["pool", len(value)]
            for row in value:
                parts += [row.node.key, row.node.position]
    return parts


def needs_others(template: Template) -> bool:
    """Whether a row's prompt shows other rows of its pool."""
    return any(
        isinstance(part, Slot) and part.name in ("candidates", "others") for part in template.parts
    )


def compiled_arguments(
    compiler: Compiler, arguments: Sequence[tuple[str, Expr | int]]
) -> dict[str, Any]:
    """A prompt's arguments: expressions compiled, pools as the index of their input."""
    return {
        name: argument if isinstance(argument, int) else compiler.compile(argument)
        for name, argument in arguments
    }


def argument_values(arguments: Mapping[str, Any], problem: Row, view: View) -> dict[str, Any]:
    """The arguments' values for a call's problem row; `view` holds the rows of the pools."""
    return {
        name: view.inputs[argument] if isinstance(argument, int) else argument(problem, view)
        for name, argument in arguments.items()
    }
