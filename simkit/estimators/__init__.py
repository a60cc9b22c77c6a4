"""Estimators: pure functions of arrays and frames, each returning a small frozen Result."""

from simkit.estimators.balance import balance_audit, elicited_curve, expected_value
from simkit.estimators.demand import curve_error, demand_curve
from simkit.estimators.logit import (
    flatness_ratio,
    own_price_elasticity,
    price_coefficient,
    step_test,
)
from simkit.estimators.order import positional_effect
from simkit.estimators.prior import contextual_calibration, pointwise_mutual_information

__all__ = [
    "balance_audit",
    "contextual_calibration",
    "curve_error",
    "demand_curve",
    "elicited_curve",
    "expected_value",
    "flatness_ratio",
    "own_price_elasticity",
    "pointwise_mutual_information",
    "positional_effect",
    "price_coefficient",
    "step_test",
]
