"""Mixed means: cases computed by hand and by ppi_py, statsmodels and svy; what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from simkit import estimators as est

NAN = float("nan")
# Two groups; a line of the labelled people, and one of the predictions for the others.
A = ([4.0, 7, 5, 6, 8, 3], [4.5, 6, 5.5, 6.5, 7, 4], [5.0, 6, 4, 7, 5.5, 6.5, 3.5, 6, 5, 7.5])
B = ([2.0, 5, 3, 4, 6, 1], [4.0, 5, 4.5, 5, 5.5, 4],
     [4.2, 5.1, 4.4, 3.9, 5.6, 4.8, 5.0, 4.1, 4.7, 5.2])  # fmt: skip


def table(group: tuple[list[float], list[float], list[float]]) -> tuple[list[float], list[float]]:
    y, seen, others = group
    return [*y, *[NAN] * len(others)], [*seen, *others]


@pytest.mark.parametrize(
    ("group", "lam", "expected"),
    [
        (A, None, (5.5148443157, 0.5282280390, 0.8906589428)),
        (A, 0.9104367135, (5.5151739452, 0.5283700546, 0.9104367135)),
        (A, 1, (5.5166666667, 0.5325515103, 1)),
        (B, None, (3.5333333333, 0.5543765267, 1)),  # 1.4 without the end at 1
    ],
)
def test_the_mean_of_the_published_rule(group, lam, expected):
    found = est.mixed_mean(*table(group), lam=lam)["mixed"]
    assert tuple(found[["estimate", "std_error", "lam"]]) == pytest.approx(expected, abs=2e-10)


def test_effective_number_of_people():
    # n (SE of people / SE mixed)^2 = 6 (0.7637626158 / 0.5283700546)^2
    found = est.mixed_mean(*table(A), lam=0.9104367135)["mixed"]
    assert found["n_effective"] == pytest.approx(12.5369430302, abs=1e-8)
    assert found["worth"] == pytest.approx((12.5369430302 - 6) / 16, abs=1e-9)


def test_no_trust_is_the_people_alone():
    found = est.mixed_mean(*table(A), lam=0).frame
    rows = found[["estimate", "std_error", "low", "high", "n_effective"]]
    assert rows.loc["mixed"].tolist() == rows.loc["people"].tolist()
    assert rows.loc["people"].tolist()[:2] == pytest.approx([5.5, np.sqrt(3.5 / 6)])
