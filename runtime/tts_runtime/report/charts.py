"""Figures as Vega-Lite specifications: the page draws them, files and docs are drawn from them.

Data are rows of plain values. Values and intervals are in the unit of the vertical axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, exp, floor, log, log10
from typing import Any, Final

from tts_runtime.report.theme import DASHES, SERIES, SHAPES

Row = Mapping[str, Any]
Spec = dict[str, Any]

_SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
#: Pixels of a figure on paper; the page takes the width that it has.
WIDTH: Final = 460
HEIGHT: Final = 250
_PANEL: Final = 170
#: Pixels between marks that would lie on each other.
_BESIDE: Final = 6


@dataclass(frozen=True)
class Figure:
    """A figure and what it is drawn from.

    Args:
        name: Of its files.
        title: What it shows.
        rows: Data as they stand in the CSV file and in the table below the figure.
        columns: Which of their values, with headings.
        spec: Vega-Lite specification, data included, without a look.
        note: What a reader must know to read it.
    """

    name: str
    title: str
    rows: Sequence[Row]
    columns: Mapping[str, str]
    spec: Spec = field(repr=False)
    note: str = ""

    def with_note(self, note: str) -> Figure:
        """The same with another note."""
        return replace(self, note=note)


@dataclass(frozen=True)
class Axis:
    """A horizontal axis.

    Args:
        field: Of the rows.
        title: Shown below it.
        log: Logarithmic; only values above zero are drawn.
        exact: Few values that were chosen, and are labelled as they are.
    """

    field: str
    title: str
    log: bool = True
    exact: bool = False


def curves(name: str, title: str, rows: Sequence[Row], x: Axis, y: str = "accuracy, %") -> Figure:
    """A line per `series` through `value`, with `low` and `high` where rows have them.

    Points that lie on each other are set side by side, exactly coinciding lines are dashed.
    """
    shown = [row for row in rows if not x.log or row[x.field] > 0]
    names = list(dict.fromkeys(str(row["series"]) for row in shown))
    placed = _side_by_side(shown, x)
    color = _color(names)
    kind = {"type": "log", "nice": False} if x.log else {"type": "linear", "zero": False}
    scale: Spec = {**kind, "padding": 10}
    values = sorted({row[x.field] for row in shown})
    # Prefixes of units for what is counted, not for shares: half is 0.5, not 500m.
    counted = x.log and bool(values) and values[0] >= 1
    axis: Spec = {"title": x.title, "format": "~s" if counted else ",~g", "labelOverlap": True}
    if x.exact and len(values) <= 12:
        axis |= {"values": values, "format": ",~g"}
    elif x.log and values:
        axis["values"] = _ticks(values[0], values[-1])
    across = {"field": "_x", "type": "quantitative", "scale": scale, "axis": axis}
    up = {
        "field": "value",
        "type": "quantitative",
        "axis": {"title": y},
        "scale": {"zero": False, "nice": True},
    }
    tooltip = _tooltip(x)
    layer: list[Spec] = []
    faint = 0.75 if len(names) <= 6 else 0.4  # intervals of many lines would hide the lines
    if any(row.get("low") is not None for row in shown):
        ends = {"y": {**up, "field": "low"}, "y2": {"field": "high"}}
        layer.append(
            {
                "mark": {"type": "rule", "strokeWidth": 1.2},
                "encoding": {"x": across, **ends, "color": color, "opacity": _focus(faint)},
            }
        )
    layer += [
        *(
            {
                "transform": [{"filter": {"field": "series", "equal": series}}],
                "mark": {
                    "type": "line",
                    "strokeWidth": 1.8,
                    "strokeDash": list(DASHES[at % len(DASHES)]),
                },
                "encoding": {"x": across, "y": up, "color": color, "opacity": _focus(1)},
            }
            for at, series in enumerate(names)
        ),
        {
            "mark": {"type": "point", "filled": True, "size": 46, "opacity": 1},
            "encoding": {
                "x": across,
                "y": up,
                "color": color,
                "shape": _shape(names),
                "opacity": _focus(1),
                "tooltip": tooltip,
            },
        },
    ]
    layer[-1]["params"] = [_FOCUS]
    spec = {**_head(title), "width": WIDTH, "height": HEIGHT, "layer": layer}
    return Figure(name, title, shown, _columns(x, y), {**spec, "data": {"values": placed}})


def bars(name: str, title: str, rows: Sequence[Row], place: str, y: str = "accuracy, %") -> Figure:
    """A panel per `panel`, in it a group of bars per `at`, in it a bar per `series`.

    `place` is what `at` holds; empty if there is nothing to tell groups apart.
    """
    names = list(dict.fromkeys(str(row["series"]) for row in rows))
    inner = {"paddingInner": 0.25, "paddingOuter": 0.1}
    across = {
        "field": "at",
        "type": "ordinal",
        "sort": None,
        "axis": {"title": place, "labelAngle": 0} if place else None,
        "scale": inner,
    }
    offset = {"field": "series", "type": "nominal", "sort": names}
    up = {"type": "quantitative", "axis": {"title": y}, "scale": {"domainMin": 0}}
    layer: list[Spec] = [
        {
            "mark": {"type": "bar"},
            "encoding": {
                "y": {**up, "field": "value", "stack": None},
                "color": _color(names),
                "tooltip": _tooltip(Axis("at", place, log=False)),
            },
        },
        {
            "mark": {"type": "rule", "strokeWidth": 1.2},
            "encoding": {"y": {**up, "field": "low"}, "y2": {"field": "high"}},
        },
    ]
    panel = {"width": _PANEL, "height": 200, "encoding": {"x": across, "xOffset": offset}}
    return _in_panels(name, title, rows, {**panel, "layer": layer}, place, y)


def panels(name: str, title: str, rows: Sequence[Row], place: str, y: str) -> Figure:
    """A panel per `panel`, in it at each `at` an estimate with its interval per `series`."""
    names = list(dict.fromkeys(str(row["series"]) for row in rows))
    across = {
        "field": "at",
        "type": "ordinal",
        "sort": None,
        "axis": {
            "title": place,
            "labelAngle": 0,
            "labelOverlap": True,
            "labelSeparation": 3,
            "grid": False,
        },
    }
    offset = {"field": "series", "type": "nominal", "sort": names}
    up = {"type": "quantitative", "axis": {"title": y}}
    color = _color(names) if len(names) > 1 else {"value": SERIES[0][0]}
    layer: list[Spec] = [
        {"mark": {"type": "rule", "strokeWidth": 1}, "encoding": {"y": {"datum": 0}}},
        {
            "mark": {"type": "rule", "strokeWidth": 1.4},
            "encoding": {
                "x": across,
                "xOffset": offset,
                "y": {**up, "field": "low"},
                "y2": {"field": "high"},
                "color": color,
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 46, "opacity": 1},
            "encoding": {
                "x": across,
                "xOffset": offset,
                "y": {**up, "field": "value"},
                "color": color,
                **({"shape": _shape(names)} if len(names) > 1 else {}),
                "tooltip": _tooltip(Axis("at", place, log=False)),
            },
        },
    ]
    return _in_panels(name, title, rows, {"width": _PANEL, "height": 200, "layer": layer}, place, y)


def forest(name: str, title: str, rows: Sequence[Row], x: str) -> Figure:
    """A line per row: `series`, with `value` and its interval on a common axis, zero marked."""
    names = list(dict.fromkeys(str(row["series"]) for row in rows))
    down = {
        "field": "series",
        "type": "nominal",
        "sort": names,
        "axis": {"title": None, "labelLimit": 260, "grid": True},
    }
    axis = {"title": x, "labelOverlap": True, "tickCount": 8}
    across = {"type": "quantitative", "axis": axis, "scale": {"nice": True}}
    layer: list[Spec] = [
        {"mark": {"type": "rule", "strokeWidth": 1.4}, "encoding": {"x": {"datum": 0}}},
        {
            "mark": {"type": "rule", "strokeWidth": 1.6},
            "encoding": {
                "y": down,
                "x": {**across, "field": "low"},
                "x2": {"field": "high"},
                "color": {"value": SERIES[0][0]},
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 46, "opacity": 1},
            "encoding": {
                "y": down,
                "x": {**across, "field": "value"},
                "color": {"value": SERIES[0][0]},
                "tooltip": [
                    {"field": "series", "title": "strategy"},
                    *_interval_tooltip(),
                ],
            },
        },
    ]
    spec = {**_head(title), "width": WIDTH, "height": 20 * len(names) + 10, "layer": layer}
    columns = {"series": "strategy", **_values(x)}
    return Figure(name, title, rows, columns, {**spec, "data": {"values": list(rows)}})


def _in_panels(
    name: str, title: str, rows: Sequence[Row], panel: Spec, place: str, y: str
) -> Figure:
    groups = list(dict.fromkeys(str(row["panel"]) for row in rows))
    spec = {
        **_head(title),
        "facet": {"field": "panel", "type": "nominal", "sort": groups, "title": None},
        "columns": ceil(len(groups) / ceil(len(groups) / 3)),
        "spec": panel,
        # Shared axes stand below every column, below places without a panel, too.
        "resolve": {"axis": {"x": "independent"}},
        "data": {"values": list(rows)},
    }
    at = {"at": place} if place else {}
    columns = {"panel": "problems", **at, "series": "strategy", **_values(y)}
    return Figure(name, title, rows, columns, spec)


#: A click on the legend brings series to the front.
_FOCUS: Final[Spec] = {
    "name": "focus",
    "select": {"type": "point", "fields": ["series"], "toggle": "true"},
    "bind": "legend",
}


def _focus(otherwise: float) -> Spec:
    return {"condition": {"param": "focus", "value": otherwise}, "value": 0.12}


def _head(title: str) -> Spec:
    return {"$schema": _SCHEMA, "title": title}


def _color(names: Sequence[str]) -> Spec:
    legend = {"title": None} if len(names) > 1 else None
    scale = {"domain": list(names)}
    return {"field": "series", "type": "nominal", "scale": scale, "legend": legend}


def _shape(names: Sequence[str]) -> Spec:
    shapes = [SHAPES[at % len(SHAPES)] for at in range(len(names))]
    scale = {"domain": list(names), "range": shapes}
    legend = {"title": None} if len(names) > 1 else None
    return {"field": "series", "type": "nominal", "scale": scale, "legend": legend}


def _tooltip(x: Axis) -> list[Spec]:
    at = {"field": x.field, "title": x.title, **({"format": ",.4~g"} if x.log else {})}
    return [
        {"field": "series", "title": "strategy"},
        *([at] if x.title else []),
        *_interval_tooltip(),
    ]


def _interval_tooltip() -> list[Spec]:
    return [
        {"field": "value", "title": "value", "format": ".4~g"},
        {"field": "low", "title": "from", "format": ".4~g"},
        {"field": "high", "title": "to", "format": ".4~g"},
    ]


def _columns(x: Axis, y: str) -> dict[str, str]:
    return {"series": "strategy", x.field: x.title, **_values(y)}


def _values(y: str) -> dict[str, str]:
    return {"value": y, "low": "95 % interval from", "high": "to"}


def _ticks(least: float, most: float) -> list[float]:
    """Labels of a logarithmic axis, of which three or more can be seen if its values differ.

    1, 2 and 5 in each decade, of many decades only 1; in a narrow range every digit, in a still
    narrower one multiples of a round number. A single value is labelled itself.
    """
    if least == most:
        return [float(f"{most:.3g}")]
    decades = range(floor(log10(least)), floor(log10(most)) + 2)
    choices = ((1, 2, 5), range(1, 10)) if most / least < 2000 else ((1,),)
    for steps in choices:
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        if sum(least <= each <= most for each in ticks) >= 3:
            return [each for each in ticks if 0.7 * least <= each <= 1.5 * most]
    width = (most - least) / 4
    unit = 10.0 ** floor(log10(width))
    # Rounding may give the logarithm of 0.99... as 0: then 1 is the nearest.
    step = unit * next((each for each in (5, 2) if each * unit <= width), 1)
    return [step * place for place in range(floor(least / step), ceil(most / step) + 1)]


def _side_by_side(rows: Sequence[Row], x: Axis) -> list[dict[str, Any]]:
    """Rows with `_x`, where they are drawn: series that would lie on each other are moved a little.

    Points of one series stay where they are.
    """
    if len({row["series"] for row in rows}) == 1:
        return [{**row, "_x": row[x.field]} for row in rows]

    def scaled(value: float) -> float:
        return log(value) if x.log else value

    places = [scaled(float(row[x.field])) for row in rows]
    width = (max(places, default=0) - min(places, default=0)) or 1.0
    step = width * _BESIDE / WIDTH
    moved_rows = [dict(row) for row in rows]
    order = sorted(range(len(rows)), key=lambda at: places[at])
    cluster: list[int] = []
    for at in (*order, None):
        if cluster and (at is None or places[at] - places[cluster[0]] > step / 2):
            members = sorted(cluster)
            for rank, member in enumerate(members):
                shift = (rank - (len(members) - 1) / 2) * step
                value = float(rows[member][x.field])
                moved = value * exp(shift) if x.log else value + shift
                moved_rows[member]["_x"] = moved
            cluster = []
        if at is not None:
            cluster.append(at)
    return moved_rows
