"""Tables that a notebook shows: small HTML without styles of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from tts_lang.printable import printable


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """An HTML table of texts."""

    def line(cells: Sequence[str], tag: str) -> str:
        inner = "".join(f"<{tag}>{escape(printable(cell))}</{tag}>" for cell in cells)
        return f"<tr>{inner}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(head, 'th')}</thead><tbody>{body}</tbody></table>"
