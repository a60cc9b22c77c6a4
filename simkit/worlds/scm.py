"""Discrete structural causal models, small enough to answer every question by enumeration.

A model is a list of variables in causal order, each with its parents and the table of its
conditional probabilities. `SCM.cube` multiplies the tables out once; after that any conditional
or interventional probability is one look-up (Pearl, *Causality*, 2009, chapters 1 and 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from simkit.templates import is_missing
from simkit.types import FloatArray, IntArray, hashable, shown

__all__ = ["SCM", "Variable", "draw", "softmax"]


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

    def index(self, value: Any) -> int:
        """Position of `value` among the values; raises ValueError naming the legal ones."""
        try:
            return self.values.index(value)
        except ValueError:
            legal = ", ".join(map(str, self.values))
            raise ValueError(f"{self.name}={value!r} is not one of: {legal}") from None


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

        With `do`, the named variables' own tables are left out of the product (their arrows are
        cut), so that a slice at a value is the joint of the others under do(variable = value).
        """
        names = [v.name for v in self.variables]
        joint = np.ones([len(v.values) for v in self.variables])
        for v in self.variables:
            if v.name in do:
                continue
            involved = (*v.parents, v.name)
            # Bring the table's axes into the model's order, then add length-1 axes for the rest.
            order = sorted(range(len(involved)), key=lambda i: names.index(involved[i]))
            table = np.transpose(v.table, order)
            shape = [len(self[n].values) if n in involved else 1 for n in names]
            joint = joint * table.reshape(shape)
        return joint

    @lru_cache(maxsize=16)  # noqa: B019
    def cube(self, do: tuple[str, ...] = ()) -> FloatArray:
        """The joint with the total appended to each axis: index K means "not said"."""
        cube = self.joint(do)
        for axis in range(cube.ndim):
            cube = np.concatenate([cube, cube.sum(axis, keepdims=True)], axis)
        return cube

    def encode(self, name: str, values: Sequence[Any]) -> IntArray:
        """Values of one variable as indices into `cube`; None and NaN become "not said"."""
        v, codes = self[name], {}
        for i, value in enumerate(v.values):
            codes[value] = i
        unsaid = len(v.values)
        out = np.empty(len(values), dtype=np.int64)
        for row, value in enumerate(values):
            if is_missing(value):
                out[row] = unsaid
            elif hashable(value) and value in codes:
                out[row] = codes[value]
            else:
                legal = ", ".join(map(str, v.values))
                raise ValueError(f"row {row}: {name}={shown(value)} is not one of: {legal}")
        return out

    def conditional(
        self, target: str, given: Mapping[str, IntArray], do: tuple[str, ...] = ()
    ) -> FloatArray:
        """P(target | given, do) for N rows at once.

        Parameters
        ----------
        target : the variable asked for, with K values.
        given : for any variables, N indices as `encode` gives them (K_variable = not said).
        do : variables of `given` that are set from outside rather than observed.

        Returns
        -------
        Array of shape (N, K). A row whose condition has probability zero is NaN.
        """
        if target in given:
            raise ValueError(f"{target} is both asked for and given")
        rows = len(next(iter(given.values()))) if given else 1
        index: list[Any] = []
        for v in self.variables:
            if v.name == target:
                index.append(np.arange(len(v.values))[None, :])
            else:
                unsaid = np.full(rows, len(v.values))
                index.append(np.asarray(given.get(v.name, unsaid))[:, None])
        mass: FloatArray = self.cube(do)[tuple(index)]
        total = mass.sum(1, keepdims=True)
        unknown = np.full_like(mass, np.nan)
        return np.asarray(np.divide(mass, total, out=unknown, where=total > 0))

    def probability(
        self,
        target: str,
        given: Mapping[str, Any] | None = None,
        do: Mapping[str, Any] | None = None,
    ) -> dict[Any, float]:
        """P(target | given, do(…)) for one condition, as {value: probability}."""
        said = {**(given or {}), **(do or {})}
        codes = {k: np.array([self[k].index(x)]) for k, x in said.items()}
        p = self.conditional(target, codes, tuple(do or ()))[0]
        return dict(zip(self[target].values, p.tolist(), strict=True))

    def sample(
        self, n: int, rng: np.random.Generator, fixed: Mapping[str, IntArray] | None = None
    ) -> dict[str, IntArray]:
        """n ancestral draws as value indices; variables in `fixed` are set (do), not drawn."""
        whole = isinstance(n, int | np.integer) and not isinstance(n, bool)
        if not whole or not 0 <= n <= 10**8:
            raise ValueError(f"n is {shown(n)}; it must be a whole number up to 100,000,000")
        drawn: dict[str, IntArray] = {}
        for v in self.variables:
            if fixed is not None and v.name in fixed:
                drawn[v.name] = np.asarray(fixed[v.name])
                continue
            p = v.table[tuple(drawn[parent] for parent in v.parents)]
            drawn[v.name] = draw(np.broadcast_to(p, (n, len(v.values))), rng)
        return drawn


def softmax(utility: FloatArray) -> FloatArray:
    """Choice probabilities (…, K) of utilities (…, K)."""
    e = np.exp(utility - utility.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def draw(p: FloatArray, rng: np.random.Generator) -> IntArray:
    """One categorical draw per row of p, shape (N, K) -> (N,), by inverting the cumulative sum."""
    below = rng.random(len(p))[:, None] > p.cumsum(1)
    return np.asarray(np.minimum(below.sum(1), p.shape[1] - 1))
