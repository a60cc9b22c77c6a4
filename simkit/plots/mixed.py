"""Figures of the mixed-subjects study: repeated samples, gains by outcome, power by cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from simkit.plots import look
from simkit.types import scalar

__all__ = ["gains", "power", "repeated_intervals"]

METHODS = {"people alone": "#000000", "mixed": "#0072B2", "model alone": "#D55E00"}
MISSED = "#C0417B"
SHADES = ("#9AA5A8", "#56B4E9", "#0072B2")  # of kinds, from the smallest gains to the largest
NAMED = 5  # outcomes with the largest gains, named in the figure where `name` is there
APART = 0.06  # of the range, below which two names would overlap


def repeated_intervals(frame: pd.DataFrame, truth: float, ax: Axes | None = None) -> Axes:
    """Intervals of one quantity over repeated samples, those that miss the truth marked.

    Parameters
    ----------
    frame : DataFrame
        Columns method, estimate, low, high: a row per method and sample.
    truth : float
        Drawn as a dotted line.
    ax : Axes, optional
        New ones by default.

    Returns
    -------
    Axes
        Those that were drawn on: the methods side by side, each with its samples in order; a mark
        at the estimate of each sample whose interval does not hold the truth.
    """
    scalar(truth, "truth")
    frame, ax = look.begin(frame, ax, "estimate", "low", "high", labels="method")
    start, middles = 0.0, {}
    colours = look.colours_of(frame["method"], METHODS)
    for name, colour, part in look.parts(frame, "method", colours=colours):
        x = start + np.arange(len(part))
        missed = ((part["low"] > truth) | (part["high"] < truth)).to_numpy()
        ax.vlines(x, part["low"], part["high"], color=colour, linewidth=1.4, alpha=0.75)
        ax.plot(x[missed], part["estimate"][missed], "x", color=MISSED, markersize=5,
                markeredgewidth=1.6, label="Interval misses the truth", zorder=4)  # fmt: skip
        middles[f"{look.words(name)}\n{missed.sum()} of {len(part)} miss"] = x.mean()
        start += len(part) * 1.15 + 1
    line = ax.axhline(truth, color="#333333", linestyle=":", linewidth=1.6, label="Truth")
    ax.set_xticks(list(middles.values()), list(middles))
    ax.tick_params(axis="x", length=0)
    ax.grid(axis="x", visible=False)
    ax.set_ylabel("Estimate with its interval")
    marks = [mark for mark in ax.get_lines() if mark.get_marker() == "x"]
    ax.legend(handles=[line, *marks[:1]], loc="best")
    return ax


def gains(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """How many people a mixed sample is worth per person asked, outcome by outcome, sorted.

    Parameters
    ----------
    frame : DataFrame
        Columns estimate (effective people per person asked; 1 is no gain), low, high; optionally
        kind, by which the marks are coloured, and name, written beside the largest.
    ax : Axes, optional
        New ones by default.

    Returns
    -------
    Axes
        Those that were drawn on.
    """
    frame, ax = look.begin(frame, ax, "estimate", "low", "high", kind="outcomes")
    frame = frame.sort_values("estimate", kind="stable").reset_index(drop=True)
    kinds = list(dict.fromkeys(frame["kind"]))
    colours = dict(
        zip(kinds, SHADES[-len(kinds) :] if len(kinds) < 4 else look.SPARE, strict=False)
    )
    for name, colour, part in look.parts(frame, "kind", colours=colours):
        ax.vlines(part.index, part["low"], part["high"], color=colour, linewidth=1.6, alpha=0.5)
        ax.plot(part.index, part["estimate"], "o", color=colour, markersize=4.5,
                label=f"{look.words(name)} ({len(part)})", zorder=3)  # fmt: skip
    below = np.inf
    for place, row in frame[::-1].head(NAMED).iterrows() if "name" in frame else ():
        if row["estimate"] < below - APART * np.ptp(frame["estimate"]):  # else it would overlap
            below = row["estimate"]
            ax.annotate(str(row["name"]), (place, below), (-8, 0), ha="right", va="center",
                        textcoords="offset points", fontsize=9, color="#333333")  # fmt: skip
    ax.axhline(1, color="#333333", linestyle=":", linewidth=1.6)
    ax.grid(axis="x", visible=False)
    ax.set(xlabel="Outcomes, from the smallest gain to the largest", xlim=(-1.5, len(frame) + 0.5),
           ylabel="Effective people per person asked")  # fmt: skip
    ax.legend(loc="upper left")
    return ax


def power(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Power against what is spent, of people alone and of people with a model.

    Parameters
    ----------
    frame : DataFrame
        As `est.power_curve` returns it: budget, power, power_people; optionally power_low and
        power_high.
    ax : Axes, optional
        New ones by default.

    Returns
    -------
    Axes
        Those that were drawn on.
    """
    columns = ("power", "power_people")
    frame, ax = look.begin(frame, ax, *columns, at="budget", maybe="power_low power_high")
    for name, label in zip(columns, ("mixed", "people alone"), strict=True):
        ax.plot(frame["budget"], frame[name], color=METHODS[label], label=look.words(label))
    if {"power_low", "power_high"} <= set(frame):
        ax.fill_between(frame["budget"], frame["power_low"], frame["power_high"],
                        color=METHODS["mixed"], alpha=0.18, linewidth=0)  # fmt: skip
    return look.done(ax, xlabel="Budget", ylabel="Power", ylim=(0, 1))
