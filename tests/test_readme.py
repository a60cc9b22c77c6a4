"""What the README shows is what the code and the committed record give."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path

import pandas as pd

from simkit.resources import root

HERE = Path(__file__).parent.parent
TEXT = (HERE / "README.md").read_text(encoding="utf-8")


def test_the_session_in_the_readme_gives_what_it_shows() -> None:
    session = re.search(r"```pycon\n(.*?)```", TEXT, flags=re.DOTALL)
    assert session
    example = doctest.DocTestParser().get_doctest(session[1], {}, "README", "README.md", 0)
    assert len(example.examples) >= 7
    assert doctest.DocTestRunner().run(example).failed == 0


def test_the_numbers_in_the_readme_are_those_of_the_record() -> None:
    record = json.loads((HERE / "reports" / "demand_endogeneity.json").read_text())
    for number in record["numbers"]:
        assert f"| {number['name']} | {number['value']:.3f} |" in TEXT
    page = (HERE / "reports" / "index.html").read_text(encoding="utf-8")
    headline = record["numbers"][0]
    assert headline["name"] in page and f"{headline['value']:.3g}" in page


def test_the_calibration_quoted_is_the_cards() -> None:
    table = pd.read_csv(root("data") / "models" / "glassbox-small" / "calibration.csv")
    low, high = table["mean_error"].min(), table["mean_error"].max()
    assert f"between {low:.4f} and {high:.4f}" in " ".join(TEXT.split())
