"""The short form of the coverage page: every case, with the repetitions that a second allows."""

from __future__ import annotations

import time

import pytest

from tests.simulations.__main__ import PAGE
from tests.simulations.case import Case, simulate
from tests.simulations.cases import CASES

LEAST, MOST, SECONDS = 40, 300, 0.7


def test_the_page_shows_every_case_and_no_other() -> None:
    lines = PAGE.read_text(encoding="utf-8").split("\n")
    shown = [line.split(" | ")[:2] for line in lines if line.startswith("| ") and "±" in line]
    rows = sorted((quantity.removeprefix("| "), design) for quantity, design in shown)
    assert rows == sorted((case.quantity, case.design) for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_is_within_its_promise(case: Case) -> None:
    start = time.perf_counter()
    simulate(case, 3)
    each = (time.perf_counter() - start) / 3
    found = simulate(case, int(min(MOST, max(LEAST, SECONDS / each))))
    assert found.fits(case, errors=4), f"{case.kind} {found.share:.3f} of {found.n}; {case.ends}"
