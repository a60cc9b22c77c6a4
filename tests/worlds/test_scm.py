"""Exact probabilities against sums done by hand and against sampling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from simkit.worlds.scm import SCM, Variable, bell, draw


def confounded() -> SCM:
    """Demand Z raises both the price T and the purchase Y; axes of unequal length."""
    return SCM(
        (
            Variable("z", ("low", "high"), np.array([0.6, 0.4])),
            Variable("t", (1, 2, 3), np.array([[0.5, 0.3, 0.2], [0.1, 0.3, 0.6]]), ("z",)),
            # The parents stand in another order than the model's, as a user may write them.
            Variable(
                "y",
                ("no", "yes"),
                np.array(
                    [[[0.2, 0.8], [0.1, 0.9]], [[0.5, 0.5], [0.3, 0.7]], [[0.9, 0.1], [0.6, 0.4]]]
                ),
                ("t", "z"),
            ),
        )
    )


def probability(
    model: SCM, target: str, given: Mapping[str, Any], do: Mapping[str, Any] | None = None
) -> dict[Any, float]:
    """P(target | given, do(…)) of one condition, as {value: probability}."""
    said = {k: model.encode(k, [value]) for k, value in {**given, **(do or {})}.items()}
    p = model.conditional(target, said, tuple(do or ()))[0]
    return dict(zip(model[target].values, p.tolist(), strict=True))


def test_conditional_by_hand() -> None:
    # P(z=low | t=3) = 0.6*0.2 / (0.6*0.2 + 0.4*0.6) = 0.12 / 0.36 = 1/3
    # P(yes | t=3) = 1/3 * 0.1 + 2/3 * 0.4 = 0.3
    model = confounded()
    assert probability(model, "z", {"t": 3})["low"] == pytest.approx(1 / 3)
    assert probability(model, "y", {"t": 3})["yes"] == pytest.approx(0.3)


def test_intervention_by_hand() -> None:
    # P(yes | do(t=3)) = 0.6*0.1 + 0.4*0.4 = 0.22; P(z | do(t)) = P(z)
    model = confounded()
    assert probability(model, "y", {}, do={"t": 3})["yes"] == pytest.approx(0.22)
    assert probability(model, "z", {}, do={"t": 3})["low"] == pytest.approx(0.6)
    # Given z there is nothing left to confound.
    given = probability(model, "y", {"z": "high", "t": 2})
    assert given == pytest.approx(probability(model, "y", {"z": "high"}, do={"t": 2}))


def test_many_rows_at_once_and_what_is_not_said() -> None:
    model = confounded()
    t = model.encode("t", [3, None, 1])
    z = model.encode("z", [None, "low", float("nan")])
    found = model.conditional("y", {"t": t, "z": z})
    assert found.shape == (3, 2)
    assert found[0, 1] == pytest.approx(0.3)
    # P(yes | z=low) = 0.5*0.8 + 0.3*0.5 + 0.2*0.1 = 0.57
    assert found[1, 1] == pytest.approx(0.57)


def test_sampling_agrees_with_enumeration() -> None:
    model, n = confounded(), 40_000
    drawn = model.sample(n, np.random.default_rng(0))
    at_three = drawn["t"] == 2
    share = (drawn["y"][at_three] == 1).mean()
    assert share == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / at_three.sum()))
    assert model.frame(drawn, ["y", "t"]).value_counts().index.names == ["y", "t"]


def test_impossible_condition_is_nan() -> None:
    never = SCM(
        (
            Variable("a", (0, 1), np.array([1.0, 0.0])),
            Variable("b", (0, 1, 2), np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]), ("a",)),
        )
    )
    assert np.isnan(never.conditional("b", {"a": np.array([1])})).all()


def test_errors_name_what_is_wrong() -> None:
    model = confounded()
    with pytest.raises(ValueError, match="row 1: t=9 is not one of: 1, 2, 3"):
        model.encode("t", [1, 9])
    with pytest.raises(ValueError, match="both asked for and given"):
        model.conditional("y", {"y": np.array([0])})
    with pytest.raises(KeyError, match="there are: z, t, y"):
        model["w"]
    with pytest.raises(ValueError, match="do not sum to 1"):
        SCM((Variable("a", (0, 1), np.array([0.5, 0.4])),))
    with pytest.raises(ValueError, match="must come before"):
        SCM((Variable("a", (0, 1), np.full((2, 2), 0.5), ("b",)),))
    with pytest.raises(ValueError, match=r"shape \(2,\), not \(3,\)"):
        SCM((Variable("a", (0, 1, 2), np.array([0.5, 0.5])),))


def test_draw_and_bell() -> None:
    # Weights exp(-d^2 / 2) at distances 1, 0 and 1.
    side = np.exp(-0.5)
    assert bell((1, 2, 3), np.array([2.0]), 1.0)[0] == pytest.approx(
        np.array([side, 1, side]) / (1 + 2 * side)
    )
    picks = draw(np.tile([0.2, 0.0, 0.8], (20_000, 1)), np.random.default_rng(2))
    assert not (picks == 1).any()
    assert (picks == 2).mean() == pytest.approx(0.8, abs=0.012)  # 4 * sqrt(.8*.2/20000) = .0113
