"""Study 05: do answers hang together as people's do?"""

from simkit.estimators.structure.as_good_as import as_good_as
from simkit.estimators.structure.compare import compare_structure
from simkit.estimators.structure.correlations import correlation_matrix
from simkit.estimators.structure.factors import compare_factors, compare_networks
from simkit.estimators.structure.fidelity import population_fidelity
from simkit.estimators.structure.groups import by_groups, subgroup_structure
from simkit.estimators.structure.margins import compare_marginals
from simkit.estimators.structure.measures import compare_matrices, mantel_test

__all__ = [
    "as_good_as",
    "by_groups",
    "compare_factors",
    "compare_marginals",
    "compare_matrices",
    "compare_networks",
    "compare_structure",
    "correlation_matrix",
    "mantel_test",
    "population_fidelity",
    "subgroup_structure",
]


def __dir__() -> list[str]:
    return __all__
