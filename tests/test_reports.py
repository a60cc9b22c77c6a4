"""A notebook goes in; a page, a record and a card come out, whole and harmless."""

import json
import math
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

from simkit import reports
from simkit.reports.pages import duration
from simkit.reports.records import write
from simkit.reports.study import Study
from simkit.store import key
from tests import small_notebooks as small


class Page(HTMLParser):
    """What a browser would make of a page: its elements with attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


def loads(page):
    """Addresses that a browser fetches when it opens the page (links are not followed)."""
    fetching = {"src", "srcset", "data", "poster", "action", "background"}
    found = [v for _, attrs in page.elements for k, v in attrs.items() if k in fetching]
    found += [attrs.get("href", "") for attrs in page.all("link")]
    return [address for address in found if not address.startswith("data:")]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    notebook = small.write(folder / "notebooks" / "07_tea.ipynb", *small.GOOD)
    page = reports.run(notebook, {"seed": "3", "model": "7"}, out=folder / "out")
    return page


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    notebook = small.write(folder / "notebooks" / "08_spilt.ipynb", *small.BAD)
    out = folder / "out"
    out.mkdir()
    (out / "spilt.json").write_text('{"numbers": ["of an earlier run"]}')
    with pytest.raises(PapermillExecutionError) as raised:
        reports.run(notebook, out=out)
    return out, raised.value


def test_run_writes_page_record_and_notebook(good):
    assert good.name == "07_tea.html"
    assert {p.name for p in good.parent.iterdir()} == {"07_tea.html", "07_tea.ipynb", "tea.json"}


def test_the_page_loads_nothing(good):
    text = good.read_text()
    page = Page(text)
    assert loads(page) == []
    assert page.all("link") == page.all("iframe") == []
    assert "@import" not in text
    assert not re.search(r"url\(\s*['\"]?(?!data:)", text)
    assert [s for s in page.all("script") if s] == []  # the one script is the toggle's, inline


def test_the_check_for_loads_sees_one():
    assert loads(Page('<img src="https://example.org/a.png">')) == ["https://example.org/a.png"]


def test_words_of_models_and_data_cannot_act(good):
    page = Page(good.read_text())
    assert len(page.all("script")) == 1
    assert not [k for _, attrs in page.elements for k in attrs if k.startswith("on")]
    # in the code, printed, displayed as HTML and as Markdown, returned: shown as the text it is
    assert page.text.count('<img src="http://example.org/b.png" onerror="alert(2)">') == 5
    assert page.text.count("<script>alert(1)</script>") == 4  # dropped where it was HTML
    assert "<script>alert(3)</script>" in page.text
    assert "kept" in page.text


def test_mathematics_is_mathml(good):
    page = Page(good.read_text())
    assert {m["display"] for m in page.all("math")} == {"inline", "block"}
    assert "∑" in page.text
    assert "$P" not in page.text and "$$" not in page.text


def test_a_figure_has_its_caption_as_alternative_text(good):
    page = Page(good.read_text())
    (image,) = page.all("img")
    assert image["alt"] == 'The "line" <b>rises</b> to 3.'
    assert image["src"].startswith("data:image/png;base64,")
    assert len(page.all("figcaption")) == 1
    assert 'The "line" <b>rises</b> to 3.' in page.text


def test_a_figure_without_caption_is_named_after_its_section(tmp_path):
    cell = small.code("x")
    png = {"image/png": "aGVsbG8=", "text/plain": "<Figure>"}
    cell.outputs = [small.nbformat.v4.new_output("display_data", data=png)]
    notebook = small.write(tmp_path / "a.ipynb", small.markdown("## Demand of `tea`"), cell)
    page = Page(reports.export_html(notebook, tmp_path / "a.html").read_text())
    assert page.all("img")[0]["alt"] == "Figure in the section “Demand of tea”"


def test_a_caption_without_a_figure_stays_as_text(tmp_path):
    cell = small.code("x")
    said = reports.caption("**Found:** 3 of 4.")._repr_mimebundle_()
    cell.outputs = [small.nbformat.v4.new_output("execute_result", data=said[0], metadata=said[1])]
    page = Page(
        reports.export_html(
            small.write(tmp_path / "a.ipynb", cell), tmp_path / "a.html"
        ).read_text()
    )
    assert "Found: 3 of 4." in page.text
    assert any("finding" in d.get("class", "") for d in page.all("div"))


def test_code_is_folded_and_needs_no_script_to_unfold(good):
    page = Page(good.read_text())
    folded = [d for d in page.all("details") if d.get("class") == "code"]
    assert len(folded) == 6  # five code cells and the parameters that were injected
    assert all("open" not in d for d in folded)
    (button,) = page.all("button")
    assert "hidden" in button  # shown by the script that makes it work


def test_title_header_and_contents(good):
    page = Page(good.read_text())
    assert len(page.all("h1")) == 1
    assert page.text.count("toast") == 2  # <title> and heading, not once more in the text
    assert "seed = 3" in page.text
    assert "Run time" in page.text and "simkit" in page.text
    anchors = {a["href"] for a in page.all("a") if a.get("href", "").startswith("#")}
    assert anchors == {"#a-figure", "#words-of-a-model"}
    assert {"a-figure", "words-of-a-model"} <= {attrs.get("id") for _, attrs in page.elements}


def test_the_record_has_numbers_and_provenance(good):
    record = json.loads((good.parent / "tea.json").read_text())
    assert record["status"] == "complete"
    assert record["page"] == "07_tea.html"
    assert record["numbers"][0] == {
        "name": "share <of> tea",
        "value": 0.5,
        "low": 0.4,
        "high": 0.6,
        "over": "cups of the household",
        "unit": "cups",
        "claim": "People <i>like</i> tea.",
        "about": "model",
        "valid_mass": None,
        "verdict": "holds",
    }
    assert (record["numbers"][1]["value"], record["numbers"][1]["verdict"]) == (None, "undefined")
    provenance = record["provenance"]
    # text stays text for a parameter typed str, and becomes a number for one typed int
    expected = {"model": "7", "seed": 3, "share": 0.5, "grid": None, "cups": 12}
    assert provenance["parameters"] == expected
    assert (provenance["model"], provenance["seed"]) == ("7", 3)
    assert {"python", "numpy", "pandas", "torch"} <= set(provenance["versions"])


def test_a_study_is_all_that_its_executed_notebook_holds(good):
    study = Study.read(good.with_suffix(".ipynb"))
    assert (study.name, study.title, study.failure) == ("tea", "Tea & *toast*", "")
    assert study.run["parameters"] == {"seed": 3, "model": "7"} and study.run["duration"] > 0
    (figure,) = study.figures
    assert figure["alt"] == 'The "line" <b>rises</b> to 3.'
    assert figure["src"].startswith("data:image/png;base64,")
    assert study.record["study"] == "tea"
    assert [n["name"] for n in study.record["numbers"]] == ["share <of> tea", "nothing"]
    assert study.record["provenance"]["parameters"] == {"cups": 12}


def test_a_notebook_records_under_its_own_name(tmp_path):
    cells = (
        small.code("import simkit.reports as reports"),
        small.code("reports.record('demand', [{'name': 'a', 'value': 1}])"),
    )
    notebook = small.write(tmp_path / "notebooks" / "07_tea.ipynb", *cells)
    with pytest.raises(ValueError, match=r"record\('demand'\) in the notebook of 'tea'"):
        reports.run(notebook, out=tmp_path / "out")
    record = json.loads((tmp_path / "out" / "tea.json").read_text())
    assert record["status"] == "failed" and record["numbers"] == []
    assert "use its own name" in record["error"]


def test_of_two_records_the_last_counts(tmp_path):
    cells = (
        small.code("import simkit.reports as reports"),
        small.code("reports.record('tea', [{'name': 'a', 'value': 1}])"),
        small.code("reports.record('tea', [{'name': 'b', 'value': 2}])"),
    )
    notebook = small.write(tmp_path / "notebooks" / "07_tea.ipynb", *cells)
    reports.run(notebook, out=tmp_path / "out")
    record = json.loads((tmp_path / "out" / "tea.json").read_text())
    assert [n["name"] for n in record["numbers"]] == ["b"]


def test_a_failing_cell_leaves_a_marked_partial_report(bad):
    out, error = bad
    assert error.ename == "NameError"
    assert any("spilt_milk" in line for line in error.traceback)
    page = Page((out / "08_spilt.html").read_text())
    assert "This run failed" in page.text
    assert "NameError: name 'spilt_milk' is not defined" in page.text
    assert "this was computed" in page.text
    assert "An Exception was encountered" not in page.text  # papermill's own mark is replaced
    (cell,) = (a for tag, a in page.elements if tag == "section" and "failed" in a["class"])
    assert cell["id"] == "failed-cell"
    assert any("open" in d for d in page.all("details") if d.get("class") == "code")


def test_a_failure_replaces_the_earlier_record(bad):
    out, _ = bad
    record = json.loads((out / "spilt.json").read_text())
    assert record["status"] == "failed"
    assert record["numbers"] == []
    assert "spilt_milk" in record["error"]


def test_a_dying_kernel_is_a_failed_run_too(tmp_path):
    cells = (small.markdown("# Gone"), small.code("1 + 1"), small.code("import os; os._exit(1)"))
    notebook = small.write(tmp_path / "notebooks" / "gone.ipynb", *cells)
    with pytest.raises(Exception, match=r"[Kk]ernel"):
        reports.run(notebook, out=tmp_path / "out")
    assert "This run failed" in (tmp_path / "out" / "gone.html").read_text()
    assert json.loads((tmp_path / "out" / "gone.json").read_text())["status"] == "failed"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sede": 1}, "no parameter 'sede'; there are model, seed, share, grid"),
        ({"seed": "one"}, "'seed' takes int, not 'one'"),
        ({"seed": True}, "'seed' takes int, not True"),
        ({"seed": 1.5}, "'seed' takes int, not 1.5"),
        ({"model": 7}, "'model' takes str, not 7"),
        ({"grid": "0.5"}, "'grid' takes list[float] | None, not '0.5'"),
        ({"grid": ["a"]}, "'grid' takes list[float] | None, not ['a']"),
        ({"share": math.inf}, "'share' is inf; it must be what JSON can hold"),
        ({"grid": {1.0}}, "'grid' is {1.0}; it must be what JSON can hold"),
        ({"model": "cr\udcc3me"}, r"'model' is 'cr\udcc3me', which holds half a character"),
        ({"model": "cr\udce8me"}, r"'model' is 'cr\udce8me', which holds half a character"),
        ({"grid": ["\ud800"]}, "'grid' is ['\\ud800'], which holds half a character"),
    ],
)
def test_bad_parameters_are_named_before_anything_runs(tmp_path, values, message):
    notebook = small.write(tmp_path / "07_tea.ipynb", *small.GOOD)
    with pytest.raises(ValueError, match=re.escape(message)):
        reports.run(notebook, values, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_parameters_are_read_from_text_as_python_would(tmp_path):
    study = reports.find(small.write(tmp_path / "07_tea.ipynb", *small.GOOD))
    given = {"model": "7", "seed": "3", "share": "1", "grid": "[1, 2.5]"}
    taken = study.values(given)
    assert taken == {"model": "7", "seed": 3, "share": 1.0, "grid": [1, 2.5]}
    assert isinstance(taken["share"], float)
    assert study.values({"grid": "null"}) == {"grid": None}
    assert study.parameters["model"].help == "a name = a model"
    assert study.parameters["grid"].type == "list[float] | None"


def test_parameters_of_numpy_and_tuples_reach_the_notebook_as_they_are(tmp_path):
    study = reports.find(small.write(tmp_path / "07_tea.ipynb", *small.GOOD))
    given = {"seed": np.int64(3), "share": np.float32(0.5), "grid": (1, 2.5)}
    taken = study.values(given)
    assert taken == {"seed": 3, "share": 0.5, "grid": [1, 2.5]}
    assert [type(v) for v in taken.values()] == [int, float, list]
    assert study.values({"grid": np.array([1.0])}) == {"grid": [1.0]}


def test_words_of_a_shell_with_an_ascii_locale_are_put_right(tmp_path):
    study = reports.find(small.write(tmp_path / "07_tea.ipynb", *small.GOOD))
    word = "crème".encode().decode("ascii", "surrogateescape")  # as Python reads such words
    assert study.values({"model": word, "grid": None}) == {"model": "crème", "grid": None}


def test_a_profile_is_one_that_there_is(tmp_path):
    cell = small.code('profile: str = "fast"  # size', "parameters")
    study = reports.find(small.write(tmp_path / "a.ipynb", cell))
    assert study.values({"profile": "full"}) == {"profile": "full"}
    with pytest.raises(ValueError, match="'profile' is 'huge'; it must be one of 'fast', 'full'"):
        study.values({"profile": "huge"})


ALLOWED = {
    "n": range(1, 41),
    "share": pd.Interval(0, 1, closed="right"),
    "names": ["cat", "dog"],
}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n": 0}, "n is 0; it must be a whole number from 1 to 40"),
        ({"n": 41}, "n is 41; it must be"),
        ({"n": 8.0}, "n is 8.0; it must be"),  # which a range would let pass, and a slice would not
        ({"n": True}, "n is True; it must be"),
        ({"n": [3, 0]}, "n is [3, 0]; it must be a whole number from 1 to 40"),
        ({"share": 0}, "share is 0; it must be a number above 0 to 1"),
        ({"names": ["cat", "cow"]}, "names is ['cat', 'cow']; it must be one of 'cat', 'dog'"),
        ({"names": []}, "names is []; it must be one of 'cat', 'dog'"),
        ({"names": [["cat"]]}, "names is [['cat']]; it must be one of 'cat', 'dog'"),
        ({"share": "half"}, "share is 'half'; it must be a number above 0 to 1"),
        ({"profile": "huge"}, "profile is 'huge'; it must be one of 'fast', 'full'"),
        ({"sweeps": "many"}, "sweeps is 'many'; it must be int"),
        ({"targets": ["a", 1]}, "targets is ['a', 1]; it must be list[str]"),
        ({"n": ...}, "check was given 'n', which is not a parameter here"),
    ],
)
def test_what_no_later_cell_can_work_with_is_refused(values, message):
    good = {"n": 40, "share": 1.0, "names": ["dog"], "profile": "full", "sweeps": 3, "targets": []}
    good["__annotations__"] = {"sweeps": int, "targets": list[str], "later": str}
    reports.check(good, **ALLOWED)
    bad = {k: v for k, v in {**good, **values}.items() if v is not ...}
    with pytest.raises(ValueError, match=re.escape(message)):
        reports.check(bad, **ALLOWED)


@pytest.mark.parametrize(
    "call",
    [
        lambda: reports.find(7),
        lambda: reports.index(None),
        lambda: reports.run("quickstart", out=7),
        lambda: reports.run("quickstart", ["product"]),
        lambda: reports.run("quickstart", {7: 1}),
        lambda: reports.export_html(7, "page.html"),
        lambda: reports.check(["n"]),
        lambda: reports.check({"n": 1}, n="1 to 3"),
        lambda: reports.check({"n": 1}, n=3),
        lambda: reports.record(7, [{"name": "a", "value": 1}]),
        lambda: reports.record("tea", 7),
        lambda: reports.record("tea", [{"name": "a", "value": 1}], parameters=[1]),
    ],
)
def test_what_has_the_wrong_shape_is_said_in_words(call):
    with pytest.raises(ValueError, match=r" must be | takes globals|has no parameter"):
        call()


def test_a_notebook_checks_what_papermill_gave_it(tmp_path):
    cells = (
        small.code("import numpy as np\nfrom simkit import reports"),
        small.code("n: int = 3  # how many\ngrid: list[float] = [1.0]  # of prices", "parameters"),
        small.code("reports.check(globals(), n=range(1, 9))"),
    )
    notebook = small.write(tmp_path / "07_tea.ipynb", *cells)
    reports.run(notebook, {"n": 8}, out=tmp_path / "out")
    with pytest.raises(PapermillExecutionError, match="n is 9; it must be a whole number"):
        reports.run(notebook, {"n": 9}, out=tmp_path / "out")
    with pytest.raises(PapermillExecutionError, match=r"grid is 2; it must be list\[float\]"):
        papermill.execute_notebook(
            str(notebook), None, {"grid": 2}, kernel_name="python3", progress_bar=False
        )


def test_a_record_has_the_parameters_that_were_worked_with(tmp_path):
    cells = (
        small.code("from simkit import reports"),
        small.code('profile: str = "fast"  # size\nn: int = 3  # how many', "parameters"),
        small.code('if profile == "full":\n    n = 40\nother = 7'),
        small.code("reports.record('tea', [{'name': 'a', 'value': n}], parameters=globals())"),
    )
    notebook = small.write(tmp_path / "07_tea.ipynb", *cells)
    reports.run(notebook, {"profile": "full"}, out=tmp_path / "out")
    record = json.loads((tmp_path / "out" / "tea.json").read_text())
    assert record["provenance"]["parameters"] == {"profile": "full", "n": 40}


def test_what_papermill_dies_of_is_seen_and_leaves_no_broken_notebook(tmp_path, monkeypatch):
    notebook = small.write(tmp_path / "notebooks" / "07_tea.ipynb", *small.GOOD)
    out = tmp_path / "out"

    def die(source, target, **_):
        Path(target).write_text("")  # papermill opens it before it has anything to write
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(papermill, "execute_notebook", die)
    with pytest.raises(OSError, match="No space left on device"):
        reports.run(notebook, out=out)
    assert [p.name for p in out.iterdir()] == ["tea.json"]
    record = json.loads((out / "tea.json").read_text())
    assert record["status"] == "failed" and "No space left" in record["error"]
    text = reports.index(out).read_text()
    assert "This run failed" in text and "No space left" in text and "not timed" in text
    monkeypatch.setattr(
        "simkit.reports.execute.write", lambda *_, **__: (_ for _ in ()).throw(OSError(5, "Worse"))
    )
    with pytest.raises(OSError, match="No space left on device") as raised:
        reports.run(notebook, out=out)
    assert "was not written: OSError: [Errno 5] Worse" in raised.value.__notes__[0]


def test_a_page_that_cannot_be_made_is_a_failed_run(tmp_path, monkeypatch):
    notebook = small.write(tmp_path / "notebooks" / "07_tea.ipynb", small.code("1 + 1"))

    def broken(*_, **__):
        raise ValueError("no page today")

    monkeypatch.setattr("simkit.reports.execute.export_html", broken)
    with pytest.raises(ValueError, match="no page today"):
        reports.run(notebook, out=tmp_path / "out")
    record = json.loads((tmp_path / "out" / "tea.json").read_text())
    assert (record["status"], record["error"]) == ("failed", "ValueError: no page today")


def test_half_characters_of_a_model_do_not_cost_the_page(tmp_path):
    cell = small.code("x")
    cell.outputs = [small.nbformat.v4.new_output("stream", text="so cr\ud800me")]
    notebook = small.nbformat.v4.new_notebook(cells=[cell])
    (tmp_path / "a.ipynb").write_text(json.dumps(notebook))
    page = reports.export_html(tmp_path / "a.ipynb", tmp_path / "a.html")
    assert r"so cr\ud800me" in page.read_text(encoding="utf-8")


def test_model_and_hash_are_on_page_and_card_and_no_path(tmp_path):
    cells = (
        *small.GOOD[:3],
        small.code(
            "import types\nlm = types.SimpleNamespace(name='mine', identity={'weights': 'abc'})\n"
            "reports.record('tea', [{'name': 'a', 'value': 1}], model=lm, valid_mass=[0.25, 0.5])"
        ),
    )
    notebook = small.write(tmp_path / "notebooks" / "07_tea.ipynb", *cells)
    folder = tmp_path / "mine"
    folder.mkdir()
    page = reports.run(notebook, {"model": folder}, out=tmp_path / "out")
    record = json.loads((page.parent / "tea.json").read_text())
    expected = key(weights="abc").hex()[:12]
    assert record["provenance"]["model_hash"] == expected
    assert (record["provenance"]["model"], record["numbers"][1]["value"]) == ("mine", 0.375)
    head = page.read_text().partition("<main>")[0]
    card = Page(reports.index(page.parent).read_text())
    for text in (Page(head).text, card.text):
        assert expected in text and "mine" in text and str(tmp_path) not in text
    assert "Valid mass 0.375" in card.text


def recorded(folder, numbers, **more):
    """A record of `numbers` in `folder`, as a run leaves it."""
    cell = small.code("x")
    data, metadata = reports.record("tea", numbers, model="tiny", **more)._repr_mimebundle_()
    cell.outputs = [small.nbformat.v4.new_output("display_data", data=data, metadata=metadata)]
    notebook = small.write(folder / "07_tea.ipynb", small.markdown("# Tea"), cell)
    study = Study.read(notebook)
    write(folder / "07_tea.html", study, {}, study, "")


def test_the_card_shows_the_models_own_number_first_and_labels_the_recorded(tmp_path):
    people = {"name": "of people", "value": 1.0, "about": "recorded people", "verdict": True}
    own = {"name": "of the model", "value": 2.0, "verdict": True}
    recorded(tmp_path, [people, own], valid_mass=0.1)
    text = Page(reports.index(tmp_path).read_text()).text
    assert re.search(r"Tea of the model 2 not judged valid mass 0.1", text)
    assert "of people recorded people 1" in text
    recorded(tmp_path, [people])
    text = Page(reports.index(tmp_path).read_text()).text
    assert "Tea of people recorded people 1 holds" in text


def test_one_bad_neighbour_does_not_take_the_index_down(good, tmp_path):
    for file in good.parent.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "half.json").write_text('{"study": "x", "num')
    (tmp_path / "poor.json").write_text('{"study": "x", "numbers": [], "page": "x.html"}')
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe{")
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")  # nobody will ever write to it
    record = json.loads((tmp_path / "tea.json").read_text())
    least = {**record, "study": "least", "numbers": [], "seconds": math.nan, "provenance": {}}
    least["provenance"] = {"parameters": {}, "versions": {}}
    (tmp_path / "least.json").write_text(json.dumps(least))
    (tmp_path / "foreign.json").write_text('{"mine": "<script>"}')
    page = Page(reports.index(tmp_path).read_text())
    assert [a["id"] for a in page.all("article")] == ["least", "tea"]
    for name in ("half", "poor", "deep", "bytes", "folder", "pipe"):
        assert f"Left out: {name}.json , because it" in page.text
    assert "foreign" not in page.text and page.all("script") == []


def test_a_neighbours_page_brings_nothing_in_from_outside(good, tmp_path):
    for file in good.parent.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    cell = small.code("x")
    figure = {"image/png": '" src="https://example.org/a.png'}
    cell.outputs = [small.nbformat.v4.new_output("display_data", data=figure)]
    small.write(tmp_path / "07_tea.ipynb", cell)
    page = Page(reports.index(tmp_path).read_text())
    assert len(page.all("img")) == 1 and loads(page) == []
    (tmp_path / "07_tea.ipynb").write_bytes(b'\xff{"cells": 7')
    page = Page(reports.index(tmp_path).read_text())
    assert page.all("img") == [] and loads(page) == []


def test_studies_are_found_by_name_number_and_path(tmp_path, monkeypatch):
    small.write(tmp_path / "01_demand.ipynb", *small.GOOD)
    small.write(tmp_path / "02_belief.ipynb", *small.BAD)
    monkeypatch.setattr("simkit.resources.root", lambda name: tmp_path)
    assert [s.title for s in reports.studies()] == ["Tea & *toast*", "Spilt"]
    for name in ("02_belief", "belief", "02", tmp_path / "02_belief.ipynb"):
        study = reports.find(name)
        assert (study.path.stem, study.name) == ("02_belief", "belief")
    with pytest.raises(ValueError, match="no study 'taste'; there are 01_demand, 02_belief"):
        reports.find("taste")


def test_a_run_never_overwrites_its_own_notebook(tmp_path):
    notebook = small.write(tmp_path / "07_tea.ipynb", *small.GOOD)
    before = notebook.read_text()
    with pytest.raises(ValueError, match="own folder"):
        reports.run(notebook, out=tmp_path)
    assert notebook.read_text() == before


def test_the_index_says_what_the_records_say(good, bad, tmp_path):
    for folder in (good.parent, bad[0]):
        for file in folder.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "other.json").write_text("[1, 2]")  # not ours: passed over
    text = reports.index(tmp_path).read_text()
    page = Page(text)
    assert [a["id"] for a in page.all("article")] == ["tea", "spilt"]
    assert loads(page) == [] and page.all("script") == []
    record = json.loads((tmp_path / "tea.json").read_text())
    headline = record["numbers"][0]
    for words in (headline["name"], headline["claim"], headline["unit"], headline["verdict"]):
        assert words in page.text
    assert "0.5 cups" in page.text and "0.4 to 0.6" in page.text
    assert duration(record["seconds"]) in page.text
    assert "This run failed." in page.text
    assert [i["alt"] for i in page.all("img")] == ['The "line" <b>rises</b> to 3.']
    assert {"07_tea.html", "08_spilt.html"} <= {a.get("href") for a in page.all("a")}


def test_an_empty_folder_has_an_index(tmp_path):
    assert "No study has been run" in reports.index(tmp_path / "new").read_text()


def test_durations_as_shown():
    assert [duration(s) for s in (None, math.nan, 3.21, 45.6, 119.7)] == [
        "not timed",
        "not timed",
        "3.2 s",
        "46 s",
        "2 min 0 s",
    ]


def other_models(folder, name, model, **how):
    """A record of a study on a model, with a page that shows a figure, and no notebook."""
    folder.mkdir(exist_ok=True)
    cell = small.code("x")
    numbers = [{"name": "share", "value": 0.25, "verdict": False}]
    data, metadata = reports.record(name, numbers, model=model)._repr_mimebundle_()
    cell.outputs = [small.nbformat.v4.new_output("display_data", data=data, metadata=metadata)]
    notebook = small.write(folder / f"07_{name}.ipynb", small.markdown("# Tea"), cell)
    write(folder / f"07_{name}.html", Study.read(notebook), {}, Study.read(notebook), "")
    notebook.unlink()
    image = '<figure>\n<img alt="a &amp; b" src="data:image/png;base64,QUJD">\n</figure>'
    (folder / f"07_{name}.html").write_text(how.get("page", image))


def cards(folder):
    """(id, address) of the cards of an index, in order."""
    page = Page(reports.index(folder).read_text())
    return [a["id"] for a in page.all("article")], [a["href"] for a in page.all("a")]


def test_a_study_on_another_model_stands_beside_it(tmp_path):
    """reports/ is of one model, reports/smollm2/ of another; reports/full/ is the first again."""
    for study in ("tea", "ale"):
        other_models(tmp_path, study, "glassbox")
        other_models(tmp_path / "smollm2", study, "smollm2")
    other_models(tmp_path / "full", "tea", "glassbox")
    assert cards(tmp_path)[0] == ["ale", "tea"]  # not before a sub-folder has its own index
    for sub in ("smollm2", "full"):
        assert len(cards(tmp_path / sub)[0]) == {"smollm2": 2, "full": 1}[sub]
    ids, links = cards(tmp_path)
    assert ids == ["ale", "ale-smollm2", "tea", "tea-smollm2"]
    expected = ["07_ale.html", "smollm2/07_ale.html", "07_tea.html", "smollm2/07_tea.html"]
    assert links == expected
    text = Page((tmp_path / "index.html").read_text()).text
    assert "glassbox Tea" in text and "smollm2 Tea" in text  # the model above the title
    (tmp_path / "smollm2" / "07_tea.html").unlink()  # a card that leads nowhere is no use
    (tmp_path / "smollm2" / "ale.json").write_text("{")
    assert cards(tmp_path)[0] == ["ale", "tea"]


def test_what_other_folders_hold_is_not_looked_at(tmp_path):
    other_models(tmp_path, "tea", "glassbox")
    other_models(tmp_path / "theirs", "tea", "smollm2")
    (tmp_path / "theirs" / "index.html").write_text("<html><head><title>mine</title></head></html>")
    assert cards(tmp_path)[0] == ["tea"]


def test_the_figure_of_a_card_is_the_pages_where_no_notebook_was_kept(tmp_path):
    other_models(tmp_path, "tea", "glassbox")
    page = Page(reports.index(tmp_path).read_text())
    assert page.all("img") == [{"src": "data:image/png;base64,QUJD", "alt": "a & b"}]
    harm = (
        '<figure><img alt="" src="data:image/png;base64,A&quot; src=&quot;https://x.org"></figure>'
    )
    other_models(tmp_path, "tea", "glassbox", page=harm)
    assert Page(reports.index(tmp_path).read_text()).all("img") == []


STOPS = (
    small.markdown("# Tea"),
    small.code(
        "import pandas as pd\nimport simkit as sk\nfrom simkit import audit, reports\n"
        'lm = sk.load(lambda prompt: {"yes": 0.2, "no": 0.1, "<b>So</b>": 0.7})\n'
        'import warnings\nwarnings.warn("a word")'
    ),
    small.PARAMETERS,
    small.code(
        'ask = sk.Question("Tea at ${price}?", ["yes", "no"])\n'
        'works = audit.measure(lm, {"takes tea": (ask, pd.DataFrame({"price": [1, 2]}))})\n'
        'reports.go_on(works, "tea")'
    ),
    small.markdown("## Findings"),
    small.code("print('this never runs')"),
)


def test_a_stopped_study_says_so_on_page_record_and_card(tmp_path):
    notebook = small.write(tmp_path / "notebooks" / "07_tea.ipynb", *STOPS)
    page = reports.run(notebook, out=tmp_path / "out")
    record = json.loads((tmp_path / "out" / "tea.json").read_text())
    assert (record["status"], record["error"]) == ("stopped", "")
    assert record["numbers"][0]["name"] == "Valid mass, takes tea"
    assert record["numbers"][0]["value"] == pytest.approx(0.3)
    read = Page(page.read_text())
    assert {"class": "stopped", "role": "note"} in read.all("div")
    assert "This study ends here. On mock the options" in read.text
    assert "<p>" not in read.text and "never runs" not in read.text
    assert "UserWarning: a word" in read.text and "ipykernel" not in read.text
    assert "Findings" not in read.text  # nor a heading of what was not run
    card = Page(reports.index(page.parent).read_text()).text
    assert "Ended: its question does not work on this model." in card
    assert "Valid mass, takes tea 0.3" in card and "This run failed" not in card


def test_what_the_run_changed_of_its_parameters_is_on_the_page(tmp_path):
    """A study that fits a budget, say: 12 prompts where 40 were asked for."""
    cells = (
        small.code("from simkit import reports"),
        small.code("n: int = 40  # prompts\nseed: int = 1  # of all", "parameters"),
        small.code(
            "n = 12\nreports.record('tea', [{'name': 'a', 'value': n}], parameters=globals())"
        ),
    )
    notebook = small.write(tmp_path / "notebooks" / "07_tea.ipynb", *cells)
    text = Page(reports.run(notebook, {"seed": 2}, out=tmp_path / "out").read_text()).text
    assert "Parameters seed = 2 Worked with n = 12 Run time" in text
    assert "n 12, given 40 prompts" in text and "seed 2 of all" in text
