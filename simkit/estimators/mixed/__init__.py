"""Study 06: what a model's answers add to those of a few people, with valid intervals."""

from simkit.estimators.mixed.means import mixed_difference, mixed_mean
from simkit.estimators.mixed.quantiles import mixed_quantile
from simkit.estimators.mixed.regression import mixed_regression
from simkit.estimators.mixed.shares import mixed_shares

__all__ = [
    "mixed_difference",
    "mixed_mean",
    "mixed_quantile",
    "mixed_regression",
    "mixed_shares",
]


def __dir__() -> list[str]:
    return __all__
