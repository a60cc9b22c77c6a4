"""One function per figure type: a tidy frame and an Axes in, the Axes out.

Nothing is sampled or estimated here; the frames are what the estimators return (`Result.frame`,
put together with a `strategy` column). One colour per method in the whole project (PALETTE, which
keeps apart under the common colour blindnesses); the truth is dotted, humans are black.
All functions raise ValueError naming a missing column and the columns there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, cast

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

__all__ = [
    "PALETTE",
    "ablation",
    "balance_plot",
    "calibration",
    "demand_curves",
    "elicited_covariates",
    "scaling",
    "style",
]

# After Okabe & Ito: the truths have the hue of the prompt that should find them, but darker.
PALETTE = {
    "blind": "#D55E00",
    "stated": "#E6A100",
    "unblinded": "#0072B2",
    "truth observational": "#7A2E00",
    "truth causal": "#00304D",
    "human": "#000000",
}
SPARE = ("#009E73", "#CC79A7", "#56B4E9", "#7F6BB3", "#8C8C8C")  # for methods not named above
MARKS = {"blind": "o", "stated": "s", "unblinded": "D", "human": "o"}
RC: dict[str, Any] = {
    "figure.figsize": (6.4, 4.0),
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "savefig.bbox": "tight",
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": "#333333",
    "axes.edgecolor": "#888888",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 2.0,
    "lines.markersize": 5.5,
    "svg.hashsalt": "simkit",
}


class style:  # lower case: it is used as a function
    """The project's look: `style()` sets it, `with style():` sets it and takes it back."""

    def __init__(self) -> None:
        self._settings = cast(dict[str, Any], mpl.rcParams)
        self._before = {name: self._settings[name] for name in RC}
        self._settings.update(RC)

    def __enter__(self) -> style:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._settings.update(self._before)


def demand_curves(frame: pd.DataFrame, ax: Axes | None = None, *, unit: str = "dollars") -> Axes:
    """P(buy) against price, one line per strategy with its interval as a band.

    Columns: strategy, price, estimate; low and high if there are intervals. Strategies that begin
    with "truth" are dotted lines without points, "human" is black.
    """
    ax = _axes(ax)
    _curves(_need(frame, "strategy", "price", "estimate"), "price", ax)
    ax.set(xlabel=f"Price ({unit})", ylabel="Probability of purchase")
    ax.set_ylim(0, min(1.0, 1.08 * _top(frame)))
    _legend(ax)
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
    frame = _need(frame, "covariate", "price", "estimate")
    panels = np.ravel(np.asarray(axes, dtype=object))
    names = list(dict.fromkeys(frame["covariate"]))
    if len(panels) < len(names):
        raise ValueError(f"{len(panels)} axes for {len(names)} covariates: {names}")
    frame = frame if "strategy" in frame else frame.assign(strategy="blind")
    for ax, name in zip(panels, names, strict=False):
        _curves(frame[frame["covariate"] == name], "price", ax)
        ax.set(xlabel=f"Price ({unit})", title=_words(name))
        ax.set_ylabel(f"Expected value ({(units or {}).get(name, 'own units')})")
    for ax in panels[len(names) :]:
        ax.set_axis_off()
    _legend(panels[0])
    return panels


def balance_plot(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Standardised slopes of the unsaid covariates on the treatment, with their intervals.

    Columns: covariate, estimate, low, high, and optionally strategy (drawn side by side) and
    quantity (as in balance_audit: only its std_slope rows are drawn). Zero, no endogeneity, is a
    line, and the band to 0.1 on either side of it is what is usually called balanced.
    """
    ax = _axes(ax)
    frame = _need(frame, "covariate", "estimate", "low", "high")
    if "quantity" in frame:
        frame = frame[frame["quantity"] == "std_slope"]
    frame = frame if "strategy" in frame else frame.assign(strategy="blind")
    names = list(dict.fromkeys(frame["covariate"]))
    colours = _colours(frame["strategy"])
    ax.axvspan(-0.1, 0.1, color="#F0F0F0", zorder=0)
    ax.axvline(0, color="#555555", linewidth=1, zorder=1)
    for k, (strategy, colour) in enumerate(colours.items()):
        part = frame[frame["strategy"] == strategy]
        y = part["covariate"].map(names.index) + 0.26 * (k - (len(colours) - 1) / 2)
        ax.hlines(y, part["low"], part["high"], color=colour, linewidth=2.4)
        mark = MARKS.get(strategy, "o")
        ax.plot(part["estimate"], y, mark, color=colour, markersize=7, label=_words(strategy))
    ax.set_yticks(range(len(names)), [_words(name) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.set(xlabel="Standardised slope (SDs of the covariate per SD of price)")
    _legend(ax)
    return ax


def ablation(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Error of the demand curve against the number of covariates stated: points and their mean.

    Columns: k (number stated), error (mean absolute error, probability), one row per subset, and
    optionally product (one faint line each instead of points only).
    """
    ax = _axes(ax)
    frame = _need(frame, "k", "error")
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
    _legend(ax)
    return ax


def scaling(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Error of simulated demand against the amount of training text, on a log axis.

    Columns: documents (training documents), error, strategy, target ("truth observational" or
    "truth causal": the curve that the error is taken against); low and high if known. The colour
    is the strategy; the observational target is solid with full marks, the causal one dashed
    with hollow marks.
    """
    ax = _axes(ax)
    frame = _need(frame, "documents", "error", "strategy", "target")
    colours = _colours(frame["strategy"])
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
            label=f"{_words(strategy)}, against the {str(target).removeprefix('truth ')} truth",
        )
        _band(part, "documents", colours[strategy], ax)
    ax.set_xscale("log")
    ax.set(
        xlabel="Training documents (number, log scale)", ylabel="Mean absolute error (probability)"
    )
    ax.set_ylim(bottom=0)
    _legend(ax)
    return ax


def calibration(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """The model's belief against the exact probability, one point per prompt and option.

    Columns: exact, belief (both 0 to 1) and optionally strategy (or kind of prompt). The dotted
    line is the identity.
    """
    ax = _axes(ax)
    frame = _need(frame, "exact", "belief")
    ax.plot([0, 1], [0, 1], ":", color=PALETTE["truth causal"], label="Exact", zorder=3)
    frame = frame if "strategy" in frame else frame.assign(strategy="belief")
    for strategy, colour in _colours(frame["strategy"]).items():
        part = frame[frame["strategy"] == strategy]
        ax.plot(
            part["exact"],
            part["belief"],
            "o",
            color=colour,
            alpha=0.5,
            markersize=4,
            markeredgewidth=0,
            label=_words(strategy),
        )
    ax.set(
        xlabel="Exact probability",
        ylabel="Model belief (probability)",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        aspect="equal",
    )
    _legend(ax)
    return ax


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots()[1] if ax is None else ax


def _need(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    lost = [name for name in columns if name not in frame]
    if lost:
        raise ValueError(f"no column {lost[0]!r}; the frame has {list(frame.columns)}")
    return frame


def _colours(methods: Iterable[str]) -> dict[str, str]:
    """Each method's colour, in order of appearance; those not in PALETTE take the spare ones."""
    names = list(dict.fromkeys(methods))
    spare = [name for name in names if name not in PALETTE]
    return {n: PALETTE.get(n) or SPARE[spare.index(n) % len(SPARE)] for n in names}


def _curves(frame: pd.DataFrame, x: str, ax: Axes) -> None:
    for strategy, colour in _colours(frame["strategy"]).items():
        part = frame[frame["strategy"] == strategy].sort_values(x)
        truth = str(strategy).startswith("truth")
        look: dict[str, Any] = {"marker": MARKS.get(strategy, "o"), "zorder": 3}
        if truth:
            look = {"linestyle": ":", "linewidth": 2.4, "zorder": 4}
        ax.plot(part[x], part["estimate"], color=colour, label=_words(strategy), **look)
        if not truth:
            _band(part, x, colour, ax)


def _band(part: pd.DataFrame, x: str, colour: str, ax: Axes) -> None:
    if {"low", "high"} <= set(part):
        ax.fill_between(part[x], part["low"], part["high"], color=colour, alpha=0.18, linewidth=0)


def _top(frame: pd.DataFrame) -> float:
    return float(np.nanmax(frame[[c for c in ("estimate", "high") if c in frame]].to_numpy()))


def _words(name: object) -> str:
    text = str(name).replace("_", " ")
    text = f"truth ({text[6:]})" if text.startswith("truth ") else text
    return text[:1].upper() + text[1:]


def _legend(ax: Axes) -> None:
    handles, names = ax.get_legend_handles_labels()
    if len(names) > 1:
        ax.legend(handles, names)
