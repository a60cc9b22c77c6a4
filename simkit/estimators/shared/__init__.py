"""Shared by all studies: arguments, rows, clusters, means, distances, intervals."""

from simkit.estimators.shared.distances import (
    jensen_shannon,
    kl_divergence,
    normalised_emd,
    total_variation,
    wasserstein,
)
from simkit.estimators.shared.means import mean_belief, mean_choice
from simkit.estimators.shared.table import wide

__all__ = [
    "jensen_shannon",
    "kl_divergence",
    "mean_belief",
    "mean_choice",
    "normalised_emd",
    "total_variation",
    "wasserstein",
    "wide",
]


def __dir__() -> list[str]:
    return __all__
