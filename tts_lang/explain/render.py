"""EXPLAIN as text.

Text is built without a terminal library: starting one would take longer than the whole command.
Rows stand on the left, so that a line without costs may run on where the costs would be.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tts_lang.explain.costs import CostBounds
from tts_lang.explain.domain import Cost
from tts_lang.explain.models import FORMULA
from tts_lang.explain.tree import Explained, Line
from tts_lang.explain.units import exact, row_count, short
from tts_lang.plan.graph import Judge, Scorer
from tts_lang.printable import printable

_BOLD, _DIM, _RESET = "\033[1m", "\033[2m", "\033[0m"
_LEAST_WIDTH = 28
#: Columns that are left out where there is no room, in this order.
_DISPENSABLE: Final = (
    "whole_scorer_tokens",
    "cached_tokens",
    "prefilled_tokens",
    "flops",
    "scorer_tokens",
    "rounds",
)


@dataclass(frozen=True, slots=True)
class CostFigure:
    """One cost: its field in `Spent` and `Cost`, its column, its name, its meaning."""

    field: str
    column: str
    name: str
    meaning: str = ""


FIGURES: Final = (
    CostFigure("policy_calls", "calls", "policy calls"),
    CostFigure("sampled_tokens", "sampled", "sampled tokens"),
    CostFigure(
        "prefilled_tokens",
        "prefill",
        "prefilled tokens",
        "policy tokens read for the first time (prompts, forced text)",
    ),
    CostFigure(
        "cached_tokens",
        "cached",
        "cached tokens",
        "policy tokens before a call that a prefix cache holds",
    ),
    CostFigure("scorer_calls", "", "scorer calls"),
    CostFigure(
        "scorer_tokens",
        "scored",
        "scorer tokens",
        "tokens of solutions that scorers read, process scorers each once",
    ),
    CostFigure(
        "whole_scorer_tokens",
        "whole",
        "  of whole paths",
        "the same without incremental scoring",
    ),
    CostFigure("flops", "FLOPs", "FLOPs"),
    CostFigure(
        "rounds",
        "rounds",
        "engine rounds",
        "engine calls that wait for one another, in total on the critical path",
    ),
    CostFigure("operations", "", "operations"),
)


def to_text(explained: Explained, width: int = 100, *, color: bool = False) -> str:
    """The tree with its costs, totals, the meanings of the columns and the assumptions."""
    title = textwrap.wrap(explained.title, width, subsequent_indent="    ")
    out = [f"{_BOLD}{line}{_RESET}" if color else line for line in title]
    if explained.plan.document:
        first = printable(explained.plan.document.strip().split("\n")[0])
        out.extend(textwrap.wrap(first, width))
    columns = _columns(explained, width)
    out += ["", *_table(explained, columns, width, color=color)]
    out += ["", *_totals(explained, width)]
    out += ["", *_legend(explained, columns, width)]
    return "\n".join(out) + "\n"


def shown(explained: Explained) -> tuple[CostFigure, ...]:
    """The costs that say something of this plan: without a scorer nothing is scored, and nothing
    that is read only once is reread."""
    total, mean = explained.bounds.total, explained.total
    figures = [figure for figure in FIGURES if getattr(total, figure.field) != 0]
    same = total.whole_scorer_tokens == total.scorer_tokens
    if same and (mean is None or mean.whole_scorer_tokens == mean.scorer_tokens):
        figures = [figure for figure in figures if figure.field != "whole_scorer_tokens"]
    return tuple(figures)


def _columns(explained: Explained, width: int) -> tuple[CostFigure, ...]:
    """The costs with a column, as many as leave room for the tree; the totals have all of them."""
    columns = [figure for figure in shown(explained) if figure.column]
    lines = list(explained.all_lines())
    left = max((len(_rows(line, explained)) for line in lines), default=0)
    for name in _DISPENSABLE:
        sizes = _sizes(tuple(columns), lines, explained)
        if max(4, left) + 2 + _LEAST_WIDTH + sum(sizes) + len(sizes) <= width:
            break
        columns = [figure for figure in columns if figure.field != name]
    return tuple(columns)


def _sizes(
    columns: tuple[CostFigure, ...], lines: Sequence[Line], explained: Explained
) -> list[int]:
    """The widths of the columns."""
    rows = [_cells(line, columns, explained) for line in lines]
    rows.append(tuple(figure.column for figure in columns))
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _cost(line: Line, explained: Explained) -> CostBounds | Cost | None:
    return line.spent if explained.total is None else line.mean


# ------------------------------------------------------------------------------ the tree


def _table(
    explained: Explained, columns: tuple[CostFigure, ...], width: int, *, color: bool
) -> Iterator[str]:
    """The tree's lines between their rows and their costs."""
    walked = [
        (first, below, line, _rows(line, explained), _cells(line, columns, explained))
        for first, below, line in _walk(explained.lines, "")
    ]
    left = max(4, *(len(rows) for *_, rows, _ in walked)) if walked else 4
    sizes = _sizes(columns, list(explained.all_lines()), explained)
    margin = left + 2
    title = "at most, per problem" if explained.total is None else "expected, per problem"
    longest = max(
        len(title),
        *(len(first) + len(line.text) for first, _, line, _, cells in walked if any(cells)),
        0,
    )
    # Two blanks between columns where there is room, one where the tree needs it.
    gap = 2 if margin + longest + sum(sizes) + 2 * len(sizes) <= width else 1
    room = min(longest, max(_LEAST_WIDTH, width - margin - sum(sizes) - gap * len(sizes)))

    def row(rows: str, text: str, cells: tuple[str, ...]) -> str:
        before = f"{rows:>{left}}  {text:<{room if any(cells) else 0}}"
        after = (f"{'':{gap}}{cell:>{size}}" for cell, size in zip(cells, sizes, strict=True))
        return f"{before}{''.join(after) if any(cells) else ''}".rstrip()

    heading = row("rows", title, tuple(figure.column for figure in columns))
    yield f"{_DIM}{heading}{_RESET}" if color else heading
    for first, below, line, rows, cells in walked:
        space = (room if any(cells) else width - margin) - len(first)
        pieces = textwrap.wrap(line.text, max(12, space), subsequent_indent="    ") or [""]
        yield row(rows, first + pieces[0], cells)
        for piece in pieces[1:]:
            yield row("", below + piece, ())


def _rows(line: Line, explained: Explained) -> str:
    """Expected and possible rows: `12≤16`; `16` if both are always the same."""
    most, mean = line.rows, line.mean
    if explained.total is None or most is None or most.low == most.high or mean is None:
        return row_count(most)
    if not mean.operations:
        return row_count(most)
    return short(mean.rows / mean.operations) + row_count(most)


def _cells(line: Line, columns: tuple[CostFigure, ...], explained: Explained) -> tuple[str, ...]:
    cost = _cost(line, explained)
    if cost is None:
        return ("",) * len(columns)
    values = [getattr(cost, figure.field) for figure in columns]
    return tuple("" if value is not None and value < 0.005 else short(value) for value in values)


def _walk(lines: tuple[Line, ...], prefix: str) -> Iterator[tuple[str, str, Line]]:
    """Lines with the guides of their first row and of rows that continue them."""
    for index, line in enumerate(lines):
        last = index == len(lines) - 1
        below = prefix + ("   " if last else "│  ")
        yield prefix + ("└─ " if last else "├─ "), below, line
        yield from _walk(line.inside, below)


# ------------------------------------------------------------------------------ totals


def _totals(explained: Explained, width: int) -> Iterator[str]:
    bounds, total, mean = explained.bounds, explained.bounds.total, explained.total
    names = ("at most",) if mean is None else ("expected", "at most")
    rows: list[tuple[str, ...]] = [("total, per problem", *names)]
    notes = [""]
    for figure in shown(explained):
        show = short if figure.field == "flops" else exact
        costs = (total,) if mean is None else (mean, total)
        rows.append((f"  {figure.name}", *(show(getattr(cost, figure.field)) for cost in costs)))
        sampled = figure.field == "sampled_tokens"
        notes.append(_token_note(total, bounds.context) if sampled else "")
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    least = 13 if width >= 60 else 0
    for (name, *cells), note in zip(rows, notes, strict=True):
        numbers = "".join(
            f"  {cell:>{max(least, size)}}" for cell, size in zip(cells, sizes[1:], strict=True)
        )
        line = f"{name:<{sizes[0]}}{numbers}"
        if note and len(line) + 2 + len(note) > width:
            yield line
            yield from textwrap.wrap(note, width, initial_indent="    ", subsequent_indent="    ")
        else:
            yield f"{line}  {note}".rstrip()


def _token_note(total: CostBounds, context: int | None) -> str:
    """The formula of the token bound: calls that only the window ends x the window's size."""
    if not total.open_calls:
        return ""
    calls = f"{exact(total.open_calls)} {'call' if total.open_calls == 1 else 'calls'} x context"
    if context is None or total.sampled_tokens is None:
        return f"= {calls}" if total.open_calls == total.policy_calls else f"{calls} among them"
    rest = total.sampled_tokens - total.open_calls * context
    return f"= {calls}" + (f" + {rest:,}" if rest > 0 else "")


# ------------------------------------------------------------------------------ what it means


def _legend(explained: Explained, columns: tuple[CostFigure, ...], width: int) -> Iterator[str]:
    """The meanings of the columns, and the assumptions."""
    meanings = [f"{f.column}: {f.meaning}" for f in columns if f.meaning]
    if meanings:
        yield from _wrapped("; ".join(meanings), width)
    if any(figure.field == "flops" for figure in columns):
        yield from _wrapped(FORMULA + _without_size(explained), width)
    for note in assumptions(explained):
        yield from _wrapped(note, width)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ")


def assumptions(explained: Explained) -> Iterator[str]:
    """The assumptions behind the numbers, with the options that change them."""
    total, assumed = explained.bounds.total, explained.assumed
    reads = total.open_calls or total.scorer_tokens or total.prefilled_tokens
    if assumed.context is not None and reads:
        calls = f"{exact(total.open_calls)} call{'' if total.open_calls == 1 else 's'}"
        only = f", the only limit of {calls}" if total.open_calls else ""
        window = f"a context window of {assumed.context:,} tokens{only}"
        yield f"assumed: {window} (--assume context=N)"
    if assumed.prompt is not None:
        yield f"assumed: problems of at most {assumed.prompt:,} tokens"
    lengths = assumed.lengths
    if lengths is not None:
        yield (
            f"expected, if all steps have {lengths.step:.4g} tokens, solutions "
            f"{lengths.steps:.3g} steps, problems {lengths.prompt or 0:.4g} tokens, and what "
            "depends on scores or texts holds half of the time"
        )
    models = assumed.models
    if models:
        sizes = [f"{name} {short(model.parameters)}" for name, model in models.named.items()]
        if models.policy is not None:
            sizes.insert(0, f"policies {short(models.policy.parameters)}")
        yield f"assumed: parameters of {', '.join(sizes)}"


def _without_size(explained: Explained) -> str:
    """The models that FLOPs leave out."""
    models, plan = explained.assumed.models, explained.plan
    missing = [name for name in plan.policies if models.of_policy(name) is None]
    missing += [
        scorer.name
        for scorer in plan.scorers
        if _has_model(scorer) and models.of_scorer(scorer.name) is None
    ]
    if not missing:
        return ""
    return f"; without {', '.join(missing)} (--assume {missing[0]}_params=N)"


def _has_model(scorer: Scorer) -> bool:
    return not isinstance(scorer.judge, Judge) and scorer.field is None
