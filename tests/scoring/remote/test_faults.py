"""A hundred faults before every server that scores; the script has thousands."""

from __future__ import annotations

import pytest

from tests.scoring.remote.faults import FAULTS, SPEAK, bad, table, trials


def test_a_hundred_faults_change_nothing_or_are_errors_that_name_the_row():
    counts = trials(100)
    assert not bad(counts), table(counts)
    assert {kind for _, kind, _ in counts} == set(FAULTS)
    assert {speaks for speaks, _, _ in counts} == set(SPEAK)
    assert {ended for _, _, ended in counts} == {"equal", "error names the row"}


@pytest.mark.slow
def test_a_hundred_faults_before_a_real_server(glassbox_server):
    counts = trials(100, glassbox_server)
    assert not bad(counts), table(counts)
