"""The site builds without a warning, from what is saved: nothing is run and nothing is fetched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simkit import resources

pytest.importorskip("furo")
pytest.importorskip("myst_nb")
HERE = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(resources.checkout() is None, reason="needs the source checkout")


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    call = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs"]
    call += ["-d", str(tmp_path / "doctrees"), ".", str(tmp_path / "site")]
    env = {**os.environ, "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(call, cwd=HERE, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    page = (tmp_path / "site/docs/api/estimators.html").read_text(encoding="utf-8")
    assert 'id="simkit.estimators.demand.demand_curve"' in page
    notebook = (tmp_path / "site/notebooks/01_demand_endogeneity.html").read_text(encoding="utf-8")
    assert "<img" in notebook and "<math" in notebook and "<table" in notebook
    assert "url=docs/index.html" in (tmp_path / "site/index.html").read_text(encoding="utf-8")
