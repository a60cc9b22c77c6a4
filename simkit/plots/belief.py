"""Figures of the belief study: error against runs, efficiency, coverage."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, ScalarFormatter

from simkit.plots.look import MARKS, PALETTE, axes_or_new, band, colours_of, legend, need, words

__all__ = ["error_curves", "factors", "interval_dots"]


def error_curves(
    frame: pd.DataFrame, ax: Axes | None = None, *, ylabel: str = "RMSE (probability)"
) -> Axes:
    """A quantity against the number of runs, log-log, one line per method.

    Columns: method (belief, choice), runs, estimate; low and high if known; expected, drawn
    dotted, if theory says what it should be.
    """
    frame = need(frame, "estimate", at="runs", labels="method", maybe="low high expected")
    ax = axes_or_new(ax)
    for method, colour in colours_of(frame["method"]).items():
        part = frame[frame["method"] == method].sort_values("runs")
        band(part, "runs", colour, ax)
        mark = MARKS.get(method, "o")
        ax.plot(part["runs"], part["estimate"], mark, color=colour, label=words(method), zorder=3)
        if "expected" in part:
            name = f"{words(method)}, theory"
            ax.plot(part["runs"], part["expected"], ":", color=colour, label=name, zorder=2)
        else:
            ax.plot(part["runs"], part["estimate"], "-", color=colour, zorder=2)
    ax.set_xscale("log")
    ax.set_yscale("log")
    _plain_ticks(ax, frame["runs"])
    ax.set(xlabel="Runs per condition (number, log scale)", ylabel=f"{ylabel}, log scale")
    legend(ax)
    return ax


def factors(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Efficiency factors with their intervals, one row per design, on a log axis.

    Columns: design, method (for instance measured, theoretical, exact), estimate; low and high
    where known. The line at 1 is where belief gains nothing.
    """
    frame = need(frame, "estimate", labels="design method", maybe="low high")
    ax = axes_or_new(ax)
    interval_dots(frame.rename(columns={"design": "name"}), ax)
    ax.set_xscale("log")
    ax.axvline(1, color="#555555", linewidth=1, zorder=1)
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.set(xlabel="Efficiency factor: runs of choice worth one run of belief (log scale)")
    return ax


def interval_dots(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Estimates with their intervals, one row per name, methods side by side.

    Columns: name, method, estimate; low and high where known. "exact" is a dark star.
    """
    frame = need(frame, "estimate", labels="name method", maybe="low high")
    ax = axes_or_new(ax)
    names = list(dict.fromkeys(frame["name"]))
    colours = {**colours_of(frame["method"])}
    if "exact" in colours:
        colours["exact"] = PALETTE["truth causal"]
    for k, (method, colour) in enumerate(colours.items()):
        part = frame[frame["method"] == method]
        y = part["name"].map(names.index) + 0.22 * (k - (len(colours) - 1) / 2)
        if {"low", "high"} <= set(part):
            ax.hlines(y, part["low"], part["high"], color=colour, linewidth=2.4)
        mark = "*" if method == "exact" else MARKS.get(method, "o")
        ax.plot(part["estimate"], y, mark, color=colour, markersize=8, label=words(method))
    ax.set_yticks(range(len(names)), [words(name) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    legend(ax)
    return ax


def _plain_ticks(ax: Axes, values: pd.Series) -> None:
    """The numbers of runs themselves on the axis, not powers of ten."""
    ax.xaxis.set_major_locator(FixedLocator(sorted(set(values))))
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.minorticks_off()
