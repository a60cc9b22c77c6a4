"""Estimators: pure functions of arrays and frames, each returning a small frozen Result."""

from simkit.estimators.agreement import difference_rate, equivalence_test
from simkit.estimators.balance import balance_audit, elicited_curve, expected_value
from simkit.estimators.belief import mean_belief, mean_choice
from simkit.estimators.belief_errors import belief_at_temperature
from simkit.estimators.conditional import conditional_logit
from simkit.estimators.curves import rmse_curve
from simkit.estimators.demand import curve_error, demand_curve
from simkit.estimators.distances import (
    jensen_shannon,
    kl_divergence,
    normalised_emd,
    total_variation,
    wasserstein,
)
from simkit.estimators.efficiency import efficiency_factor, runs_needed
from simkit.estimators.fit import marginal_fit
from simkit.estimators.individual import individual_fit, shift_fit, success_rate
from simkit.estimators.logit import (
    flatness_ratio,
    own_price_elasticity,
    price_coefficient,
    step_test,
)
from simkit.estimators.order import positional_effect
from simkit.estimators.prediction import share_prediction
from simkit.estimators.prior import contextual_calibration, pointwise_mutual_information
from simkit.estimators.repetition import coverage, interval_coverage
from simkit.estimators.rows import one_hot
from simkit.estimators.shares import share_coverage
from simkit.estimators.temperature import temperature_curve
from simkit.estimators.welfare import optimal_price, price_elasticities, willingness_to_pay

__all__ = [
    "balance_audit",
    "belief_at_temperature",
    "conditional_logit",
    "contextual_calibration",
    "coverage",
    "curve_error",
    "demand_curve",
    "difference_rate",
    "efficiency_factor",
    "elicited_curve",
    "equivalence_test",
    "expected_value",
    "flatness_ratio",
    "individual_fit",
    "interval_coverage",
    "jensen_shannon",
    "kl_divergence",
    "marginal_fit",
    "mean_belief",
    "mean_choice",
    "normalised_emd",
    "one_hot",
    "optimal_price",
    "own_price_elasticity",
    "pointwise_mutual_information",
    "positional_effect",
    "price_coefficient",
    "price_elasticities",
    "rmse_curve",
    "runs_needed",
    "share_coverage",
    "share_prediction",
    "shift_fit",
    "step_test",
    "success_rate",
    "temperature_curve",
    "total_variation",
    "wasserstein",
    "willingness_to_pay",
]
