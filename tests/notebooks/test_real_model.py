"""Studies on the real model: they work, and nothing on their pages is false of it.

Two are run here, small. The pages that are committed in reports/smollm2 are read.
"""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from simkit import reports, resources
from simkit.scoring.catalogue import folder_of

HERE = Path(__file__).parents[2]
PUBLISHED = HERE / "reports" / "smollm2"
# What may be said only where the truth is known, that is, on pages of the glass box.
FALSE = {
    "the glass box": r"glass.?box",
    "the truth of a world": r"the world['’]s|this world|truth (?:causal|observational)",
    "how the glass box was made": r"trained from scratch|text (?:that )?(?:a|the) world",
    "a path instead of a name": r"(?<![\w.])/(?:home|Users|root|tmp|work)/\w|\.cache/",
}
SIZE = 2_000_000  # bytes of a committed page, at most
SMALL: dict[str, dict[str, Any]] = {
    "quickstart": {},
    "demand_endogeneity": {"products": 1, "wordings": 3, "profiles": 2, "budget_minutes": 0.2},
}


@pytest.fixture(scope="module")
def smollm2() -> str:
    """Its name; `make test` adds it, and elsewhere these tests are skipped where it is not."""
    try:
        folder_of("smollm2")
    except ValueError as error:
        pytest.skip(str(error))
    return "smollm2"


def rendered(page: str) -> str:
    """What a reader sees of a page whose code is folded, in one line."""
    hidden = r"(?s)<(style|script)\b.*?</\1>|<details class=\"code\".*?</details>|<math.*?</math>"
    words = re.sub(r"(?s)<[^>]*>", " ", re.sub(hidden, " ", page.partition("<body")[2]))
    return " ".join(unescape(words).split())


def false_words(page: str) -> list[str]:
    """Each word that is false of a real model, with what stands around it."""
    text = rendered(page)
    return [
        f"{what}: …{text[max(0, m.start() - 60) : m.end() + 40]}…"
        for what, pattern in FALSE.items()
        for m in re.finditer(pattern, text, re.IGNORECASE)
    ]


def check(record: dict[str, Any], page: str) -> None:
    """A study that went to its end on the real model, with beliefs to believe."""
    assert (record["status"], record["error"]) == ("complete", "")
    assert record["provenance"]["model"] == "smollm2"
    mass = next(n["value"] for n in record["numbers"] if n["name"] == "Valid mass")
    assert mass >= 0.8
    assert record["numbers"][0]["value"] is not None
    assert 'id="failed-cell"' not in page and "This run failed" not in page
    assert false_words(page) == []
    assert re.search(r"<dt>Model</dt><dd>smollm2</dd>", page)


@pytest.mark.parametrize("study", SMALL)
def test_a_study_works_on_the_real_model(study: str, smollm2: str, tmp_path: Path) -> None:
    page = reports.run(study, {"model": smollm2, **SMALL[study]}, out=tmp_path)
    record = json.loads((tmp_path / f"{study}.json").read_text())
    check(record, page.read_text(encoding="utf-8"))


@pytest.mark.skipif(resources.checkout() is None, reason="needs the source checkout")
@pytest.mark.parametrize("study", [study.path.stem for study in reports.studies()])
def test_a_published_page_of_the_real_model_is_true_of_it(study: str) -> None:
    page = PUBLISHED / f"{study}.html"
    if not page.is_file():
        pytest.skip(f"{study} has not been published for the real model")
    record = json.loads((PUBLISHED / f"{study.partition('_')[2]}.json").read_text())
    check(record, page.read_text(encoding="utf-8"))
    assert page.stat().st_size < SIZE


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("<p>On the <em>glass</em>\n<em>box</em> it holds.</p>", "the glass box"),
        ("<td>Efficiency factor, own / the world&#x27;s</td>", "the truth of a world"),
        ("<pre>LocalModel(&#39;/Users/ann/model&#39;)</pre>", "a path instead of a name"),
    ],
)
def test_a_false_word_is_seen(said: str, what: str) -> None:
    found = false_words(f"<style>glass box</style><body>{said}</body>")
    assert {line.partition(":")[0] for line in found} == {what}


def test_folded_code_is_not_read() -> None:
    code = '<details class="code"><summary>code</summary><pre>"glass box"</pre></details>'
    assert false_words(f"<body><p>Beliefs.</p>{code}<p>model/card</p></body>") == []
