"""Figures as files: SVG, PDF and PNG by vl-convert (`tts-lang[report]`), CSV without it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from tts_runtime.report.theme import config, dark_style

if TYPE_CHECKING:
    from tts_runtime.report.charts import Figure

#: The version of Vega-Lite, of those that vl-convert has, that draws like the page's library.
_VEGA_LITE: Final = "6.4"
#: Of PNG files; journals ask for 300.
PIXELS_PER_INCH: Final = 300
#: Characters that a spreadsheet takes for the beginning of a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def can_draw() -> bool:
    """Whether SVG, PDF and PNG can be made here."""
    return find_spec("vl_convert") is not None


def _whole(figure: Figure) -> dict[str, Any]:
    return {**figure.spec, "config": config(dark=False)}


def svg(figure: Figure) -> str:
    """An SVG document on no ground, which a dark page shows in colors for the dark.

    Raises:
        ModuleNotFoundError: vl-convert is not installed.
    """
    import vl_convert

    drawn = vl_convert.vegalite_to_svg(_whole(figure), vl_version=_VEGA_LITE)
    head, end, rest = drawn.partition(">")
    return f"{head}{end}<style>{dark_style()}</style>{rest}\n"


def pdf(figure: Figure) -> bytes:
    """A PDF document of one page as large as the figure, its fonts embedded.

    Raises:
        ModuleNotFoundError: vl-convert is not installed.
    """
    import vl_convert

    document: bytes = vl_convert.vegalite_to_pdf(_whole(figure), vl_version=_VEGA_LITE)
    return document


def png(figure: Figure) -> bytes:
    """A PNG picture on white, `PIXELS_PER_INCH` at the size of the PDF.

    Raises:
        ModuleNotFoundError: vl-convert is not installed.
    """
    import vl_convert

    paper = _whole(figure)
    paper["config"] = {**paper["config"], "background": "white"}
    picture: bytes = vl_convert.vegalite_to_png(paper, vl_version=_VEGA_LITE, ppi=PIXELS_PER_INCH)
    return picture


def as_csv(figure: Figure) -> str:
    """The rows of a figure."""
    rows = [[row.get(name) for name in figure.columns] for row in figure.rows]
    return csv_text(list(figure.columns.values()), rows)


def csv_text(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV; texts that a spreadsheet would run are quoted by an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in (titles, *rows):
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value
