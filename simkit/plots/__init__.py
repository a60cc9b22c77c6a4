"""One function per figure type: a tidy frame and an Axes in, the Axes out.

Nothing is sampled or estimated here; the frames are what the estimators return (`Result.frame`).
One colour per method in the whole project (PALETTE, which keeps apart under the common colour
blindnesses); the truth is dotted, humans are black. All functions raise ValueError naming a
missing column and the columns there are.
"""

from simkit.plots.belief import error_curves, factors
from simkit.plots.demand import (
    ablation,
    balance_plot,
    demand_curves,
    elicited_covariates,
    scaling,
)
from simkit.plots.diversity import dose_curve, model_pairs, trade_off, unity
from simkit.plots.look import PALETTE, style, with_truth
from simkit.plots.mixed import gains, power, repeated_intervals
from simkit.plots.population import (
    answer_shares,
    fit_dots,
    learning,
    margins,
    penalty_map,
    shifts,
    temperatures,
)
from simkit.plots.structure import correlogram_pair, quadrant, structure_bars, subgroup_lines

__all__ = ["PALETTE", "ablation", "answer_shares", "balance_plot", "correlogram_pair",
           "demand_curves", "dose_curve", "elicited_covariates", "error_curves", "factors",
           "fit_dots", "gains", "learning", "margins", "model_pairs", "penalty_map",
           "power", "quadrant", "repeated_intervals", "scaling", "shifts", "structure_bars",
           "style", "subgroup_lines", "temperatures", "trade_off", "unity",
           "with_truth"]  # fmt: skip
