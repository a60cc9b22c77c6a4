"""Mixed regressions: cases computed by other code, ppi_py, statsmodels."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from simkit import estimators as est

X = [-2.0, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, -1, 1, 0,
     -2, -1.8, -1.2, -0.9, -0.6, -0.3, -0.1, 0, 0.2, 0.4, 0.7, 0.9, 1.1, 1.4, 1.6, 1.9, -1.4, 0.3,
     -0.7, 1.2]  # fmt: skip
Y = [0.0, 0, 1, 0, 0, 1, 1, 0, 1, 0, 1, 1, *[np.nan] * 20]
F = [0.02, 0.4, 0.55, 0.05, 0.1, 0.95, 0.97, 0.45, 0.6, 0.7, 0.99, 0.9,
     0.25, 0.02, 0.7, 0.05, 0.85, 0.1, 0.9, 0.03, 0.95, 0.2, 0.97, 0.15, 0.98, 0.4, 0.99, 0.65,
     0.01, 0.92, 0.04, 0.6]  # fmt: skip


def columns(frame: pd.DataFrame, kind: str = "mixed") -> pd.DataFrame:
    return frame[frame.index.str.endswith(kind)][["estimate", "std_error"]]


@pytest.mark.parametrize(
    ("lam", "estimate", "error"),
    [
        (0.4472433157, (-0.1926910150, 1.0953127298), (0.6166687584, 0.7340906784)),
        (0.4292028290, (-0.1845110142, 1.0901926123), (0.6156238317, 0.7300575969)),
        (1, (-0.4715706662, 1.3046236953), (0.8510838373, 1.0686505349)),
        (0, (0, 0.9906811745), (0.6914513438, 0.6796518686)),
    ],
)
def test_logit_cases_of_other_code(lam, estimate, error):
    found = columns(est.mixed_regression(Y, F, X, family="logit", lam=lam).frame)
    assert found["estimate"].tolist() == pytest.approx(estimate, abs=2e-9)
    assert found["std_error"].tolist() == pytest.approx(error, abs=2e-9)


@pytest.mark.parametrize(
    ("lam", "low", "high"),
    [
        (1, (-2.1396643357756204, -0.7898928652435724), (1.1965230026806672, 3.399140255939716)),
        (0, (-1.355219730933228, -0.34141200992490994), (1.355219730933228, 2.322774358892218)),
    ],
)
def test_logit_intervals_of_ppi_py(lam, low, high):
    """By ppi_py 0.2.3, whose first call compiles for ten seconds; its quantile is normal."""
    found = columns(est.mixed_regression(Y, F, X, family="logit", lam=lam).frame)
    half = 1.959963984540054 * found["std_error"]
    assert (found["estimate"] - half).tolist() == pytest.approx(low, abs=1e-8)
    assert (found["estimate"] + half).tolist() == pytest.approx(high, abs=1e-8)


@pytest.mark.parametrize("family", ["linear", "logit"])
def test_people_alone_against_statsmodels(family):
    rng = np.random.default_rng(1)
    x = pd.DataFrame(rng.normal(size=(160, 2)), columns=["age", "income"])
    y = x["age"] + rng.normal(size=160) * 2
    y = (y > 0).astype(float) if family == "logit" else y
    f = np.full(160, 0.5)
    w, c = rng.random(160) + 0.5, rng.integers(0, 25, 160)
    found = est.mixed_regression(y.where(x.index < 60), f, x, family=family, weights=w, cluster=c)
    used = slice(0, 60)
    kind = sm.families.Binomial() if family == "logit" else sm.families.Gaussian()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # weights of a Binomial are said not to be tested there
        fit = sm.GLM(y[used], sm.add_constant(x[used]), kind, freq_weights=w[used]).fit(
            cov_type="cluster", cov_kwds={"groups": c[used], "use_correction": False}
        )
    k = len(np.unique(c[used]))
    people = columns(found.frame, "people")
    assert list(people.index) == ["intercept, people", "age, people", "income, people"]
    assert people["estimate"].tolist() == pytest.approx(fit.params.tolist(), abs=1e-6)
    error = fit.bse * np.sqrt(k / (k - 1))
    assert people["std_error"].tolist() == pytest.approx(error.tolist(), rel=1e-5)
    assert found.over == f"clusters ({k} asked)"


def test_good_predictions_shorten_the_interval():
    rng = np.random.default_rng(2)
    x = rng.normal(size=1000)
    y = 1 + 0.5 * x + rng.normal(size=1000)
    hidden = np.where(np.arange(1000) < 100, y, np.nan)
    found = est.mixed_regression(hidden, y + rng.normal(size=1000) / 2, x).frame
    assert found.loc["x, mixed", "relative_width"] < 0.75
    assert found.loc["x, mixed", "rho"] > 0.8
    # in full trust of a perfect model it is the fit on everybody, but for the error
    whole = est.mixed_regression(hidden, y, x, lam=1).frame
    beta = sm.OLS(y[100:], sm.add_constant(x[100:])).fit().params
    assert columns(whole)["estimate"].tolist() == pytest.approx(beta.tolist())
    useless = est.mixed_regression(hidden, rng.normal(size=1000), x).frame
    assert useless["relative_width"].max() <= 1 + 1e-12


def test_few_people_decide_where_x_is_skewed():
    x = np.r_[np.zeros(38), 1, 1, np.tile([0.0, 1], 50)]
    y = np.where(np.arange(140) < 40, np.arange(140) % 3, np.nan)
    found = est.mixed_regression(y, np.ones(140), x)["x, people"]
    # two people at 1 make half of the slope's variation each (less 1/40): about 2 units
    assert found["df"] < 1.6


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"x": None}, "x is None"),
        ({"x": [1.0] * 32}, "collinear"),
        ({"x": [np.nan, *X[1:]]}, "row 0 has a missing value"),
        ({"family": "probit"}, "family"),
        ({"y": [2.0, *Y[1:]], "family": "logit"}, "0 or 1"),
        ({"prediction": [1.5, *F[1:]], "family": "logit"}, "from 0 to 1"),
        ({"y": [float(v > 0) for v in X[:12]] + Y[12:], "family": "logit"}, "no maximum"),
        ({"prediction": np.column_stack([F, F])}, "2 predictions"),
    ],
)
def test_what_is_refused(given, error):
    with pytest.raises(ValueError, match=error):
        est.mixed_regression(**{"y": Y, "prediction": F, "x": X, **given})
