"""What a notebook shows of plans, results and runs: small HTML without styles of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from tts_lang.explain.units import short
from tts_lang.printable import printable

if TYPE_CHECKING:
    from tts_runtime.runs.results import Answer, Summary

#: Answers of one result that are listed.
_LISTED = 20


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """An HTML table of texts."""

    def line(cells: Sequence[str], tag: str) -> str:
        inner = "".join(f"<{tag}>{escape(printable(cell))}</{tag}>" for cell in cells)
        return f"<tr>{inner}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(head, 'th')}</thead><tbody>{body}</tbody></table>"


def summaries(found: Sequence[Summary]) -> str:
    """The table at the end of `tts-run`."""
    head = ("strategy", "accuracy", "95 % interval", "policy tokens", "scorer tokens", "FLOPs")
    rows = []
    for each in found:
        count = max(1, each.problems - each.failed)
        accuracy, interval = "-", "-"
        if each.accuracy is not None and each.accuracy_low is not None:
            accuracy = f"{each.accuracy:.1%}"
            interval = f"{each.accuracy_low:.0%} - {each.accuracy_high or 0:.0%}"
        cells = (f"{each.policy_tokens / count:,.0f}", f"{each.scorer_tokens / count:,.0f}")
        flops = "-" if each.flops is None else short(each.flops / count)
        rows.append((each.strategy, accuracy, interval, *cells, flops))
    return table(head, rows) + "<p>tokens and FLOPs: means per problem</p>"


def answers(found: Sequence[Answer]) -> str:
    """The first answers of a result."""
    grades = {True: "right", False: "wrong", None: ""}
    rows = [
        (each.id, each.error or each.answer or "", each.gold or "", grades[each.correct])
        for each in found[:_LISTED]
    ]
    more = f"<p>and {len(found) - _LISTED:,} more</p>" if len(found) > _LISTED else ""
    return table(("problem", "answer", "gold", ""), rows) + more
