"""Figures of the diversity study: line of unity, dose and response, pairs of models, remedies."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from simkit.plots import look
from simkit.templates import is_missing
from simkit.types import scalar

__all__ = ["dose_curve", "model_pairs", "trade_off", "unity"]


def unity(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Distance between people against distance within a person; one point per word.

    Parameters
    ----------
    frame : DataFrame
        Columns internal, population (ΔE); optionally source (model, human, truth ...).
    ax : Axes, optional
        New ones by default.

    Returns
    -------
    Axes
        Those that were drawn on. On the line of unity people are noise; the further above it, the
        more of the diversity is between them.
    """
    frame, ax = look.begin(frame, ax, "internal", "population", source="belief")
    top = 1.06 * max(frame["internal"].max(), frame["population"].max())
    ax.plot([0, top], [0, top], color="#555555", linewidth=1, zorder=1)
    ax.annotate("line of unity: no individuals", (0.60 * top, 0.57 * top), rotation=45,
                rotation_mode="anchor", fontsize=9, color="#555555")  # fmt: skip
    for source, colour, part in look.parts(frame, "source"):
        hollow = str(source).startswith("truth")
        ax.plot(
            part["internal"], part["population"], "o", markersize=9 if hollow else 5.5,
            color=colour, markerfacecolor="none" if hollow else colour, label=look.words(source),
        )  # fmt: skip
    return look.done(
        ax, xlabel="Within one person: internal (ΔE)", ylabel="Between people: population (ΔE)",
        xlim=(0, top), ylim=(0, top), aspect="equal",
    )  # fmt: skip


def dose_curve(
    frame: pd.DataFrame, ax: Axes | None = None, *, ylabel: str, half: float | None = None
) -> Axes:
    """A quantity against the dose, one line per source with its interval as a band.

    Parameters
    ----------
    frame : DataFrame
        Columns dose, estimate; optionally source, low and high. The dose is on a log axis that has
        a place for 0.
    ax : Axes, optional
        New ones by default.
    ylabel : str
        The quantity with its unit.
    half : float, optional
        The dose at which half is gone, a dashed line; none if missing.

    Returns
    -------
    Axes
        Those that were drawn on.
    """
    frame, ax = look.begin(frame, ax, "estimate", at="dose", maybe="low high", source="belief")
    look.curves(frame, "source", "dose", ax, marks={})
    ax.set_xscale("symlog", linthresh=1)
    look.ticks(ax, frame["dose"])
    if half is not None and not is_missing(half):
        ax.axvline(scalar(half, "half"), color="#555555", linewidth=1, linestyle="--", zorder=1)
    ax.set_ylim(min(0.0, float(frame["estimate"].min())), 1.08 * look.highest(frame))
    return look.done(ax, xlabel="Dose (steps of DPO; 0: supervised control)", ylabel=ylabel)


def model_pairs(frame: pd.DataFrame, ax: Axes | None = None, *, xlabel: str) -> Axes:
    """Difference after minus before alignment, one row per pair of models, the ways side by side.

    Parameters
    ----------
    frame : DataFrame
        Columns pair, way (of measuring), estimate, low, high.
    ax : Axes, optional
        New ones by default.
    xlabel : str
        The difference with its unit.

    Returns
    -------
    Axes
        Those that were drawn on. Left of the line at zero, alignment took diversity.
    """
    frame, ax = look.begin(frame, ax, "estimate", "low", "high", labels="pair way")
    ax.axvline(0, color="#555555", linewidth=1, zorder=1)
    look.dots(frame, "pair", "way", ax, gap=0.24, marks={}, size=7)
    look.rows(ax, list(dict.fromkeys(frame["pair"])))  # models have names, not words
    return look.done(ax, xlabel=xlabel)


def trade_off(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """What a remedy restores in diversity and what it costs in consensus, a path per remedy.

    Parameters
    ----------
    frame : DataFrame
        Columns remedy, signed (ΔE), consensus (probability); optionally label, beside the points.
        The remedies "base" and "aligned" are single black marks: the model before alignment, and
        after it.
    ax : Axes, optional
        New ones by default.

    Returns
    -------
    Axes
        Those that were drawn on.
    """
    frame, ax = look.begin(frame, ax, "signed", "consensus", labels="remedy")
    marks = {"base": "s", "aligned": "X"}
    for remedy, colour, part in look.parts(frame, "remedy"):
        single = remedy in marks
        ax.plot(part["signed"], part["consensus"], marks.get(remedy, "o-"), zorder=4 - single,
                color=look.PALETTE["human"] if single else colour, label=look.words(remedy),
                markersize=10 if single else 5.5)  # fmt: skip
        for _, row in part.iterrows() if "label" in part else ():
            if isinstance(row["label"], str) and row["label"]:
                ax.annotate(row["label"], (row["signed"], row["consensus"]), fontsize=9,
                            xytext=(6, 5), textcoords="offset points", color=colour)  # fmt: skip
    return look.done(
        ax, xlabel="Diversity between people (signed ΔE from the line of unity)",
        ylabel="Belief in the majority's answer (probability)",
    )  # fmt: skip
