"""Mixed shares: as means of 0 and 1, with intervals that stay between."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from simkit import estimators as est

OPTIONS = ["yes", "no", "perhaps"]


def survey(n: int = 60, others: int = 240) -> tuple[list[str | None], pd.DataFrame]:
    rng = np.random.default_rng(0)
    belief = rng.dirichlet([2, 1, 0.5], n + others)
    y = [str(rng.choice(OPTIONS, p=p)) if k < n else None for k, p in enumerate(belief)]
    return y, pd.DataFrame(belief, columns=OPTIONS)


def test_each_share_is_the_mixed_mean_of_0_and_1():
    y, belief = survey()
    found = est.mixed_shares(y, belief)
    assert list(found.frame.index) == [
        f"{o}, {kind}" for o in OPTIONS for kind in ("mixed", "people")
    ]
    for option in OPTIONS:
        chose = [np.nan if v is None else float(v == option) for v in y]
        mean = est.mixed_mean(chose, belief[option]).frame
        for kind in ("mixed", "people"):
            same = ["estimate", "std_error", "rho", "n_effective"]
            expected = mean.loc[kind, same].tolist()
            assert found[f"{option}, {kind}"][same].tolist() == pytest.approx(expected, nan_ok=True)
    assert found.frame["estimate"].iloc[1::2].sum() == pytest.approx(1)
    # one λ for all, and the shares sum to 1
    one = est.mixed_shares(y, belief.to_numpy(), options=OPTIONS, lam=0.7).frame
    assert one["estimate"].iloc[::2].sum() == pytest.approx(1)
    assert (one["lam"].iloc[::2] == 0.7).all()


def test_people_alone_have_wilsons_interval():
    # 59 draws have the variance p (1 - p) / (n - 1) of the 60 people's share
    y, belief = survey()
    row = est.mixed_shares(y, belief)["yes, people"]
    p, z = y.count("yes") / 60, stats.norm.ppf(0.975)
    centre = (p + z**2 / 118) / (1 + z**2 / 59)
    half = z * np.sqrt(p * (1 - p) / 59 + z**2 / 4 / 59**2) / (1 + z**2 / 59)
    assert (row["low"], row["high"]) == pytest.approx((centre - half, centre + half))
    weighted = est.mixed_shares(y, belief, weights=np.tile([1.0, 2.0], 150))["yes, people"]
    assert np.isfinite(weighted["df"])


def test_an_answer_that_nobody_gave():
    y, belief = survey()
    y = ["no" if v == "perhaps" else v for v in y]
    found = est.mixed_shares(y, belief)
    row = found["perhaps, mixed"]
    # nobody of 60: Wilson's upper end is z^2 / (60 + z^2)
    assert (row["estimate"], row["low"]) == (0, 0)
    assert row["high"] == pytest.approx(3.8415 / 63.8415, abs=1e-4)
    assert any(note.startswith("perhaps: λ is 0") for note in found.notes)
    sure = est.mixed_shares(y, belief, lam=1)["perhaps, mixed"]
    assert 0 <= sure["low"] <= sure["estimate"] <= sure["high"] < 0.3


def test_one_sided_and_refused():
    y, belief = survey()
    both = est.mixed_shares(y, belief, alpha=0.1)["no, mixed"]
    low = est.mixed_shares(y, belief, alternative="larger")["no, mixed"]
    high = est.mixed_shares(y, belief, alternative="smaller")["no, mixed"]
    assert (low["low"], low["high"]) == (pytest.approx(both["low"]), 1)
    assert (high["low"], high["high"]) == (0, pytest.approx(both["high"]))
    for given, error in (
        ({"belief": belief.to_numpy()}, "options is None"),
        ({"belief": belief / 2}, "sums to 0.5"),
        ({"y": ["maybe", *y[1:]]}, "maybe"),
        ({"belief": belief.where(belief["yes"] < 0.9)}, "did not answer for"),
    ):
        with pytest.raises(ValueError, match=error):
            est.mixed_shares(**{"y": y, "belief": belief, **given})
