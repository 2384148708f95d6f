"""Figures for docs, small and the same on every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

Curve = Sequence[tuple[float, float]]
#: Value, lower and upper end of its interval, in percentage points.
Estimate = tuple[float, float, float]
#: Where on the horizontal axis, then the estimate there.
Band = tuple[float, float, float, float]

_STYLE = {
    "svg.fonttype": "none",  # text stays text: small files, and searchable
    "svg.hashsalt": "tts-lang",
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_MARKERS = "osv^Dp*Xhd<>"


def curves(path: Path, title: str, lines: Mapping[str, Curve]) -> None:
    """Accuracy in per cent against tokens per problem, one per line; the first is the baseline."""
    import matplotlib as mpl
    from matplotlib import pyplot

    with mpl.rc_context(_STYLE):
        _, axes = pyplot.subplots(figsize=(6.4, 3.6))
        for index, (label, points) in enumerate(lines.items()):
            xs, ys = zip(*sorted(points), strict=True)
            axes.plot(
                xs,
                ys,
                label=label,
                marker=_MARKERS[index % len(_MARKERS)],
                markersize=4,
                linewidth=1.2,
                color="#444444" if index == 0 else None,
                linestyle="--" if index == 0 else "-",
            )
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.set_minor_formatter("")
        axes.set_xlabel("tokens drawn per problem")
        axes.set_ylabel("accuracy, %")
        axes.set_title(title, fontsize=9)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        _write(path)


def bands(path: Path, title: str, lines: Mapping[str, Sequence[Band]]) -> None:
    """Accuracy in per cent with its interval against tokens per problem."""
    import matplotlib as mpl
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator

    with mpl.rc_context(_STYLE):
        _, axes = pyplot.subplots(figsize=(6.4, 3.6))
        for index, (label, points) in enumerate(lines.items()):
            xs, ys, lows, highs = zip(*sorted(points), strict=True)
            below = [y - low for y, low in zip(ys, lows, strict=True)]
            above = [high - y for y, high in zip(ys, highs, strict=True)]
            axes.errorbar(
                xs,
                ys,
                yerr=[below, above],
                label=label,
                marker=_MARKERS[index],
                markersize=4,
                linewidth=1.6,
                elinewidth=0.8,
                capsize=2,
            )
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.set_minor_formatter("")
        axes.set_xlabel("tokens drawn per problem")
        axes.set_ylabel("accuracy, %")
        axes.set_title(title, fontsize=9)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        _write(path)


def differences(
    path: Path, title: str, axis: str, panels: Mapping[str, Mapping[str, Mapping[str, Estimate]]]
) -> None:
    """Estimates with intervals: a panel each, in it a row of marks for each series.

    Args:
        path: Where to.
        title: Of the figure.
        axis: What the horizontal axes show.
        panels: By panel, then by series, then by place on the horizontal axis.
    """
    import matplotlib as mpl
    from matplotlib import pyplot

    with mpl.rc_context(_STYLE):
        figure, row = pyplot.subplots(
            1, len(panels), figsize=(1.2 + 2.1 * len(panels), 2.9), sharey=True, squeeze=False
        )
        for axes, (name, series) in zip(row[0], panels.items(), strict=True):
            ticks = list(dict.fromkeys(place for places in series.values() for place in places))
            for index, (label, places) in enumerate(series.items()):
                shift = (index - (len(series) - 1) / 2) * 0.16
                values = list(places.values())
                axes.errorbar(
                    [ticks.index(place) + shift for place in places],
                    [value for value, _, _ in values],
                    yerr=[
                        [value - low for value, low, _ in values],
                        [high - value for value, _, high in values],
                    ],
                    label=label,
                    marker=_MARKERS[index],
                    markersize=4,
                    linewidth=1,
                    capsize=2,
                )
            axes.set_xticks(range(len(ticks)), ticks)
            axes.axhline(0, color="#888888", linewidth=0.8)
            axes.set_title(name, fontsize=8)
            axes.set_xlabel(axis)
            axes.grid(alpha=0.25, axis="y")
        row[0][0].set_ylabel("difference, percentage points")
        if any(len(series) > 1 for series in panels.values()):
            row[0][-1].legend(
                fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5)
            )
        figure.suptitle(title, fontsize=9, y=1.0)
        figure.subplots_adjust(top=0.84)
        _write(path)


def _write(path: Path) -> None:
    """Writes the current figure."""
    from matplotlib import pyplot

    path.parent.mkdir(parents=True, exist_ok=True)
    pyplot.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    pyplot.close("all")
    # Trailing blanks, which matplotlib leaves, would make every commit complain.
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")
