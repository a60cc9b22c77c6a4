"""Study 02: what one belief is worth in sampled runs, and what follows for choices."""

from simkit.estimators.efficiency.agreement import difference_rate, equivalence_test
from simkit.estimators.efficiency.conditional import conditional_logit
from simkit.estimators.efficiency.error_curves import rmse_curve
from simkit.estimators.efficiency.factor import efficiency_factor, runs_needed
from simkit.estimators.efficiency.positions import positional_effect
from simkit.estimators.efficiency.prediction import share_prediction
from simkit.estimators.efficiency.repetition import coverage, interval_coverage
from simkit.estimators.efficiency.shares import share_coverage
from simkit.estimators.efficiency.welfare import (
    optimal_price,
    price_elasticities,
    willingness_to_pay,
)

__all__ = [
    "conditional_logit",
    "coverage",
    "difference_rate",
    "efficiency_factor",
    "equivalence_test",
    "interval_coverage",
    "optimal_price",
    "positional_effect",
    "price_elasticities",
    "rmse_curve",
    "runs_needed",
    "share_coverage",
    "share_prediction",
    "willingness_to_pay",
]


def __dir__() -> list[str]:
    return __all__
