"""Runs tried before a study: their valid mass at the answer, and what a time affords."""

from __future__ import annotations

import numpy as np
import pytest

import simkit as sk
from simkit import audit
from simkit.audit import runs as audit_runs
from simkit.worlds.market import brands

ASKED, DESIGN = brands.QUESTIONS["run"], brands.design([24, 30], [27, 33])
HOW = {"max_tokens": 24, "forced": True, "seed": 0}


def test_a_pilot_of_runs_is_what_the_runs_say() -> None:
    lm = sk.load("glassbox")
    found = audit.pilot_runs(lm, ASKED, DESIGN, runs=3).to_frame()["estimate"]
    table = sk.sample_runs(lm, ASKED, DESIGN, runs=3, **HOW)
    first = table[table["option_id"] == 0]
    assert found["valid mass"] == pytest.approx(first["valid_mass"].mean())
    least = first.groupby("prompt_id")["valid_mass"].mean().min()
    assert found["smallest valid mass"] == pytest.approx(least)
    assert found["no option written"] == 1 - first["reached"].mean()
    assert found["refused"] == 0
    assert found[["order range", "written as believed"]].isna().all()


def test_runs_cut_short_write_no_option_by_themselves() -> None:
    found = audit.pilot_runs(sk.load("glassbox"), ASKED, DESIGN, max_tokens=1)
    assert found["no option written"]["estimate"] == 1
    assert found.n == len(DESIGN) and found.over == "prompts"


def test_another_marker_is_another_answer() -> None:
    lm = sk.load("glassbox")
    mass = {m: audit.pilot_runs(lm, ASKED, DESIGN, marker=m)["valid mass"]["estimate"]
            for m in (None, " and so the")}  # fmt: skip
    assert mass[None] > 0.9 > 0.5 > mass[" and so the"]


def test_a_pilot_of_runs_stands_beside_pilots() -> None:
    lm = sk.load("glassbox")
    asked = {"choice": (brands.QUESTIONS["share"], DESIGN)}
    pilots = {"choice": audit.pilot_runs(lm, ASKED, DESIGN)}
    works = audit.Works(pilots, lm, asked)
    assert not works.end and works.mass["choice"] > 0.9
    assert works.to_frame().loc["choice", "refused"] == 0


def test_what_a_time_affords(monkeypatch: pytest.MonkeyPatch) -> None:
    """12 runs of 2 rows in 6 seconds: a minute has 240 runs, 60 for each of 4 rows."""
    clock = iter(np.array([100.0, 106.0]))
    monkeypatch.setattr(audit_runs.time, "perf_counter", lambda: next(clock))
    lm = sk.load("glassbox")
    assert audit.affordable_runs(lm, ASKED, DESIGN, 1, max_tokens=2) == 60


def test_a_run_is_afforded_in_no_time() -> None:
    assert audit.affordable_runs(sk.load("glassbox"), ASKED, DESIGN, 0, max_tokens=2) == 1
