"""Estimators: pure functions of arrays and frames, each returning a small frozen Result."""

from simkit.estimators.agreement import difference_rate, equivalence_test
from simkit.estimators.balance import balance_audit, elicited_curve, expected_value
from simkit.estimators.baselines import (
    logit_belief,
    marginal_belief,
    neighbour_belief,
    uniform_belief,
)
from simkit.estimators.belief import mean_belief, mean_choice
from simkit.estimators.belief_errors import belief_at_temperature
from simkit.estimators.cells import population_fidelity
from simkit.estimators.clusters import (
    chao1,
    crp_clusters,
    crp_log_posterior,
    pairwise_agreement,
    split_rhat,
)
from simkit.estimators.conditional import conditional_logit
from simkit.estimators.contrast import fit_difference
from simkit.estimators.correlations import correlation_matrix
from simkit.estimators.curves import rmse_curve
from simkit.estimators.demand import curve_error, demand_curve
from simkit.estimators.distances import (
    jensen_shannon,
    kl_divergence,
    normalised_emd,
    total_variation,
    wasserstein,
)
from simkit.estimators.diversity import line_of_unity
from simkit.estimators.diversity_colour import delta_e, srgb_to_lab
from simkit.estimators.diversity_dose import dose_response, half_dose
from simkit.estimators.diversity_expected import expected_delta_e, expected_distance
from simkit.estimators.diversity_spread import spread_ratio
from simkit.estimators.drawn import drawn_fit
from simkit.estimators.efficiency import efficiency_factor, runs_needed
from simkit.estimators.factors import compare_factors, compare_networks
from simkit.estimators.fit import marginal_fit
from simkit.estimators.groups import by_groups, group_means, subgroup_structure
from simkit.estimators.individual import individual_fit, shift_fit, success_rate
from simkit.estimators.logit import (
    flatness_ratio,
    own_price_elasticity,
    price_coefficient,
    step_test,
)
from simkit.estimators.marginals import compare_marginals
from simkit.estimators.order import positional_effect
from simkit.estimators.prediction import share_prediction
from simkit.estimators.prior import contextual_calibration, pointwise_mutual_information
from simkit.estimators.repetition import coverage, interval_coverage
from simkit.estimators.rows import one_hot
from simkit.estimators.shares import share_coverage
from simkit.estimators.structure import compare_structure
from simkit.estimators.structure_measures import compare_matrices, mantel_test
from simkit.estimators.temperature import temperature_curve
from simkit.estimators.welfare import optimal_price, price_elasticities, willingness_to_pay

__all__ = [
    "balance_audit",
    "belief_at_temperature",
    "by_groups",
    "chao1",
    "compare_factors",
    "compare_marginals",
    "compare_matrices",
    "compare_networks",
    "compare_structure",
    "conditional_logit",
    "contextual_calibration",
    "correlation_matrix",
    "coverage",
    "crp_clusters",
    "crp_log_posterior",
    "curve_error",
    "delta_e",
    "demand_curve",
    "difference_rate",
    "dose_response",
    "drawn_fit",
    "efficiency_factor",
    "elicited_curve",
    "equivalence_test",
    "expected_delta_e",
    "expected_distance",
    "expected_value",
    "fit_difference",
    "flatness_ratio",
    "group_means",
    "half_dose",
    "individual_fit",
    "interval_coverage",
    "jensen_shannon",
    "kl_divergence",
    "line_of_unity",
    "logit_belief",
    "mantel_test",
    "marginal_belief",
    "marginal_fit",
    "mean_belief",
    "mean_choice",
    "neighbour_belief",
    "normalised_emd",
    "one_hot",
    "optimal_price",
    "own_price_elasticity",
    "pairwise_agreement",
    "pointwise_mutual_information",
    "population_fidelity",
    "positional_effect",
    "price_coefficient",
    "price_elasticities",
    "rmse_curve",
    "runs_needed",
    "share_coverage",
    "share_prediction",
    "shift_fit",
    "split_rhat",
    "spread_ratio",
    "srgb_to_lab",
    "step_test",
    "subgroup_structure",
    "success_rate",
    "temperature_curve",
    "total_variation",
    "uniform_belief",
    "wasserstein",
    "willingness_to_pay",
]
