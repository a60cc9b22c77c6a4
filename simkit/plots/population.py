"""Figures of the study on targeted populations: who is asked, who comes how near to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import ScalarFormatter

from simkit.plots import look
from simkit.types import scalar, shown

__all__ = ["answer_shares", "fit_dots", "learning", "margins", "penalty_map", "shifts",
           "temperatures"]  # fmt: skip

GREY, DARK = "#8C8C8C", "#5C5C5C"
# One colour per method of this study, in every figure of it.
METHODS = {
    "base": "#B4531A",
    "LoRA": look.SPARE[0],
    "QLoRA": look.SPARE[2],
    "LoRA + numeric loss": look.SPARE[3],
    "respondents": look.PALETTE["human"],
    "truth": look.PALETTE["truth causal"],
}
MARKS = {"base": "s", "LoRA": "o", "QLoRA": "D", "LoRA + numeric loss": "^", "respondents": "o"}


def _colours(frame: pd.DataFrame) -> dict[str, str]:
    """Each method's colour in order of appearance; what is no language model is grey."""
    return look.colours_of(frame["method"], METHODS, (GREY,))


def margins(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Target and achieved margins of a sampling plan, one row per value.

    Parameters
    ----------
    frame : DataFrame
        Columns margin, value, target, achieved (shares, 0 to 1); optionally by_chance (standard
        deviation under independent draws), drawn as a band of two of them around the target.
    ax : Axes, optional
        New ones by default.

    Returns
    -------
    Axes
        Those that were drawn on. The target is hollow and dotted in the hue of a truth, the
        achieved share a full mark.
    """
    named = {"labels": "margin value", "maybe": "by_chance"}
    frame, ax = look.begin(frame, ax, "target", "achieved", **named)
    frame, truth = frame.reset_index(drop=True), look.PALETTE["truth causal"]
    y = np.arange(len(frame)) + 0.7 * (frame["margin"] != frame["margin"].shift()).cumsum()
    if "by_chance" in frame:
        low, high = (frame["target"] + k * frame["by_chance"] for k in (-2, 2))
        ax.hlines(
            y, low.clip(0), high.clip(upper=1), color="#E6E6E6", linewidth=8, zorder=1,
            label="Target ± 2 SD of independent draws",
        )  # fmt: skip
    ax.hlines(y, 0, frame["target"], color=truth, linestyle=":", linewidth=1)
    ax.plot(frame["target"], y, "o", color=truth, markerfacecolor="white", markersize=8,
            label="Target")  # fmt: skip
    achieved = look.PALETTE["unblinded"]
    ax.plot(frame["achieved"], y, "o", color=achieved, markersize=4, label="Achieved")
    names = zip(frame["margin"], frame["value"], strict=True)
    ax.set_yticks(y, [f"{look.words(margin)}: {value}" for margin, value in names])
    ax.set_ylim(y.max() + 0.8, y.min() - 0.8)
    ax.grid(axis="y", visible=False)
    ax.set(xlabel="Share of respondents (0 to 1)", xlim=(0, None))
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3)  # the rows leave no room inside
    return ax


def answer_shares(frame: pd.DataFrame, ax: Axes | None = None, *, unit: str = "points") -> Axes:
    """Shares of the answers on a scale: respondents as bars, every other method as a line.

    Parameters
    ----------
    frame : DataFrame
        Columns method, value, share (0 to 1). The method "truth" is dotted.
    ax : Axes, optional
        New ones by default.
    unit : str
        Unit of the answers.

    Returns
    -------
    Axes
        Those that were drawn on.
    """
    frame, ax = look.begin(frame, ax, "share", at="value", labels="method")
    values = np.sort(frame["value"].unique())
    width = 0.8 * (np.diff(values).min() if len(values) > 1 else 1.0)
    for method, colour, part in look.parts(frame, "method", "value", _colours(frame)):
        name, truth = look.words(method), method == "truth"
        if method == "respondents":
            ax.bar(
                part["value"], part["share"], width, color="#D8D8D8", edgecolor="#000000",
                linewidth=0.6, label=name, zorder=1,
            )  # fmt: skip
            continue
        line: dict[str, Any] = {"linestyle": ":" if truth else "-", "zorder": 4 if truth else 3}
        line["marker"] = "" if truth else MARKS.get(method, "o")
        ax.plot(part["value"], part["share"], color=colour, label=name, **line)
    ax.grid(axis="x", visible=False)
    xlabel, ylabel = f"Answer ({unit})", "Share of answers (0 to 1)"
    return look.done(ax, xlabel=xlabel, ylabel=ylabel, ylim=(0, None))


def fit_dots(frame: pd.DataFrame, ax: Axes | None = None, *, xlabel: str = "Distance") -> Axes:
    """One row per method: its distance or error with the interval, best at the left.

    Parameters
    ----------
    frame : DataFrame
        Columns method, estimate; optionally low and high; floor and ceiling (the same in all
        rows), drawn as dotted lines. Methods that are no language model are grey.
    ax : Axes, optional
        New ones by default.
    xlabel : str
        The distance with its unit.

    Returns
    -------
    Axes
        Those that were drawn on.
    """
    maybe = "low high floor ceiling"
    frame, ax = look.begin(frame, ax, "estimate", labels="method", maybe=maybe)
    look.dots(frame, "method", "method", ax, colours=_colours(frame), marks=MARKS, size=8)
    for name, colour in (("floor", METHODS["truth"]), ("ceiling", DARK)):
        line = frame[name].iloc[0] if name in frame else np.nan
        if np.isfinite(line):
            ax.axvline(line, color=colour, linestyle=":", linewidth=1.6, zorder=1)
            ax.annotate(
                look.words(name), (line, -0.55), color=colour, fontsize=9, ha="center",
                va="bottom", annotation_clip=False,
            )  # fmt: skip
    ax.set(xlabel=xlabel)
    return ax


def temperatures(
    frame: pd.DataFrame, ax: Axes | None = None, *, ylabel: str = "Distance", names: bool = True
) -> Axes:
    """A distance or error against the temperature, one line per method with its interval.

    Parameters
    ----------
    frame : DataFrame
        Columns method, temperature, estimate; optionally low and high, and sampled (of drawn
        answers), drawn as crosses.
    ax : Axes, optional
        New ones by default.
    ylabel : str
        The distance with its unit.
    names : bool
        Whether there is a legend.

    Returns
    -------
    Axes
        Those that were drawn on. The lowest point of each line is ringed.
    """
    if not isinstance(names, bool):
        raise ValueError(f"names is {shown(names)}; it must be True or False")
    named = {"labels": "method", "maybe": "low high sampled"}
    frame, ax = look.begin(frame, ax, "estimate", at="temperature", **named)
    frame = frame.reset_index(drop=True)
    for method, colour, part in look.parts(frame, "method", "temperature", _colours(frame)):
        x, name = part["temperature"], look.words(method)
        look.band(part, "temperature", colour, ax)
        ax.plot(x, part["estimate"], color=colour, label=name, zorder=3)
        if part["estimate"].isna().all():
            continue
        best = part.loc[part["estimate"].idxmin()]
        ax.plot(
            [best["temperature"]], [best["estimate"]], "o", color=colour, markerfacecolor="white",
            markersize=9, markeredgewidth=2, zorder=4,
        )  # fmt: skip
        if "sampled" in part and part["sampled"].notna().any():
            ax.plot(x, part["sampled"], "x", color=colour, zorder=5)
    ax.axvline(1, color="#BBBBBB", linewidth=1, zorder=1)
    ax.set(xlabel="Temperature of the answers", ylabel=ylabel, ylim=(0, None))
    if names:
        look.legend(ax)
    return ax


def learning(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    levels: dict[str, float] | None = None,
    ylabel: str = "Distance",
) -> Axes:
    """A distance or error against the number of respondents learnt from; 0 is the base model.

    Parameters
    ----------
    frame : DataFrame
        Columns respondents, estimate; optionally low and high.
    ax : Axes, optional
        New ones by default.
    levels : dict, optional
        name: value of what does not learn in this way (a baseline), drawn as grey lines.
    ylabel : str
        The distance with its unit.

    Returns
    -------
    Axes
        Those that were drawn on.
    """
    frame, ax = look.begin(frame, ax, "estimate", at="respondents", maybe="low high")
    frame = frame.sort_values("respondents")
    places, colour = np.arange(len(frame)), METHODS["LoRA"]
    if {"low", "high"} <= set(frame):
        ax.vlines(places, frame["low"], frame["high"], color=colour, linewidth=2.4)
    ax.plot(places, frame["estimate"], "o-", color=colour, label="LoRA", zorder=3)
    if not isinstance(levels, Mapping | None):
        raise ValueError(f"levels is {shown(levels)}; it must be {{name: number}}")
    for i, (name, value) in enumerate((levels or {}).items()):
        ax.axhline(scalar(value, f"levels: {name}"), color=DARK, linestyle=("--", ":", "-.")[i % 3],
                   linewidth=1.4, label=look.words(name))  # fmt: skip
    counts = [f"{int(n):,}" if n else "none\n(base)" for n in frame["respondents"]]
    ax.set_xticks(places, counts)
    xlabel = "Respondents learnt from (number)"
    return look.done(ax, xlabel=xlabel, ylabel=ylabel, ylim=(0, None))


def penalty_map(frame: pd.DataFrame, ax: Axes | None = None, *, label: str = "RMSE") -> Axes:
    """A quantity over the numeric loss's slope and width, as a heat map with its numbers.

    Parameters
    ----------
    frame : DataFrame
        Columns slope, width, estimate (NaN where there is no such adapter).
    ax : Axes, optional
        New ones by default.
    label : str
        The quantity with its unit.

    Returns
    -------
    Axes
        Those that were drawn on. Darker is larger.

    Raises
    ------
    ValueError
        If two rows have the same slope and width.
    """
    frame, ax = look.begin(frame, ax, "estimate", at="slope width")
    twice = frame.duplicated(["slope", "width"])
    if twice.any():
        raise ValueError(f"row {frame.index[twice][0]!r} has the slope and width of another row")
    grid = frame.pivot(index="slope", columns="width", values="estimate")
    cells = grid.to_numpy(dtype=float)
    image = ax.imshow(cells, cmap="Blues", origin="lower", aspect="auto")
    middle = np.nanmean([np.nanmin(cells), np.nanmax(cells)])
    for (row, column), value in np.ndenumerate(cells):
        text = f"{value:.3g}" if np.isfinite(value) else "–"
        colour = "white" if value > middle else "#222222"
        ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=10)
    ax.set_xticks(range(len(grid.columns)), [f"{w:g}" for w in grid.columns])
    ax.set_yticks(range(len(grid.index)), [f"{s:g}" for s in grid.index])
    ax.grid(visible=False)
    ax.set(xlabel="Width (share of the scale)", ylabel="λ × slope (nats per scale)", title=label)
    ax.figure.colorbar(image, ax=ax, shrink=0.85)
    return ax


def shifts(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Mean shift of an answer after each kind of information, methods side by side.

    Parameters
    ----------
    frame : DataFrame
        Columns information, method, estimate; optionally low and high.
    ax : Axes, optional
        New ones by default.

    Returns
    -------
    Axes
        Those that were drawn on. Respondents are black, the truth is a hollow diamond.
    """
    named = {"labels": "information method", "maybe": "low high"}
    frame, ax = look.begin(frame, ax, "estimate", **named)
    look.dots(
        frame, "information", "method", ax, gap=0.14, colours=_colours(frame),
        marks={**MARKS, "truth": "d"}, hollow="truth", width=2.2,
    )  # fmt: skip
    ax.axvline(0, color="#BBBBBB", linewidth=1, zorder=1)
    ax.xaxis.set_major_formatter(ScalarFormatter())
    return look.done(ax, xlabel="Mean shift of the preference (points)")
