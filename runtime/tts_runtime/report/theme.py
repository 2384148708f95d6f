"""One look for all figures, on paper and in the dark."""

from __future__ import annotations

from typing import Any, Final

#: Series in order, on a light and on a dark ground: the palette of Okabe and Ito (2008), its pale
#: colors darkened so that each has a contrast of at least 3 to 1 to its ground (WCAG 1.4.11).
SERIES: Final = (
    ("#0072b2", "#58a6ff"),
    ("#d55e00", "#ff8a4c"),
    ("#00805d", "#3fc79a"),
    ("#a8497f", "#e39cc4"),
    ("#8a6500", "#e3b341"),
    ("#1b7fad", "#7fd0f5"),
    ("#7a4b41", "#d0a59b"),
    ("#5a5f66", "#b0b7bf"),
)
_TEXT: Final = ("#24292f", "#e6edf3")
_FAINT: Final = ("#dde2e7", "#363d46")
_LINE: Final = ("#7b838c", "#8b949e")
#: Symbols of series in order, so that they are told apart without color.
SHAPES: Final = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
DASHES: Final = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3))

_PAIRS: Final = (*SERIES, _TEXT, _FAINT, _LINE)


def config(*, dark: bool) -> dict[str, Any]:
    """The `config` of a Vega-Lite specification."""
    at = int(dark)
    text, faint, line = _TEXT[at], _FAINT[at], _LINE[at]
    title = {"fontWeight": "normal", "color": text}
    return {
        "background": None,
        "font": "sans-serif",
        "padding": 4,
        "view": {"stroke": None},
        "title": {"anchor": "start", "fontSize": 13, **title},
        "axis": {
            "labelColor": text,
            "titleColor": text,
            "titleFontWeight": "normal",
            "gridColor": faint,
            "domainColor": line,
            "tickColor": line,
            "labelFontSize": 11,
            "titleFontSize": 12,
        },
        "legend": {
            "labelColor": text,
            "titleColor": text,
            "labelFontSize": 11,
            "labelLimit": 240,
            "symbolStrokeWidth": 2,
            "symbolOpacity": 1,
        },
        "header": {"labelColor": text, "titleColor": text, "labelFontSize": 12},
        "rule": {"color": line},
        "text": {"color": text},
        "range": {
            "category": [pair[at] for pair in SERIES],
            "symbol": list(SHAPES),
        },
    }


def dark_style() -> str:
    """CSS that turns a figure drawn for a light ground into one for a dark ground."""
    rules = "".join(
        f'[fill="{light}"]{{fill:{dark}}}[stroke="{light}"]{{stroke:{dark}}}'
        for light, dark in _PAIRS
    )
    return f"@media (prefers-color-scheme:dark){{{rules}}}"
