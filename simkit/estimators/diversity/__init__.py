"""Study 04: do simulated people differ as people do?"""

from simkit.estimators.diversity.clusters import (
    chao1,
    crp_clusters,
    pairwise_agreement,
    split_rhat,
)
from simkit.estimators.diversity.colour import delta_e, srgb_to_lab
from simkit.estimators.diversity.dose import dose_response, half_dose
from simkit.estimators.diversity.expected import expected_delta_e, expected_distance
from simkit.estimators.diversity.line_of_unity import line_of_unity
from simkit.estimators.diversity.spread import spread_ratio

__all__ = [
    "chao1",
    "crp_clusters",
    "delta_e",
    "dose_response",
    "expected_delta_e",
    "expected_distance",
    "half_dose",
    "line_of_unity",
    "pairwise_agreement",
    "split_rhat",
    "spread_ratio",
    "srgb_to_lab",
]


def __dir__() -> list[str]:
    return __all__
