"""Figures of who is asked."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from simkit.plots.look import PALETTE, axes_or_new, need, words

__all__ = ["margins"]


def margins(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Target and achieved margins of a sampling plan, one row per value.

    Columns: margin, value, target, achieved (shares, 0 to 1), and optionally by_chance (standard
    deviation under independent draws), drawn as a band of two of them around the target. The
    target is hollow and dotted in the hue of a truth, the achieved share a full mark.
    """
    frame = need(frame, "target", "achieved", labels="margin value", maybe="by_chance")
    ax = axes_or_new(ax)
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
