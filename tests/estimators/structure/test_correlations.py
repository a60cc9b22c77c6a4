"""Correlation matrices: known values, pandas and scipy as oracles, truth recovery, missing data."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from simkit.estimators.structure.correlations import (
    METHODS,
    correlation_matrix,
    off_diagonal,
    repaired,
)
from simkit.estimators.structure.polychoric import bivariate_normal, polychoric_pairs

LATENT = np.array([[1.0, 0.6, -0.3], [0.6, 1.0, 0.1], [-0.3, 0.1, 1.0]])


@pytest.fixture(scope="module")
def likert():
    z = np.random.default_rng(3).multivariate_normal(np.zeros(3), LATENT, 8_000)
    cuts = {"a": [-1, 0, 0.5, 2], "b": [0.3], "c": [-0.5, 1]}
    return pd.DataFrame({n: np.digitize(z[:, k], c) + 1.0 for k, (n, c) in enumerate(cuts.items())})


@pytest.fixture(scope="module")
def holes(likert):
    gone = np.random.default_rng(4).random((400, 3)) < [0.1, 0.4, 0.2]
    return likert.head(400).mask(gone)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_pairwise_complete_is_what_pandas_gives(holes, method):
    found = correlation_matrix(holes, method=method)
    assert found.to_numpy() == pytest.approx(holes.corr(method).to_numpy(), abs=1e-12)
    whole = holes.dropna()
    assert correlation_matrix(whole, method=method).to_numpy() == pytest.approx(
        whole.corr(method).to_numpy(), abs=1e-12
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_weight_of_two_is_a_row_that_stands_twice(holes, method):
    weight = np.random.default_rng(0).integers(0, 4, len(holes))
    repeated = holes.iloc[np.repeat(np.arange(len(holes)), weight)]
    weighted = correlation_matrix(holes, method=method, weights=weight).to_numpy()
    assert weighted == pytest.approx(
        correlation_matrix(repeated, method=method).to_numpy(), abs=1e-6
    )
    assert abs(weighted - correlation_matrix(holes, method=method).to_numpy()).max() > 0.01


def test_polychoric_finds_the_latent_correlation(likert):
    found = correlation_matrix(likert, method="polychoric").to_numpy()
    # The standard error of a polychoric correlation of 8,000 rows is about 0.015 here.
    assert found == pytest.approx(LATENT, abs=0.045)
    plain = correlation_matrix(likert).to_numpy()
    assert abs(plain - LATENT).max() > 0.1  # coarse answers hide some of it


def test_tetrachoric_of_a_table_cut_at_the_medians():
    # With both medians as cuts, P(both low) = 1/4 + asin(rho) / 2 pi (Sheppard 1899):
    # 0.3 -> rho = sin(2 pi * 0.05) = 0.3090.
    tables = np.array([[[30.0, 20], [20, 30]], [[25, 25], [25, 25]]])
    assert polychoric_pairs(tables) == pytest.approx([np.sin(0.1 * np.pi), 0], abs=1e-7)


def test_polychoric_is_at_the_top_of_the_likelihood():
    table = np.array([[20.0, 11, 4], [9, 15, 8], [2, 7, 17], [1, 3, 11]])  # 4 x 3
    rho = float(polychoric_pairs(table[None])[0])
    share = table / table.sum()
    a, b = (np.r_[-8, stats.norm.ppf(share.sum(axis).cumsum()[:-1]), 8] for axis in (1, 0))

    def likelihood(r):
        normal = stats.multivariate_normal([0, 0], [[1, r], [r, 1]])
        cdf = np.array([[normal.cdf([x, y]) for y in b] for x in a])
        return (share * np.log(np.diff(np.diff(cdf, axis=0), axis=1))).sum()

    assert likelihood(rho) > max(likelihood(rho + 0.01), likelihood(rho - 0.01))


@pytest.mark.parametrize("rho", [-0.95, -0.4, 0.0, 0.7])
def test_bivariate_normal(rho):
    normal = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]])
    for point in ([0.3, -0.7], [-1.5, 2.0], [0, 0]):
        assert bivariate_normal(*point, rho) == pytest.approx(normal.cdf(point), abs=1e-6)


def test_what_is_perfect_or_undefined():
    tables = np.array([[[5.0, 0], [0, 5]], [[9, 0], [0, 0]], [[1, 2], [0, 0]]])
    found = polychoric_pairs(tables)
    assert found[0] == pytest.approx(0.999) and np.isnan(found[1:]).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_item_and_too_few_rows_are_nan(likert, method):
    frame = likert.head(50).assign(b=2.0)
    found = correlation_matrix(frame, method=method)
    assert found.loc["b"].isna().all() and found.loc["a", "c"] == found.loc["a", "c"]
    sparse = likert.head(50).copy()
    sparse.loc[2:, "b"] = np.nan  # two rows have a and b
    assert np.isnan(correlation_matrix(sparse, method="pearson").loc["a", "b"])


def test_large_numbers_lose_no_digits(likert):
    far = likert.head(300) + 1e7
    assert correlation_matrix(far).to_numpy() == pytest.approx(
        likert.head(300).corr().to_numpy(), abs=1e-9
    )


def test_repaired():
    # Eigenvalues of the first: 1.9, 1.9 and -0.8, so it is none of any data.
    bad = np.array([[1.0, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
    whole, negative, kept = repaired(bad)
    assert negative == 1 and kept.tolist() == [0, 1, 2]
    assert np.linalg.eigvalsh(whole)[0] > -1e-12
    assert whole.diagonal() == pytest.approx(1)
    # Clipped: 1.9 times the projection off (1, -1, 1) / root 3; off-diagonals then 0.5.
    assert np.abs(off_diagonal(whole)) == pytest.approx(0.5)
    good = np.array([[1, 0.3], [0.3, 1]])
    assert repaired(good)[0].tolist() == good.tolist() and repaired(good)[1] == 0
    gap = np.array([[1, np.nan, 0.2], [np.nan, np.nan, np.nan], [0.2, np.nan, 1]])
    assert repaired(gap)[0].tolist() == [[1, 0.2], [0.2, 1]]
    assert repaired(gap)[2].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(a="3"), r"frame\[a\]: row 0 holds '3'"),
        (lambda f: f[["a"]], "two or more items"),
        (lambda f: f.set_axis(["a", "a", "b"], axis=1), "stands twice"),
        (lambda f: f.to_numpy(), "must be a DataFrame"),
    ],
)
def test_bad_frames(likert, change, message):
    with pytest.raises(ValueError, match=message):
        correlation_matrix(change(likert.head(5)))


def test_bad_method_weights_and_categories(likert):
    with pytest.raises(ValueError, match="no method 'kendall'; there are: pearson, spearman, poly"):
        correlation_matrix(likert, method="kendall")
    with pytest.raises(ValueError, match="weights: row 1 holds -1"):
        correlation_matrix(likert.head(3), weights=[1, -1, 1])
    many = likert.head(40).assign(a=np.arange(40.0))
    with pytest.raises(ValueError, match="a has 40 different answers"):
        correlation_matrix(many, method="polychoric")
