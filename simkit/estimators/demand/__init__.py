"""Study 01: is the treatment balanced, how does demand move with the price?"""

from simkit.estimators.demand.balance import balance_audit
from simkit.estimators.demand.curves import curve_error, demand_curve
from simkit.estimators.demand.elicited import elicited_curve, expected_value
from simkit.estimators.demand.logit import (
    flatness_ratio,
    own_price_elasticity,
    price_coefficient,
    step_test,
)

__all__ = [
    "balance_audit",
    "curve_error",
    "demand_curve",
    "elicited_curve",
    "expected_value",
    "flatness_ratio",
    "own_price_elasticity",
    "price_coefficient",
    "step_test",
]


def __dir__() -> list[str]:
    return __all__
