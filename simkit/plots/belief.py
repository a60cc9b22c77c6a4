"""Figures of the belief study: error against runs, efficiency, coverage."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, ScalarFormatter

from simkit.plots.look import MARKS, PALETTE, band, begin, colours_of, done, dots, parts, words

__all__ = ["error_curves", "factors", "interval_dots"]


def error_curves(
    frame: pd.DataFrame, ax: Axes | None = None, *, ylabel: str = "RMSE (probability)"
) -> Axes:
    """A quantity against the number of runs, log-log, one line per method.

    Columns: method (belief, choice), runs, estimate; low and high if known; expected, drawn
    dotted, if theory says what it should be.
    """
    frame, ax = begin(frame, ax, "estimate", at="runs", labels="method", maybe="low high expected")
    for method, colour, part in parts(frame, "method", "runs"):
        band(part, "runs", colour, ax)
        mark = MARKS.get(method, "o")
        ax.plot(part["runs"], part["estimate"], mark, color=colour, label=words(method), zorder=3)
        theory = f"{words(method)}, theory" if "expected" in part else None
        y, line = ("expected", ":") if theory else ("estimate", "-")
        ax.plot(part["runs"], part[y], line, color=colour, label=theory, zorder=2)
    ax.set(xscale="log", yscale="log")
    # The numbers of runs themselves on the axis, not powers of ten.
    ax.xaxis.set_major_locator(FixedLocator(sorted(set(frame["runs"]))))
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.minorticks_off()
    return done(ax, xlabel="Runs per condition (number, log scale)", ylabel=f"{ylabel}, log scale")


def factors(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Efficiency factors with their intervals, one row per design, on a log axis.

    Columns: design, method (for instance measured, theoretical, exact), estimate; low and high
    where known. The line at 1 is where belief gains nothing.
    """
    frame, ax = begin(frame, ax, "estimate", labels="design method", maybe="low high")
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
    frame, ax = begin(frame, ax, "estimate", labels="name method", maybe="low high")
    colours = colours_of(frame["method"])
    if "exact" in colours:
        colours["exact"] = PALETTE["truth causal"]
    marks = {**MARKS, "exact": "*"}
    dots(frame, "name", "method", ax, gap=0.22, colours=colours, marks=marks, size=8)
    return done(ax)
