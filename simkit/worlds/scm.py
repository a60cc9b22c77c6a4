"""Discrete structural causal models, small enough to answer every question by enumeration.

A model is a list of variables in causal order, each with its parents and the table of its
conditional probabilities. `SCM.cube` multiplies the tables out once; after that any conditional
or interventional probability is one look-up (Pearl, *Causality*, 2009, chapters 1 and 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product as cartesian
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from simkit.templates import is_missing
from simkit.types import FloatArray, IntArray, hashable, integer, listed, one_of, shown

__all__ = ["SCM", "Variable", "bell", "codes", "draw", "profiles"]


@dataclass(frozen=True, eq=False)
class Variable:
    """One discrete variable.

    Parameters
    ----------
    name : the variable's name.
    values : its K values, in the order of the table's last axis.
    parents : names of its direct causes, in the order of the table's leading axes.
    table : array of shape (K_parent1, …, K), P(variable | parents); each last-axis slice sums to 1.
    """

    name: str
    values: tuple[Any, ...]
    table: FloatArray
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class SCM:
    """A structural causal model over discrete variables, given in causal order."""

    variables: tuple[Variable, ...]

    def __post_init__(self) -> None:
        seen: dict[str, int] = {}
        for v in self.variables:
            missing = [p for p in v.parents if p not in seen]
            if missing:
                raise ValueError(f"parents of {v.name} must come before it: {missing}")
            shape = (*(seen[p] for p in v.parents), len(v.values))
            if v.table.shape != shape:
                raise ValueError(f"table of {v.name} has shape {v.table.shape}, not {shape}")
            if not np.allclose(v.table.sum(-1), 1.0):
                raise ValueError(f"table of {v.name} has rows that do not sum to 1")
            seen[v.name] = len(v.values)

    @cached_property
    def axis(self) -> dict[str, int]:
        """Axis of each variable in `joint` and `cube`."""
        return {v.name: i for i, v in enumerate(self.variables)}

    def __getitem__(self, name: str) -> Variable:
        if name not in self.axis:
            raise KeyError(f"no variable {name!r}; there are: {', '.join(self.axis)}")
        return self.variables[self.axis[name]]

    @lru_cache(maxsize=16)  # noqa: B019  (models are few and live as long as the process)
    def joint(self, do: tuple[str, ...] = ()) -> FloatArray:
        """Joint probabilities, one axis per variable.

        With `do`, the tables of the named variables are left out of the product (their arrows are
        cut), so that a slice at a value is the joint of the others under do(variable = value).
        """
        joint = np.ones([len(v.values) for v in self.variables])
        for v in self.variables:
            if v.name not in do:
                axes = [self.axis[name] for name in (*v.parents, v.name)]
                # The table's axes in the model's order, and length-1 axes for the others.
                table = np.transpose(v.table, np.argsort(axes))
                joint = joint * np.expand_dims(table, [*{*range(joint.ndim)} - {*axes}])
        return joint

    @lru_cache(maxsize=16)  # noqa: B019
    def cube(self, do: tuple[str, ...] = ()) -> FloatArray:
        """The joint with the total appended to each axis: index K means "not stated"."""
        cube = self.joint(do)
        for axis in range(cube.ndim):
            cube = np.concatenate([cube, cube.sum(axis, keepdims=True)], axis)
        return cube

    def encode(self, name: str, values: Sequence[Any]) -> IntArray:
        """Values of one variable as indices into `cube`; None and NaN become "not stated"."""
        return codes(name, values, self[name].values)

    def stated(
        self, design: pd.DataFrame, names: Iterable[str] | None = None, but: Sequence[str] = ()
    ) -> dict[str, IntArray]:
        """Indices of the variables that a design has a column for, by name.

        names : the variables to look for; all by default. but : variables to leave out.
        """
        names = [n for n in (self.axis if names is None else names) if n in design and n not in but]
        return {name: self.encode(name, design[name].tolist()) for name in names}

    def conditional(
        self, target: str, given: Mapping[str, IntArray], do: tuple[str, ...] = ()
    ) -> FloatArray:
        """P(target | given, do) for N rows at once.

        Parameters
        ----------
        target : the variable asked for, with K values.
        given : for any variables, N indices as `encode` gives them (K_variable = not stated).
        do : variables of `given` that are set from outside rather than observed.

        Returns
        -------
        Array of shape (N, K). A row whose condition has probability zero is NaN.
        """
        if target in given:
            raise ValueError(f"{target} is both asked for and given")
        rows = len(next(iter(given.values()))) if given else 1
        index = {v.name: np.full((rows, 1), len(v.values)) for v in self.variables}
        index |= {name: np.asarray(code)[:, None] for name, code in given.items()}
        index[target] = np.arange(len(self[target].values))[None, :]
        mass: FloatArray = self.cube(do)[tuple(index[v.name] for v in self.variables)]
        total = mass.sum(1, keepdims=True)
        unknown = np.full_like(mass, np.nan)
        return np.asarray(np.divide(mass, total, out=unknown, where=total > 0))

    def sample(self, n: int, rng: np.random.Generator) -> dict[str, IntArray]:
        """n ancestral draws as value indices."""
        integer(n, "n")
        drawn: dict[str, IntArray] = {}
        for v in self.variables:
            p = v.table[tuple(drawn[parent] for parent in v.parents)]
            drawn[v.name] = draw(np.broadcast_to(p, (n, len(v.values))), rng)
        return drawn

    def frame(self, drawn: Mapping[str, IntArray], names: Iterable[str]) -> pd.DataFrame:
        """The values that draws stand for, a column per name."""
        return pd.DataFrame(
            {name: np.array(self[name].values, dtype=object)[drawn[name]] for name in names}
        )


def draw(p: FloatArray, rng: np.random.Generator) -> IntArray:
    """One categorical draw per row of p, shape (N, K) -> (N,), by inverting the cumulative sum."""
    below = rng.random(len(p))[:, None] > p.cumsum(1)
    return np.asarray(np.minimum(below.sum(1), p.shape[1] - 1))


def bell(values: Sequence[float], centre: FloatArray, spread: float) -> FloatArray:
    """Discretised normal over `values`, one row per centre."""
    away = np.asarray(values, dtype=float) - centre[..., None]
    return np.asarray(softmax(-(away**2) / (2 * spread**2), axis=-1))


def codes(
    name: str,
    values: Sequence[Any],
    choices: Sequence[Any],
    *,
    rows: Sequence[int] | IntArray | None = None,
    missing: bool = True,
) -> IntArray:
    """Positions of the values among the choices, with `missing` their number for None and NaN.

    Raises ValueError for any other value, naming its row (of `rows`, if they are given).
    """
    position = {value: i for i, value in enumerate(choices)}
    out = np.empty(len(values), dtype=np.int64)
    for i, value in enumerate(values):
        if missing and is_missing(value):
            out[i] = len(choices)
        elif hashable(value) and value in position:
            out[i] = position[value]
        else:
            row = i if rows is None else rows[i]
            names = ", ".join(map(str, choices))
            raise ValueError(f"row {row}: {name}={shown(value)} is not one of: {names}")
    return out


def profiles(
    joint: FloatArray, values: Mapping[str, Sequence[Any]], names: Sequence[str], what: str
) -> pd.DataFrame:
    """All combinations of the named variables with their probability (column `weight`).

    joint : its first axes are those of `values`; all others are summed over. what : what an error
    calls a variable.
    """
    names = [one_of(name, what, values) for name in listed(names, "names")]
    ordered = [name for name in values if name in names]
    summed = [i for i, name in enumerate(values) if name not in names]
    weight = joint.sum(axis=(*summed, *range(len(values), joint.ndim)))
    rows = list(cartesian(*(values[name] for name in ordered)))
    return pd.DataFrame(rows, columns=ordered).assign(weight=weight.ravel())
