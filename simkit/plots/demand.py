"""Figures of the demand study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from simkit.plots.look import (
    MARKS,
    PALETTE,
    band,
    begin,
    colours_of,
    curves,
    done,
    dots,
    highest,
    legend,
    need,
    words,
)
from simkit.types import framed, shown

__all__ = ["ablation", "balance_plot", "demand_curves", "elicited_covariates",
           "scaling"]  # fmt: skip


def demand_curves(frame: pd.DataFrame, ax: Axes | None = None, *, unit: str = "dollars") -> Axes:
    """P(buy) against price, one line per strategy with its interval as a band.

    Columns: strategy, price, estimate; low and high if there are intervals. Strategies that begin
    with "truth" are dotted lines without points, "human" is black.
    """
    frame, ax = begin(frame, ax, "estimate", at="price", labels="strategy", maybe="low high")
    curves(frame, "strategy", "price", ax)
    return done(
        ax, xlabel=f"Price ({unit})", ylabel="Probability of purchase",
        ylim=(0, min(1.0, 1.08 * highest(frame))),
    )  # fmt: skip


def elicited_covariates(
    frame: pd.DataFrame,
    axes: Sequence[Axes] | np.ndarray[Any, Any],
    *,
    unit: str = "dollars",
) -> np.ndarray[Any, Any]:
    """E[C | prompt] against price, one panel per covariate, on the axes given; returns them.

    Columns: covariate, price, estimate, and (all optional) strategy, low, high. Raises ValueError
    if there are fewer axes than covariates.
    """
    maybe = "low high strategy"
    frame = need(frame, "estimate", at="price", labels="covariate strategy", maybe=maybe)
    panels = np.ravel(np.asarray(axes, dtype=object))
    if not all(isinstance(panel, Axes) for panel in panels):
        raise ValueError(f"axes is {shown(axes)}; it must hold Axes, as plt.subplots() makes them")
    names = list(dict.fromkeys(frame["covariate"]))
    if len(panels) < len(names):
        raise ValueError(f"{len(panels)} axes for {len(names)} covariates: {names}")
    frame = frame if "strategy" in frame else frame.assign(strategy="blind")
    for ax, name in zip(panels, names, strict=False):
        curves(frame[frame["covariate"] == name], "strategy", "price", ax)
        ax.set(xlabel=f"Price ({unit})", ylabel="Expected value (own units)", title=words(name))
    for ax in panels[len(names) :]:
        ax.set_axis_off()
    legend(panels[0])
    return panels


def balance_plot(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Standardised slopes of the unsaid covariates on the treatment, with their intervals.

    Columns: covariate, estimate, low, high, and optionally strategy (drawn side by side) and
    quantity (as in balance_audit: only its std_slope rows are drawn). Zero, no endogeneity, is a
    line, and the band to 0.1 on either side of it is what is usually called balanced.
    """
    if "quantity" in framed(frame, "the frame"):
        frame = frame[frame["quantity"] == "std_slope"]
    named = {"labels": "covariate", "strategy": "blind"}
    frame, ax = begin(frame, ax, "estimate", "low", "high", **named)
    ax.axvspan(-0.1, 0.1, color="#F0F0F0", zorder=0)
    ax.axvline(0, color="#555555", linewidth=1, zorder=1)
    dots(frame, "covariate", "strategy", ax, gap=0.26, size=7)
    return done(ax, xlabel="Standardised slope (SDs of the covariate per SD of price)")


def ablation(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Error of the demand curve against the number of covariates stated: points and their mean.

    Columns: k (number stated), error (mean absolute error, probability), one row per subset, and
    optionally product (one faint line each instead of points only).
    """
    frame, ax = begin(frame, ax, "error", at="k", labels="product", maybe="product")
    means = frame.groupby("k")["error"].mean()
    for _, part in frame.groupby("product") if "product" in frame else ():
        line = part.groupby("k")["error"].mean()
        ax.plot(line.index, line, color=PALETTE["stated"], alpha=0.35, linewidth=1, zorder=2)
    size = frame.groupby("k")["error"].transform("size")
    spread = (frame.groupby("k").cumcount() / size - 0.5) + 0.5 / size  # in a row, not at random
    ax.plot(
        frame["k"] + 0.3 * spread, frame["error"], "o", color=PALETTE["stated"], alpha=0.6,
        markersize=5, markeredgewidth=0, label="One subset",
    )  # fmt: skip
    ax.plot(means.index, means, "-s", color="#8A6100", markersize=7, label="Mean", zorder=4)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return done(
        ax, xlabel="Covariates stated in the prompt (number)",
        ylabel="Mean absolute error (probability)", ylim=(0, None),
    )  # fmt: skip


def scaling(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Error of simulated demand against the amount of training text, on a log axis.

    Columns: documents (training documents), error, strategy, target ("truth observational" or
    "truth causal": the curve that the error is taken against); low and high if known. The colour
    is the strategy; the observational target is solid with full marks, the causal one dashed
    with hollow marks.
    """
    frame, ax = begin(
        frame, ax, "error", at="documents", labels="strategy target", maybe="low high"
    )
    colours = colours_of(frame["strategy"])
    for (strategy, target), part in frame.groupby(["strategy", "target"], sort=False):
        part, causal, colour = (
            part.sort_values("documents"),
            "causal" in str(target),
            colours[strategy],
        )
        ax.plot(
            part["documents"], part["error"], marker=MARKS.get(strategy, "o"), color=colour,
            linestyle="--" if causal else "-", markersize=7,
            markerfacecolor="white" if causal else colour,
            label=f"{words(strategy)}, against the {str(target).removeprefix('truth ')} truth",
        )  # fmt: skip
        band(part, "documents", colour, ax)
    return done(
        ax, xscale="log", xlabel="Training documents (number, log scale)",
        ylabel="Mean absolute error (probability)", ylim=(0, None),
    )  # fmt: skip
