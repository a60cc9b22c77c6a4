"""Figures of the representativeness study: margins against structure, correlations, subgroups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from simkit.plots import look
from simkit.types import framed, shown
from simkit.types import numbers as numbers_of

__all__ = ["correlogram_pair", "quadrant", "structure_bars", "subgroup_lines"]

SIDES = ("marginal", "structural")
TECHNIQUES = {
    "independent margins": "#8C8C8C",
    "personas": "#D55E00",
    "mixture": "#E6A100",
    "joint interview": "#0072B2",
    "direct shares": "#9B5FA5",
    "other people": look.PALETTE["human"],
    "twins": "#0B6E78",
}
DASHED: dict[str, Any] = {"color": "#777777", "linestyle": "--", "linewidth": 1}


def _colours(names: Iterable[str]) -> dict[str, str]:
    free = tuple(c for c in look.SPARE if c not in TECHNIQUES.values())
    return look.colours_of(names, TECHNIQUES, free)


def quadrant(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Marginal error (across) against structural error (up), one mark per technique.

    Parameters
    ----------
    frame : DataFrame
        Columns technique, marginal, structural; optionally marginal_low, marginal_high,
        structural_low and structural_high (the intervals), and marginal_floor and structural_floor
        (of each row; the largest is drawn): the corner within which a second sample of humans
        would lie. They must be on the errors' scale: where the samples' noise is taken out of the
        errors, the upper ends of what a second sample comes out as.
    ax : Axes, optional
        New ones by default.

    Returns
    -------
    Axes
        Those that were drawn on.
    """
    maybe = " ".join(f"{side}_{end}" for side in SIDES for end in ("low", "high", "floor"))
    frame, ax = look.begin(frame, ax, *SIDES, labels="technique", maybe=maybe)
    if {"marginal_floor", "structural_floor"} <= set(frame):
        x, y = frame["marginal_floor"].max(), frame["structural_floor"].max()
        ax.axvline(x, **DASHED)
        ax.axhline(y, **DASHED)
        ax.add_patch(Rectangle((0, 0), x, y, color="#E9F2EC", zorder=0))
        ax.annotate("Noise floor", (1, y), (-4, 3), ("axes fraction", "data"), ha="right",
                    textcoords="offset points", color="#3B6B4B", fontsize=9)  # fmt: skip
    colours = _colours(frame["technique"])
    for row in frame.to_dict("records"):
        colour, name = colours[row["technique"]], look.words(row["technique"])
        for side, other in (SIDES, SIDES[::-1]):
            lines: Any = ax.hlines if side == "marginal" else ax.vlines
            if {f"{side}_low", f"{side}_high"} <= set(row):
                lines(row[other], row[f"{side}_low"], row[f"{side}_high"], color=colour,
                      linewidth=2, alpha=0.6, zorder=3)  # fmt: skip
        ax.plot(row["marginal"], row["structural"], "o", color=colour, markersize=9, label=name,
                zorder=4)  # fmt: skip
    limits = [1.1 * look.highest(frame, s, f"{s}_high", f"{s}_floor") for s in SIDES]
    ax.set(xlabel="Marginal error (total variation, mean over items)", xlim=(0, limits[0]),
           ylabel="Structural error (RMSD of item correlations)", ylim=(0, limits[1]))  # fmt: skip
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))  # marks may lie anywhere inside
    return ax


def correlogram_pair(
    humans: pd.DataFrame, simulated: pd.DataFrame, ax: Axes | None = None, *, numbers: bool = True
) -> Axes:
    """Two correlation matrices in one: humans below the diagonal, simulated above.

    Parameters
    ----------
    humans, simulated : DataFrame
        (k, k) with the same items in the same order, as `correlation_matrix` makes them.
    ax : Axes, optional
        New ones by default.
    numbers : bool
        Whether each cell shows its value.

    Returns
    -------
    Axes
        Those that were drawn on. Undefined cells are grey.

    Raises
    ------
    ValueError
        For different items, and matrices that are not square.
    """
    if not isinstance(numbers, bool):
        raise ValueError(f"numbers is {shown(numbers)}; it must be True or False")
    items = list(framed(humans, "humans").columns)
    if items != list(framed(simulated, "simulated").columns):
        raise ValueError(
            f"humans have the items {items}, simulated {list(simulated)}; they must be the same"
        )
    k, pair = len(items), []
    for name, frame in (("humans", humans), ("simulated", simulated)):
        pair.append(numbers_of(frame, name, "items × items"))
        if len(frame) != k:
            raise ValueError(f"{name} has the shape {frame.shape}; it must be {k} × {k}")
    ax = look.new_or(ax)
    both = np.where(np.tri(k, k, -1, dtype=bool), *pair)
    np.fill_diagonal(both, np.nan)
    colours = plt.get_cmap("RdBu_r").with_extremes(bad="#EEEEEE")
    image = ax.imshow(np.ma.masked_invalid(both), cmap=colours, vmin=-1, vmax=1)
    for i, j in np.argwhere(~np.isnan(both)) if numbers else ():
        ink = "white" if abs(both[i, j]) > 0.6 else "#333333"
        text = f"{both[i, j]:.2f}".replace("0.", ".")
        ax.text(j, i, text, ha="center", va="center", fontsize=8, color=ink)
    names = [look.words(name) for name in items]
    ax.set_xticks(range(k), names, rotation=40, ha="right")
    ax.set_yticks(range(k), names)
    ax.plot([-0.5, k - 0.5], [-0.5, k - 0.5], color="#333333", linewidth=1.2)
    ax.grid(visible=False)
    ax.set(xlabel="Humans below the diagonal, simulated above")
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label="Correlation")
    return ax


def structure_bars(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Structural error of each study or population, with its interval.

    Parameters
    ----------
    frame : DataFrame
        Columns name, estimate, low, high; optionally floor, a short black line. Give it only where
        the estimates contain the samples' noise too.
    ax : Axes, optional
        New ones by default.

    Returns
    -------
    Axes
        Those that were drawn on.
    """
    frame, ax = look.begin(frame, ax, "estimate", "low", "high", labels="name", maybe="floor")
    y, colour = np.arange(len(frame)), TECHNIQUES["twins"]
    ax.hlines(y, frame["low"], frame["high"], color=colour, linewidth=2.4, alpha=0.6)
    ax.plot(frame["estimate"], y, "o", color=colour, label="Simulated", zorder=3)
    if "floor" in frame:
        ax.plot(frame["floor"], y, "|", color=look.PALETTE["human"], markersize=14,
                markeredgewidth=2, label="Noise floor of the humans", zorder=4)  # fmt: skip
    look.rows(ax, list(frame["name"]))
    ax.set_xlim(left=0)
    return look.done(ax, xlabel="Structural error (RMSD of item correlations)")


def subgroup_lines(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """A measure of group means against the number of groups, one line per population.

    Parameters
    ----------
    frame : DataFrame
        Columns population, groups (number), estimate; optionally low and high (ranges over
        samples).
    ax : Axes, optional
        New ones by default.

    Returns
    -------
    Axes
        Those that were drawn on.
    """
    named = {"labels": "population", "maybe": "low high"}
    frame, ax = look.begin(frame, ax, "estimate", at="groups", **named)
    colours = _colours(frame["population"])
    look.curves(frame, "population", "groups", ax, colours=colours, marks={})
    ax.set_xscale("log")
    look.ticks(ax, frame["groups"])
    ax.axvline(10, **DASHED)
    return look.done(
        ax, xlabel="Groups (number, log scale; dashed: ten, as published)",
        ylabel="RMSD of the correlations of group means", ylim=(0, None),
    )  # fmt: skip
