"""Study 03: how well simulated answers fit people's, as a population and one by one."""

from simkit.estimators.population.baselines import (
    logit_belief,
    marginal_belief,
    neighbour_belief,
    uniform_belief,
)
from simkit.estimators.population.drawn import drawn_fit
from simkit.estimators.population.errors import belief_at_temperature
from simkit.estimators.population.individuals import individual_fit, shift_fit, success_rate
from simkit.estimators.population.margins import marginal_fit
from simkit.estimators.population.paired import fit_difference
from simkit.estimators.population.selections import compare_selections, selection_shares
from simkit.estimators.population.temperature import temperature_curve

__all__ = [
    "belief_at_temperature",
    "compare_selections",
    "drawn_fit",
    "fit_difference",
    "individual_fit",
    "logit_belief",
    "marginal_belief",
    "marginal_fit",
    "neighbour_belief",
    "selection_shares",
    "shift_fit",
    "success_rate",
    "temperature_curve",
    "uniform_belief",
]


def __dir__() -> list[str]:
    return __all__
