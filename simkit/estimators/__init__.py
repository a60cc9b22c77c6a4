"""Estimators: pure functions of arrays and frames, each returning a small frozen Result.

A folder per study over `shared`; no study's folder imports another's. Every name is handed on here,
so `est.demand_curve` and `est.demand.demand_curve` are one function, and `dir(est.demand)` is the
toolbox of a study.
"""

from simkit.estimators import (
    demand,
    diversity,
    efficiency,
    mixed,
    population,
    shared,
    structure,
)
from simkit.estimators.demand import *  # noqa: F403
from simkit.estimators.diversity import *  # noqa: F403
from simkit.estimators.efficiency import *  # noqa: F403
from simkit.estimators.mixed import *  # noqa: F403
from simkit.estimators.population import *  # noqa: F403
from simkit.estimators.shared import *  # noqa: F403
from simkit.estimators.structure import *  # noqa: F403

__all__ = [
    "demand",
    "diversity",
    "efficiency",
    "mixed",
    "population",
    "shared",
    "structure",
    *demand.__all__,
    *diversity.__all__,
    *efficiency.__all__,
    *mixed.__all__,
    *population.__all__,
    *shared.__all__,
    *structure.__all__,
]
