"""Figures of the study on targeted populations: who is asked, who comes how near to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, ScalarFormatter

from simkit.plots.look import (
    PALETTE,
    SPARE,
    band,
    begin,
    colours_of,
    done,
    dots,
    legend,
    parts,
    rows,
    words,
)
from simkit.types import scalar, shown

__all__ = ["answer_shares", "fit_dots", "learning", "margins", "penalty_map", "shifts",
           "temperatures"]  # fmt: skip

GREY, DARK = "#8C8C8C", "#5C5C5C"
# One colour per method of this study, in every figure of it.
METHODS = {
    "base": "#B4531A",
    "LoRA": SPARE[0],
    "QLoRA": SPARE[2],
    "LoRA + numeric loss": SPARE[3],
    "respondents": PALETTE["human"],
    "truth": PALETTE["truth causal"],
}
MARKS = {"base": "s", "LoRA": "o", "QLoRA": "D", "LoRA + numeric loss": "^", "respondents": "o"}


def _colours(frame: pd.DataFrame) -> dict[str, str]:
    """Each method's colour in order of appearance; what is no language model is grey."""
    return colours_of(frame["method"], METHODS, (GREY,))


def margins(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Target and achieved margins of a sampling plan, one row per value.

    Columns: margin, value, target, achieved (shares, 0 to 1), and optionally by_chance (standard
    deviation under independent draws), drawn as a band of two of them around the target. The
    target is hollow and dotted in the hue of a truth, the achieved share a full mark.
    """
    frame, ax = begin(frame, ax, "target", "achieved", labels="margin value", maybe="by_chance")
    frame = frame.reset_index(drop=True)
    y = np.arange(len(frame)) + 0.7 * (frame["margin"] != frame["margin"].shift()).cumsum()
    if "by_chance" in frame:
        low, high = (frame["target"] + k * frame["by_chance"] for k in (-2, 2))
        ax.hlines(
            y, low.clip(0), high.clip(upper=1), color="#E6E6E6", linewidth=8, zorder=1,
            label="Target ± 2 SD of independent draws",
        )  # fmt: skip
    ax.hlines(y, 0, frame["target"], color=PALETTE["truth causal"], linestyle=":", linewidth=1)
    ax.plot(
        frame["target"], y, "o", color=PALETTE["truth causal"], markerfacecolor="white",
        markersize=8, label="Target",
    )  # fmt: skip
    ax.plot(frame["achieved"], y, "o", color=PALETTE["unblinded"], markersize=4, label="Achieved")
    names = zip(frame["margin"], frame["value"], strict=True)
    ax.set_yticks(y, [f"{words(margin)}: {value}" for margin, value in names])
    ax.set_ylim(y.max() + 0.8, y.min() - 0.8)
    ax.grid(axis="y", visible=False)
    ax.set(xlabel="Share of respondents (0 to 1)", xlim=(0, None))
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3)  # the rows leave no room inside
    return ax


def answer_shares(frame: pd.DataFrame, ax: Axes | None = None, *, unit: str = "points") -> Axes:
    """Shares of the answers on a scale: respondents as bars, every other method as a line.

    Columns: method, value, share (0 to 1). "truth" is dotted.
    """
    frame, ax = begin(frame, ax, "share", at="value", labels="method")
    values = np.sort(frame["value"].unique())
    width = 0.8 * (np.diff(values).min() if len(values) > 1 else 1.0)
    for method, colour, part in parts(frame, "method", "value", _colours(frame)):
        if method == "respondents":
            ax.bar(
                part["value"], part["share"], width, color="#D8D8D8", edgecolor="#000000",
                linewidth=0.6, label=words(method), zorder=1,
            )  # fmt: skip
            continue
        truth = method == "truth"
        look: dict[str, Any] = {"linestyle": ":" if truth else "-", "zorder": 4 if truth else 3}
        look["marker"] = "" if truth else MARKS.get(method, "o")
        ax.plot(part["value"], part["share"], color=colour, label=words(method), **look)
    ax.grid(axis="x", visible=False)
    return done(ax, xlabel=f"Answer ({unit})", ylabel="Share of answers (0 to 1)", ylim=(0, None))


def fit_dots(frame: pd.DataFrame, ax: Axes | None = None, *, xlabel: str = "Distance") -> Axes:
    """One row per method: its distance or error with the interval, best at the left.

    Columns: method, estimate; low and high where known; floor and ceiling (the same in all rows),
    drawn as dotted lines, where they are numbers. Methods that are no language model are grey.
    """
    frame, ax = begin(frame, ax, "estimate", labels="method", maybe="low high floor ceiling")
    y, colours = np.arange(len(frame)), [_colours(frame)[m] for m in frame["method"]]
    if {"low", "high"} <= set(frame):
        ax.hlines(y, frame["low"], frame["high"], color=colours, linewidth=2.4)
    for at, (method, value) in enumerate(zip(frame["method"], frame["estimate"], strict=True)):
        ax.plot([value], [at], MARKS.get(method, "o"), color=colours[at], markersize=8)
    for name, colour in (("floor", METHODS["truth"]), ("ceiling", DARK)):
        line = frame[name].iloc[0] if name in frame and len(frame) else np.nan
        if np.isfinite(line):
            ax.axvline(line, color=colour, linestyle=":", linewidth=1.6, zorder=1)
            ax.annotate(
                words(name), (line, -0.55), color=colour, fontsize=9, ha="center", va="bottom",
                annotation_clip=False,
            )  # fmt: skip
    rows(ax, [words(name) for name in frame["method"]])
    ax.set(xlabel=xlabel)
    return ax


def temperatures(
    frame: pd.DataFrame, ax: Axes | None = None, *, ylabel: str = "Distance", names: bool = True
) -> Axes:
    """A distance or error against the temperature, one line per method with its interval.

    Columns: method, temperature, estimate; low and high where known; sampled, drawn as crosses,
    where answers were drawn too. The lowest point of each line is ringed.
    """
    if not isinstance(names, bool):
        raise ValueError(f"names is {shown(names)}; it must be True or False")
    frame, ax = begin(
        frame, ax, "estimate", at="temperature", labels="method", maybe="low high sampled"
    )
    frame = frame.reset_index(drop=True)
    for method, colour, part in parts(frame, "method", "temperature", _colours(frame)):
        band(part, "temperature", colour, ax)
        ax.plot(part["temperature"], part["estimate"], color=colour, label=words(method), zorder=3)
        if part["estimate"].isna().all():
            continue
        best = part.loc[part["estimate"].idxmin()]
        ax.plot(
            [best["temperature"]], [best["estimate"]], "o", color=colour, markerfacecolor="white",
            markersize=9, markeredgewidth=2, zorder=4,
        )  # fmt: skip
        if "sampled" in part and part["sampled"].notna().any():
            ax.plot(part["temperature"], part["sampled"], "x", color=colour, zorder=5)
    ax.axvline(1, color="#BBBBBB", linewidth=1, zorder=1)
    ax.set(xlabel="Temperature of the answers", ylabel=ylabel, ylim=(0, None))
    if names:
        legend(ax)
    return ax


def learning(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    levels: dict[str, float] | None = None,
    ylabel: str = "Distance",
) -> Axes:
    """A distance or error against the number of respondents learnt from; 0 is the base model.

    Columns: respondents, estimate; low and high where known. levels : name -> value of what does
    not learn so (a baseline), drawn as grey lines.
    """
    frame, ax = begin(frame, ax, "estimate", at="respondents", maybe="low high")
    frame = frame.sort_values("respondents")
    places = np.arange(len(frame))
    if {"low", "high"} <= set(frame):
        ax.vlines(places, frame["low"], frame["high"], color=METHODS["LoRA"], linewidth=2.4)
    ax.plot(places, frame["estimate"], "o-", color=METHODS["LoRA"], label="LoRA", zorder=3)
    if not isinstance(levels, Mapping | None):
        raise ValueError(f"levels is {shown(levels)}; it must be {{name: number}}")
    for number, (name, value) in enumerate((levels or {}).items()):
        value = scalar(value, f"levels: {name}")
        style = ("--", ":", "-.")[number % 3]
        ax.axhline(value, color=DARK, linestyle=style, linewidth=1.4, label=words(name))
    ax.xaxis.set_major_locator(FixedLocator(places.tolist()))
    ax.set_xticklabels([f"{int(n):,}" if n else "none\n(base)" for n in frame["respondents"]])
    return done(ax, xlabel="Respondents learnt from (number)", ylabel=ylabel, ylim=(0, None))


def penalty_map(frame: pd.DataFrame, ax: Axes | None = None, *, label: str = "RMSE") -> Axes:
    """A quantity over the numeric loss's slope and width, as a heat map with its numbers.

    Columns: slope, width, estimate (NaN where there is no such adapter). Darker is larger.
    """
    frame, ax = begin(frame, ax, "estimate", at="slope width")
    twice = frame.duplicated(["slope", "width"])
    if twice.any():
        raise ValueError(f"row {frame.index[twice][0]!r} has the slope and width of another row")
    grid = frame.pivot(index="slope", columns="width", values="estimate")
    cells = grid.to_numpy(dtype=float)
    image = ax.imshow(cells, cmap="Blues", origin="lower", aspect="auto")
    middle = np.nanmean([np.nanmin(cells), np.nanmax(cells)])
    for (row, column), value in np.ndenumerate(cells):
        told = f"{value:.3g}" if np.isfinite(value) else "–"
        colour = "white" if value > middle else "#222222"
        ax.text(column, row, told, ha="center", va="center", color=colour, fontsize=10)
    ax.set_xticks(range(len(grid.columns)), [f"{w:g}" for w in grid.columns])
    ax.set_yticks(range(len(grid.index)), [f"{s:g}" for s in grid.index])
    ax.grid(visible=False)
    ax.set(xlabel="Width (share of the scale)", ylabel="λ × slope (nats per scale)", title=label)
    ax.figure.colorbar(image, ax=ax, shrink=0.85)
    return ax


def shifts(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Mean shift of an answer after each kind of information, methods side by side.

    Columns: information, method, estimate; low and high where known. Respondents are black, the
    truth a hollow diamond.
    """
    frame, ax = begin(frame, ax, "estimate", labels="information method", maybe="low high")
    dots(
        frame, "information", "method", ax, gap=0.14, colours=_colours(frame),
        marks={**MARKS, "truth": "d"}, hollow="truth", width=2.2,
    )  # fmt: skip
    ax.axvline(0, color="#BBBBBB", linewidth=1, zorder=1)
    ax.xaxis.set_major_formatter(ScalarFormatter())
    return done(ax, xlabel="Mean shift of the preference (points)")
