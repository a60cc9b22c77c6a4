"""Figures of the demand study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from simkit.plots import look
from simkit.types import framed, shown

__all__ = ["ablation", "balance_plot", "demand_curves", "elicited_covariates",
           "scaling"]  # fmt: skip


def demand_curves(frame: pd.DataFrame, ax: Axes | None = None, *, unit: str = "dollars") -> Axes:
    """Probability of purchase against price, one line per strategy with its interval as a band.

    Parameters
    ----------
    frame : DataFrame
        Columns strategy, price, estimate; optionally low and high. Strategies that begin with
        "truth" are dotted lines without points; "human" is black.
    ax : Axes, optional
        New ones by default.
    unit : str
        Unit of the price.

    Returns
    -------
    Axes
        Those that were drawn on.
    """
    frame, ax = look.begin(frame, ax, "estimate", at="price", labels="strategy", maybe="low high")
    look.curves(frame, "strategy", "price", ax)
    top = min(1.0, 1.08 * look.highest(frame))
    xlabel, ylabel = f"Price ({unit})", "Probability of purchase"
    return look.done(ax, xlabel=xlabel, ylabel=ylabel, ylim=(0, top))


def elicited_covariates(
    frame: pd.DataFrame,
    axes: Sequence[Axes] | np.ndarray[Any, Any],
    *,
    unit: str = "dollars",
) -> np.ndarray[Any, Any]:
    """Expected covariates given the prompt, against price, one panel per covariate.

    Parameters
    ----------
    frame : DataFrame
        Columns covariate, price, estimate; optionally strategy, low and high.
    axes : sequence of Axes
        One for each covariate, or more; what is left over is blank.
    unit : str
        Unit of the price.

    Returns
    -------
    ndarray
        The Axes as a flat array.

    Raises
    ------
    ValueError
        If there are fewer axes than covariates.
    """
    maybe = "low high strategy"
    frame = look.need(frame, "estimate", at="price", labels="covariate strategy", maybe=maybe)
    panels = np.ravel(np.asarray(axes, dtype=object))
    if not all(isinstance(panel, Axes) for panel in panels):
        raise ValueError(f"axes is {shown(axes)}; it must hold Axes, as plt.subplots() makes them")
    names = list(dict.fromkeys(frame["covariate"]))
    if len(panels) < len(names):
        raise ValueError(f"{len(panels)} axes for {len(names)} covariates: {names}")
    frame = frame if "strategy" in frame else frame.assign(strategy="blind")
    for ax, name in zip(panels, names, strict=False):
        look.curves(frame[frame["covariate"] == name], "strategy", "price", ax)
        title = look.words(name)
        ax.set(xlabel=f"Price ({unit})", ylabel="Expected value (own units)", title=title)
    for ax in panels[len(names) :]:
        ax.set_axis_off()
    look.legend(panels[0])
    return panels


def balance_plot(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Standardised slopes of the covariates left unstated on the treatment, with intervals.

    Parameters
    ----------
    frame : DataFrame
        Columns covariate, estimate, low, high; optionally strategy (drawn side by side) and
        quantity (as in `balance_audit`: only its std_slope rows are drawn).
    ax : Axes, optional
        New ones by default.

    Returns
    -------
    Axes
        Those that were drawn on. Zero, no endogeneity, is a line; the band to 0.1 on either side of
        it is what is usually called balanced.
    """
    if "quantity" in framed(frame, "the frame"):
        frame = frame[frame["quantity"] == "std_slope"]
    named = {"labels": "covariate", "strategy": "blind"}
    frame, ax = look.begin(frame, ax, "estimate", "low", "high", **named)
    ax.axvspan(-0.1, 0.1, color="#F0F0F0", zorder=0)
    ax.axvline(0, color="#555555", linewidth=1, zorder=1)
    look.dots(frame, "covariate", "strategy", ax, gap=0.26, size=7)
    return look.done(ax, xlabel="Standardised slope (SDs of the covariate per SD of price)")


def ablation(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Error of the demand curve against the number of covariates stated: points and their mean.

    Parameters
    ----------
    frame : DataFrame
        One row per subset: columns k (number of covariates stated), error (mean absolute error,
        probability); optionally product (a faint line each).
    ax : Axes, optional
        New ones by default.

    Returns
    -------
    Axes
        Those that were drawn on.
    """
    frame, ax = look.begin(frame, ax, "error", at="k", labels="product", maybe="product")
    means, colour = frame.groupby("k")["error"].mean(), look.PALETTE["stated"]
    for _, part in frame.groupby("product") if "product" in frame else ():
        line = part.groupby("k")["error"].mean()
        ax.plot(line.index, line, color=colour, alpha=0.35, linewidth=1, zorder=2)
    size = frame.groupby("k")["error"].transform("size")
    spread = (frame.groupby("k").cumcount() / size - 0.5) + 0.5 / size  # in a row, not at random
    ax.plot(
        frame["k"] + 0.3 * spread, frame["error"], "o", color=colour, alpha=0.6, markersize=5,
        markeredgewidth=0, label="One subset",
    )  # fmt: skip
    ax.plot(means.index, means, "-s", color="#8A6100", markersize=7, label="Mean", zorder=4)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return look.done(
        ax, xlabel="Covariates stated in the prompt (number)",
        ylabel="Mean absolute error (probability)", ylim=(0, None),
    )  # fmt: skip


def scaling(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Error of simulated demand against the amount of training text, on a log axis.

    Parameters
    ----------
    frame : DataFrame
        Columns documents (number of training documents), error, strategy, target ("truth
        observational" or "truth causal": the curve that the error is taken against); optionally
        low and high.
    ax : Axes, optional
        New ones by default.

    Returns
    -------
    Axes
        Those that were drawn on. The colour is the strategy; lines against the observational
        target are solid with full marks, those against the causal one dashed with hollow marks.
    """
    named = {"labels": "strategy target", "maybe": "low high"}
    frame, ax = look.begin(frame, ax, "error", at="documents", **named)
    colours = look.colours_of(frame["strategy"])
    for (strategy, target), part in frame.groupby(["strategy", "target"], sort=False):
        part, causal, colour = part.sort_values("documents"), "causal" in target, colours[strategy]
        truth = str(target).removeprefix("truth ")
        ax.plot(
            part["documents"], part["error"], marker=look.MARKS.get(strategy, "o"), color=colour,
            linestyle="--" if causal else "-", markersize=7,
            markerfacecolor="white" if causal else colour,
            label=f"{look.words(strategy)}, against the {truth} truth",
        )  # fmt: skip
        look.band(part, "documents", colour, ax)
    return look.done(
        ax, xscale="log", xlabel="Training documents (number, log scale)",
        ylabel="Mean absolute error (probability)", ylim=(0, None),
    )  # fmt: skip
