"""Figures of the demand study, and of calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from simkit.plots.look import (
    MARKS,
    PALETTE,
    axes_or_new,
    band,
    colours_of,
    draw_curves,
    highest,
    legend,
    need,
    words,
)
from simkit.types import framed, shown

__all__ = [
    "ablation",
    "balance_plot",
    "calibration",
    "demand_curves",
    "elicited_covariates",
    "scaling",
]


def demand_curves(frame: pd.DataFrame, ax: Axes | None = None, *, unit: str = "dollars") -> Axes:
    """P(buy) against price, one line per strategy with its interval as a band.

    Columns: strategy, price, estimate; low and high if there are intervals. Strategies that begin
    with "truth" are dotted lines without points, "human" is black.
    """
    frame = need(frame, "estimate", at="price", labels="strategy", maybe="low high")
    ax = axes_or_new(ax)
    draw_curves(frame, "price", ax)
    ax.set(xlabel=f"Price ({unit})", ylabel="Probability of purchase")
    ax.set_ylim(0, min(1.0, 1.08 * highest(frame)))
    legend(ax)
    return ax


def elicited_covariates(
    frame: pd.DataFrame,
    axes: Sequence[Axes] | np.ndarray[Any, Any],
    *,
    units: dict[str, str] | None = None,
    unit: str = "dollars",
) -> np.ndarray[Any, Any]:
    """E[C | prompt] against price, one panel per covariate, on the axes given; returns them.

    Columns: covariate, price, estimate, and (all optional) strategy, low, high. `units` names the
    unit of each covariate. Raises ValueError if there are fewer axes than covariates.
    """
    maybe = "low high strategy"
    frame = need(frame, "estimate", at="price", labels="covariate strategy", maybe=maybe)
    panels = np.ravel(np.asarray(axes, dtype=object))
    if not all(isinstance(panel, Axes) for panel in panels):
        raise ValueError(f"axes is {shown(axes)}; it must hold Axes, as plt.subplots() makes them")
    if not isinstance(units, Mapping | None):
        raise ValueError(f"units is {shown(units)}; it must be {{covariate: unit}}")
    names = list(dict.fromkeys(frame["covariate"]))
    if len(panels) < len(names):
        raise ValueError(f"{len(panels)} axes for {len(names)} covariates: {names}")
    frame = frame if "strategy" in frame else frame.assign(strategy="blind")
    for ax, name in zip(panels, names, strict=False):
        draw_curves(frame[frame["covariate"] == name], "price", ax)
        ax.set(xlabel=f"Price ({unit})", title=words(name))
        ax.set_ylabel(f"Expected value ({(units or {}).get(name, 'own units')})")
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
    both = "covariate strategy"
    frame = need(frame, "estimate", "low", "high", labels=both, maybe="strategy")
    ax = axes_or_new(ax)
    frame = frame if "strategy" in frame else frame.assign(strategy="blind")
    names = list(dict.fromkeys(frame["covariate"]))
    colours = colours_of(frame["strategy"])
    ax.axvspan(-0.1, 0.1, color="#F0F0F0", zorder=0)
    ax.axvline(0, color="#555555", linewidth=1, zorder=1)
    for k, (strategy, colour) in enumerate(colours.items()):
        part = frame[frame["strategy"] == strategy]
        y = part["covariate"].map(names.index) + 0.26 * (k - (len(colours) - 1) / 2)
        ax.hlines(y, part["low"], part["high"], color=colour, linewidth=2.4)
        mark = MARKS.get(strategy, "o")
        ax.plot(part["estimate"], y, mark, color=colour, markersize=7, label=words(strategy))
    ax.set_yticks(range(len(names)), [words(name) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.set(xlabel="Standardised slope (SDs of the covariate per SD of price)")
    legend(ax)
    return ax


def ablation(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Error of the demand curve against the number of covariates stated: points and their mean.

    Columns: k (number stated), error (mean absolute error, probability), one row per subset, and
    optionally product (one faint line each instead of points only).
    """
    frame = need(frame, "error", at="k", labels="product", maybe="product")
    ax = axes_or_new(ax)
    means = frame.groupby("k")["error"].mean()
    for _, part in frame.groupby("product") if "product" in frame else ():
        line = part.groupby("k")["error"].mean()
        ax.plot(line.index, line, color=PALETTE["stated"], alpha=0.35, linewidth=1, zorder=2)
    spread = frame.groupby("k").cumcount() / frame.groupby("k")["error"].transform("size") - 0.5
    spread += 0.5 / frame.groupby("k")["error"].transform("size")  # in a row, not at random
    ax.plot(
        frame["k"] + 0.3 * spread,
        frame["error"],
        "o",
        color=PALETTE["stated"],
        alpha=0.6,
        markersize=5,
        markeredgewidth=0,
        label="One subset",
    )
    ax.plot(means.index, means, "-s", color="#8A6100", markersize=7, label="Mean", zorder=4)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(
        xlabel="Covariates stated in the prompt (number)",
        ylabel="Mean absolute error (probability)",
    )
    ax.set_ylim(bottom=0)
    legend(ax)
    return ax


def scaling(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Error of simulated demand against the amount of training text, on a log axis.

    Columns: documents (training documents), error, strategy, target ("truth observational" or
    "truth causal": the curve that the error is taken against); low and high if known. The colour
    is the strategy; the observational target is solid with full marks, the causal one dashed
    with hollow marks.
    """
    frame = need(frame, "error", at="documents", labels="strategy target", maybe="low high")
    ax = axes_or_new(ax)
    colours = colours_of(frame["strategy"])
    for (strategy, target), part in frame.groupby(["strategy", "target"], sort=False):
        part, causal = part.sort_values("documents"), "causal" in str(target)
        ax.plot(
            part["documents"],
            part["error"],
            marker=MARKS.get(strategy, "o"),
            color=colours[strategy],
            linestyle="--" if causal else "-",
            markersize=7,
            markerfacecolor="white" if causal else colours[strategy],
            label=f"{words(strategy)}, against the {str(target).removeprefix('truth ')} truth",
        )
        band(part, "documents", colours[strategy], ax)
    ax.set_xscale("log")
    ax.set(
        xlabel="Training documents (number, log scale)", ylabel="Mean absolute error (probability)"
    )
    ax.set_ylim(bottom=0)
    legend(ax)
    return ax


def calibration(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The model's belief against the exact probability, one point per prompt and option.

    Columns: exact, belief (both 0 to 1) and optionally strategy (or kind of prompt). The dotted
    line is the identity.
    """
    frame = need(frame, "exact", "belief", labels="strategy", maybe="strategy")
    ax = axes_or_new(ax)
    ax.plot([0, 1], [0, 1], ":", color=PALETTE["truth causal"], label="Exact", zorder=3)
    frame = frame if "strategy" in frame else frame.assign(strategy="belief")
    for strategy, colour in colours_of(frame["strategy"]).items():
        part = frame[frame["strategy"] == strategy]
        ax.plot(
            part["exact"],
            part["belief"],
            "o",
            color=colour,
            alpha=0.5,
            markersize=4,
            markeredgewidth=0,
            label=words(strategy),
        )
    ax.set(
        xlabel="Exact probability",
        ylabel="Model belief (probability)",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        aspect="equal",
    )
    legend(ax)
    return ax
