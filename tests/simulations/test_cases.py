"""The short form of the coverage page: every case, with as many repetitions as 2 seconds allow."""

from __future__ import annotations

import time

import pytest

from tests.simulations.case import Case, simulate
from tests.simulations.cases import CASES

LEAST, MOST, SECONDS = 60, 400, 2.0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_is_within_its_promise(case: Case) -> None:
    start = time.perf_counter()
    simulate(case, 3)
    each = (time.perf_counter() - start) / 3
    found = simulate(case, int(min(MOST, max(LEAST, SECONDS / each))))
    assert found.fits(case, errors=4), f"{case.kind} {found.share:.3f} of {found.n}; {case.ends}"
