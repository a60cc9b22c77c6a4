"""Figures of the diversity study: line of unity, dose and response, pairs of models, remedies."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from simkit.plots.look import PALETTE, band, begin, done, dots, highest, parts, rows, words
from simkit.templates import is_missing
from simkit.types import scalar

__all__ = ["dose_curve", "model_pairs", "trade_off", "unity"]


def unity(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Distance between people against distance within a person; one point per word.

    Columns: internal, population, and optionally source (model, human, truth ...). On the line of
    unity people are noise; the further above it, the more of the diversity is between them.
    """
    frame, ax = begin(frame, ax, "internal", "population", source="belief")
    top = 1.06 * max(frame["internal"].max(), frame["population"].max())
    ax.plot([0, top], [0, top], color="#555555", linewidth=1, zorder=1)
    ax.annotate("line of unity: no individuals", (0.60 * top, 0.57 * top), rotation=45,
                rotation_mode="anchor", fontsize=9, color="#555555")  # fmt: skip
    for source, colour, part in parts(frame, "source"):
        hollow = str(source).startswith("truth")
        ax.plot(
            part["internal"], part["population"], "o", markersize=9 if hollow else 5.5,
            color=colour, markerfacecolor="none" if hollow else colour, label=words(source),
        )  # fmt: skip
    return done(
        ax, xlabel="Within one person: internal (ΔE)",
        ylabel="Between people: population (ΔE)",
        xlim=(0, top), ylim=(0, top), aspect="equal",
    )  # fmt: skip


def dose_curve(
    frame: pd.DataFrame, ax: Axes | None = None, *, ylabel: str, half: float | None = None
) -> Axes:
    """A quantity against the dose, one line per source with its interval as a band.

    Columns: dose, estimate, and optionally source, low, high. The dose is on a log axis that has
    a place for 0. `half` marks the dose at which half is gone.
    """
    frame, ax = begin(frame, ax, "estimate", at="dose", maybe="low high", source="belief")
    for source, colour, part in parts(frame, "source", "dose"):
        band(part, "dose", colour, ax)
        ax.plot(part["dose"], part["estimate"], "o-", color=colour, label=words(source), zorder=3)
    ax.set_xscale("symlog", linthresh=1)
    doses = sorted(set(frame["dose"]))
    ax.set_xticks(doses, [f"{d:g}" for d in doses])
    ax.minorticks_off()
    if half is not None and not is_missing(half):
        ax.axvline(scalar(half, "half"), color="#555555", linewidth=1, linestyle="--", zorder=1)
    ax.set_ylim(min(0.0, float(frame["estimate"].min())), 1.08 * highest(frame))
    return done(ax, xlabel="Dose (steps of DPO; 0: supervised control)", ylabel=ylabel)


def model_pairs(frame: pd.DataFrame, ax: Axes | None = None, *, xlabel: str) -> Axes:
    """Difference after minus before alignment, one row per pair of models, the ways side by side.

    Columns: pair, way, estimate, low, high. Left of the line at zero alignment took diversity.
    """
    frame, ax = begin(frame, ax, "estimate", "low", "high", labels="pair way")
    ax.axvline(0, color="#555555", linewidth=1, zorder=1)
    dots(frame, "pair", "way", ax, gap=0.24, marks={}, size=7)
    rows(ax, list(dict.fromkeys(frame["pair"])))  # models have names, not words
    return done(ax, xlabel=xlabel)


def trade_off(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """What a remedy gives back in diversity and what it costs in consensus, a path per remedy.

    Columns: remedy, signed (ΔE), consensus (probability), and optionally label beside the points.
    Remedies called "base" and "aligned" are single black marks: where it came from, where it is.
    """
    frame, ax = begin(frame, ax, "signed", "consensus", labels="remedy")
    for remedy, colour, part in parts(frame, "remedy"):
        single = remedy in ("base", "aligned")
        look = "o-" if not single else "s" if remedy == "base" else "X"
        ax.plot(part["signed"], part["consensus"], look, label=words(remedy), zorder=4 - single,
                color=PALETTE["human"] if single else colour,
                markersize=10 if single else 5.5)  # fmt: skip
        for _, row in part.iterrows() if "label" in part else ():
            if isinstance(row["label"], str) and row["label"]:
                ax.annotate(row["label"], (row["signed"], row["consensus"]), fontsize=9,
                            xytext=(6, 5), textcoords="offset points", color=colour)  # fmt: skip
    return done(
        ax, xlabel="Diversity between people (signed ΔE from the line of unity)",
        ylabel="Belief in the majority's answer (probability)",
    )  # fmt: skip
