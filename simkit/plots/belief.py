"""Figures of the belief study: error against runs, efficiency, coverage."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import ScalarFormatter

from simkit.plots import look

__all__ = ["error_curves", "factors"]


def error_curves(
    frame: pd.DataFrame, ax: Axes | None = None, *, ylabel: str = "RMSE (probability)"
) -> Axes:
    """A quantity against the number of runs, log-log, one line per method.

    Parameters
    ----------
    frame : DataFrame
        Columns method (belief, choice), runs, estimate; optionally low and high, and expected
        (what theory predicts), drawn dotted.
    ax : Axes, optional
        New ones by default.
    ylabel : str
        The quantity with its unit.

    Returns
    -------
    Axes
        Those that were drawn on.
    """
    frame, ax = look.begin(
        frame, ax, "estimate", at="runs", labels="method", maybe="low high expected"
    )
    for method, colour, part in look.parts(frame, "method", "runs"):
        look.band(part, "runs", colour, ax)
        name, mark = look.words(method), look.MARKS.get(method, "o")
        ax.plot(part["runs"], part["estimate"], mark, color=colour, label=name, zorder=3)
        theory = f"{name}, theory" if "expected" in part else None
        y, line = ("expected", ":") if theory else ("estimate", "-")
        ax.plot(part["runs"], part[y], line, color=colour, label=theory, zorder=2)
    ax.set(xscale="log", yscale="log")
    look.ticks(ax, frame["runs"])
    xlabel = "Runs per condition (number, log scale)"
    return look.done(ax, xlabel=xlabel, ylabel=f"{ylabel}, log scale")


def factors(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Efficiency factors with their intervals, one row per design, on a log axis.

    Parameters
    ----------
    frame : DataFrame
        Columns design, method (such as measured, theoretical, exact), estimate; optionally low and
        high. Methods stand side by side; "exact" is a dark star.
    ax : Axes, optional
        New ones by default.

    Returns
    -------
    Axes
        Those that were drawn on. The line at 1 is where belief gains nothing.
    """
    frame, ax = look.begin(frame, ax, "estimate", labels="design method", maybe="low high")
    colours = look.colours_of(frame["method"])
    if "exact" in colours:
        colours["exact"] = look.PALETTE["truth causal"]
    marks = {**look.MARKS, "exact": "*"}
    look.dots(frame, "design", "method", ax, gap=0.22, colours=colours, marks=marks, size=8)
    look.legend(ax)
    ax.set_xscale("log")
    ax.axvline(1, color="#555555", linewidth=1, zorder=1)
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.set(xlabel="Efficiency factor: runs of choice worth one run of belief (log scale)")
    return ax
