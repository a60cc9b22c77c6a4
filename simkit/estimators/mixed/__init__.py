"""Study 06: what a model's answers add to those of a few people, with valid intervals."""

from simkit.estimators.mixed.budget import budget_split, power_curve
from simkit.estimators.mixed.folds import cross_fitted
from simkit.estimators.mixed.means import mixed_difference, mixed_mean
from simkit.estimators.mixed.quantiles import mixed_quantile
from simkit.estimators.mixed.regression import mixed_regression
from simkit.estimators.mixed.shares import mixed_shares

__all__ = [
    "budget_split",
    "cross_fitted",
    "mixed_difference",
    "mixed_mean",
    "mixed_quantile",
    "mixed_regression",
    "mixed_shares",
    "power_curve",
]


def __dir__() -> list[str]:
    return __all__
