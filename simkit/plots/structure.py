"""Figures of the representativeness study: margins against structure, correlations, subgroups."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from simkit.plots.look import (
    PALETTE,
    SPARE,
    band,
    begin,
    colours_of,
    done,
    highest,
    legend,
    new_or,
    parts,
    rows,
    words,
)
from simkit.types import framed, shown
from simkit.types import numbers as numbers_of

__all__ = ["correlogram_pair", "quadrant", "structure_bars", "subgroup_lines"]

SIDES = ("marginal", "structural")
TECHNIQUES = {
    "independent margins": "#8C8C8C",
    "personas": "#D55E00",
    "mixture": "#E6A100",
    "joint interview": "#0072B2",
    "twins": "#0B6E78",
}


def quadrant(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Marginal error (across) against structural error (up), one mark per technique.

    Columns: technique, marginal, structural; marginal_low, marginal_high, structural_low,
    structural_high if there are intervals; marginal_floor, structural_floor (of each row; the
    largest is drawn), the corner within which a second sample of humans would lie: only where the
    errors hold the samples' noise too.
    """
    maybe = " ".join(f"{side}_{end}" for side in SIDES for end in ("low", "high", "floor"))
    frame, ax = begin(frame, ax, *SIDES, labels="technique", maybe=maybe)
    free = tuple(c for c in SPARE if c not in TECHNIQUES.values())
    colours = colours_of(frame["technique"], TECHNIQUES, free)
    for side, line, other in (
        ("marginal", ax.axvline, "structural"), ("structural", ax.axhline, "marginal"),
    ):  # fmt: skip
        if f"{side}_floor" in frame and f"{other}_floor" in frame:
            line(frame[f"{side}_floor"].max(), color="#777777", linestyle="--", linewidth=1)
    if {"marginal_floor", "structural_floor"} <= set(frame):
        x, y = frame["marginal_floor"].max(), frame["structural_floor"].max()
        ax.add_patch(Rectangle((0, 0), x, y, color="#E9F2EC", zorder=0))
        ax.annotate("Noise floor", (1, y), (-4, 3), ("axes fraction", "data"), ha="right",
                    textcoords="offset points", color="#3B6B4B", fontsize=9)  # fmt: skip
    for row in frame.to_dict("records"):
        colour = colours[row["technique"]]
        _cross(ax, row, colour)
        name = words(row["technique"])
        ax.plot(row["marginal"], row["structural"], "o", color=colour, markersize=9, label=name,
                zorder=4)  # fmt: skip
    ax.set(xlabel="Marginal error (total variation, mean over items)",
           ylabel="Structural error (RMSD of item correlations)")  # fmt: skip
    ends = [(side, f"{side}_high", f"{side}_floor") for side in SIDES]
    ax.set_xlim(0, 1.1 * highest(frame, *ends[0]))
    ax.set_ylim(0, 1.1 * highest(frame, *ends[1]))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))  # marks may lie anywhere inside
    return ax


def _cross(ax: Axes, row: dict[Any, Any], colour: str) -> None:
    look: dict[str, Any] = {"color": colour, "linewidth": 2, "alpha": 0.6, "zorder": 3}
    if {"marginal_low", "marginal_high"} <= set(row):
        ax.hlines(row["structural"], row["marginal_low"], row["marginal_high"], **look)
    if {"structural_low", "structural_high"} <= set(row):
        ax.vlines(row["marginal"], row["structural_low"], row["structural_high"], **look)


def correlogram_pair(
    humans: pd.DataFrame, simulated: pd.DataFrame, ax: Axes | None = None, *, numbers: bool = True
) -> Axes:
    """Two correlation matrices in one: humans below the diagonal, simulated above.

    humans, simulated : (k, k) with the same items in the same order, as `correlation_matrix`
    gives them. numbers : whether each cell says its value. Undefined cells are grey. Raises
    ValueError for different items.
    """
    if not isinstance(numbers, bool):
        raise ValueError(f"numbers is {shown(numbers)}; it must be True or False")
    items = list(framed(humans, "humans").columns)
    if items != list(framed(simulated, "simulated").columns):
        raise ValueError(
            f"humans have the items {items}, simulated {list(simulated)}; they must be the same"
        )
    pair = [numbers_of(f, name, "items × items") for name, f in
            (("humans", humans), ("simulated", simulated))]  # fmt: skip
    k = len(items)
    for name, found in zip(("humans", "simulated"), pair, strict=True):
        if found.shape != (k, k):
            raise ValueError(f"{name} has the shape {found.shape}; it must be {k} × {k}")
    ax = new_or(ax)
    both = np.where(np.tri(k, k, -1, dtype=bool), *pair)
    np.fill_diagonal(both, np.nan)
    colours = plt.get_cmap("RdBu_r").with_extremes(bad="#EEEEEE")
    image = ax.imshow(np.ma.masked_invalid(both), cmap=colours, vmin=-1, vmax=1)
    if numbers:
        for i, j in np.argwhere(~np.isnan(both)):
            ink = "white" if abs(both[i, j]) > 0.6 else "#333333"
            text = f"{both[i, j]:.2f}".replace("0.", ".")
            ax.text(j, i, text, ha="center", va="center", fontsize=8, color=ink)
    names = [words(name) for name in humans.columns]
    ax.set_xticks(range(k), names, rotation=40, ha="right")
    ax.set_yticks(range(k), names)
    ax.plot([-0.5, k - 0.5], [-0.5, k - 0.5], color="#333333", linewidth=1.2)
    ax.grid(visible=False)
    ax.set(xlabel="Humans below the diagonal, simulated above")
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label="Correlation")
    return ax


def structure_bars(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Structural error of each study or population, with its interval.

    Columns: name, estimate, low, high; floor, a short black line, only where the estimates hold
    the samples' noise too.
    """
    frame, ax = begin(frame, ax, "estimate", "low", "high", labels="name", maybe="floor")
    y = np.arange(len(frame))
    ax.hlines(y, frame["low"], frame["high"], color=TECHNIQUES["twins"], linewidth=2.4, alpha=0.6)
    ax.plot(frame["estimate"], y, "o", color=TECHNIQUES["twins"], label="Simulated", zorder=3)
    if "floor" in frame:
        ax.plot(frame["floor"], y, "|", color=PALETTE["human"], markersize=14, markeredgewidth=2,
                label="Noise floor of the humans", zorder=4)  # fmt: skip
    rows(ax, list(frame["name"]))
    ax.set_xlim(left=0)
    ax.set(xlabel="Structural error (RMSD of item correlations)")
    if "floor" in frame:
        legend(ax)
    return ax


def subgroup_lines(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """What group means can tell: a measure against the number of groups, one line per population.

    Columns: population, groups (number), estimate; low, high if there are ranges over samples.
    """
    frame, ax = begin(frame, ax, "estimate", at="groups", labels="population", maybe="low high")
    for name, colour, part in parts(frame, "population", "groups"):
        colour = TECHNIQUES.get(name, colour)
        band(part, "groups", colour, ax)
        ax.plot(part["groups"], part["estimate"], "-o", color=colour, label=words(name))
    counts = sorted(set(frame["groups"]))
    ax.set_xscale("log")
    ax.set_xticks(counts, [f"{c:g}" for c in counts])
    ax.minorticks_off()
    ax.axvline(10, color="#777777", linestyle="--", linewidth=1)
    return done(
        ax, xlabel="Groups (number, log scale; dashed: the source's ten)",
        ylabel="RMSD of the correlations of group means", ylim=(0, None),
    )  # fmt: skip
