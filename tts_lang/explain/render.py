"""EXPLAIN as text and as JSON values.

Text is built without a terminal library: starting one would take longer than the whole command.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict

from tts_lang.explain.bounds import Rows, Spent
from tts_lang.explain.tree import Explained, Line

_BOLD, _DIM, _RESET = "\033[1m", "\033[2m", "\033[0m"
_HEADINGS = ("rows", "policy calls", "tokens", "scorer tokens")
_LEAST_WIDTH = 28


def number(value: int | None) -> str:
    """`16,384`; a bound that does not exist is said to be so."""
    return "unbounded" if value is None else f"{value:,}"


def row_count(rows: Rows | None) -> str:
    """`16` if it is always so, else `<= 16`."""
    if rows is None:
        return ""
    return number(rows.high) if rows.low == rows.high else f"<= {number(rows.high)}"


def to_text(explained: Explained, width: int = 100, *, color: bool = False) -> str:
    """The tree with its bounds, totals and what they assume; no line is wider than `width`
    unless the numbers alone are."""
    out = [f"{_BOLD}{explained.title}{_RESET}" if color else explained.title]
    if explained.plan.document:
        first = explained.plan.document.strip().split("\n")[0]
        out.extend(textwrap.wrap(first, width))
    out += ["", *table(explained.lines, "at most, per problem", width, color=color)]
    out += ["", *_totals(explained, width)]
    return "\n".join(out) + "\n"


def table(lines: tuple[Line, ...], title: str, width: int, *, color: bool = False) -> list[str]:
    """The tree's lines with their rows and costs, under a title."""
    cells = [(prefix, line, _cells(line)) for prefix, line in _walk(lines, "")]
    used = [
        max([len(heading), *(len(cell[i]) for _, _, cell in cells)])
        for i, heading in enumerate(_HEADINGS)
    ]
    right = sum(used) + 2 * len(used)
    left = max(_LEAST_WIDTH, width - right)
    # Close to the text where the text is short: numbers far away are hard to follow.
    left = min(left, max([20, *(len(p[0]) + len(line.text) + 1 for p, line, _ in cells)]))

    def row(text: str, values: tuple[str, ...], style: str = "") -> str:
        shown = "".join(f"  {value:>{size}}" for value, size in zip(values, used, strict=True))
        full = f"{text:<{left}}{shown}".rstrip()
        return f"{style}{full}{_RESET}" if color and style else full

    out = [row(title, _HEADINGS, _DIM)]
    for (first_prefix, next_prefix), line, values in cells:
        room = max(12, left - len(first_prefix))
        pieces = textwrap.wrap(line.text, room, subsequent_indent="    ") or [""]
        out.append(row(first_prefix + pieces[0], values))
        out.extend(next_prefix + piece for piece in pieces[1:])
    return out


def _cells(line: Line) -> tuple[str, ...]:
    spent = line.spent
    if spent is None:
        return (row_count(line.rows), "", "", "")
    costs = (spent.policy_calls, spent.sampled_tokens, spent.scorer_tokens)
    return (row_count(line.rows), *("" if value == 0 else number(value) for value in costs))


def _walk(lines: tuple[Line, ...], prefix: str) -> Iterator[tuple[tuple[str, str], Line]]:
    """Lines with the guides of their first row and of rows that continue them."""
    for index, line in enumerate(lines):
        last = index == len(lines) - 1
        below = prefix + ("   " if last else "│  ")
        yield (prefix + ("└─ " if last else "├─ "), below), line
        yield from _walk(line.inside, below)


def _totals(explained: Explained, width: int) -> Iterator[str]:
    bounds, total = explained.bounds, explained.bounds.total
    yield "total, at most, per problem"
    for name, value, note in (
        ("policy calls", total.policy_calls, ""),
        ("sampled tokens", total.sampled_tokens, _token_note(total, bounds.context)),
        ("scorer calls", total.scorer_calls, ""),
        ("scorer tokens", total.scorer_tokens, ""),
        ("engine rounds", total.rounds, ""),
    ):
        yield f"  {name:<15}{number(value):>15}" + (f"  {note}" if note else "")
    notes: list[str] = []
    if total.open_calls and bounds.context is not None:
        notes.append(
            f"assumed: a context window of {bounds.context:,} tokens, the only limit of "
            f"{total.open_calls:,} calls (--assume context=N)"
        )
    elif bounds.context is not None and total.scorer_tokens:
        notes.append(f"assumed: a context window of {bounds.context:,} tokens (--assume context=N)")
    if total.scorer_tokens != 0:
        notes.append(
            "counted: a process scorer reads each token of a path once, other scorers the whole "
            "path each time; the problem's own tokens come on top"
        )
    for note in notes:
        yield from textwrap.wrap(note, width, subsequent_indent="  ")


def _token_note(total: Spent, context: int | None) -> str:
    """Where the token bound comes from, in symbols: calls that only the window ends x its size."""
    if not total.open_calls:
        return ""
    calls = f"{total.open_calls:,} {'call' if total.open_calls == 1 else 'calls'} x context"
    if context is None or total.sampled_tokens is None:
        return f"= {calls}" if total.open_calls == total.policy_calls else f"{calls} among them"
    rest = total.sampled_tokens - total.open_calls * context
    return f"= {calls}" + (f" + {rest:,}" if rest > 0 else "")


def to_values(explained: Explained) -> dict[str, object]:
    """The same for programs: plain JSON values; `null` for a bound that does not exist."""
    plan, bounds = explained.plan, explained.bounds
    return {
        "strategy": plan.strategy,
        "parameters": dict(plan.parameters),
        "assumed": {"context": bounds.context},
        "total": asdict(bounds.total),
        "result_rows": asdict(bounds.result),
        "operations": [_line_values(line) for line in explained.lines],
    }


def _line_values(line: Line) -> dict[str, object]:
    return {
        "op": line.op,
        "text": line.text,
        "origin": asdict(line.origin) if line.origin is not None else None,
        "rows": asdict(line.rows) if line.rows is not None else None,
        "spent": asdict(line.spent) if line.spent is not None else None,
        "inside": [_line_values(inner) for inner in line.inside],
    }
