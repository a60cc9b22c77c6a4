"""A notebook goes in; a page, a record and a card come out, whole and harmless."""

import json
import re
from html.parser import HTMLParser

import pytest
from papermill.exceptions import PapermillExecutionError

from simkit import reports
from simkit.reports.pages import duration, shown
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
    page = reports.run(notebook, {"seed": "3"}, model="7", out=folder / "out", progress=False)
    return page


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    notebook = small.write(folder / "notebooks" / "08_spilt.ipynb", *small.BAD)
    out = folder / "out"
    out.mkdir()
    (out / "spilt.json").write_text('{"numbers": ["of an earlier run"]}')
    with pytest.raises(PapermillExecutionError) as raised:
        reports.run(notebook, out=out, progress=False)
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
        "unit": "cups",
        "claim": "People <i>like</i> tea.",
        "verdict": "holds",
    }
    assert (record["numbers"][1]["value"], record["numbers"][1]["verdict"]) == (None, "undefined")
    provenance = record["provenance"]
    # text stays text for a parameter typed str, and becomes a number for one typed int
    expected = {"model": "7", "seed": 3, "share": 0.5, "grid": None, "cups": 12}
    assert provenance["parameters"] == expected
    assert (provenance["model"], provenance["seed"]) == ("7", 3)
    assert {"python", "numpy", "pandas", "torch"} <= set(provenance["versions"])


def test_the_environment_is_put_back(good, monkeypatch):
    import os

    assert "SIMKIT_REPORTS" not in os.environ
    assert "SIMKIT_STUDY" not in os.environ


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
        reports.run(notebook, out=tmp_path / "out", progress=False)
    assert "This run failed" in (tmp_path / "out" / "gone.html").read_text()
    assert json.loads((tmp_path / "out" / "gone.json").read_text())["status"] == "failed"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sede": 1}, "no parameter 'sede'; legal are model, seed, share, grid"),
        ({"seed": "one"}, "'seed' takes int, not 'one'"),
        ({"seed": True}, "'seed' takes int, not True"),
        ({"seed": 1.5}, "'seed' takes int, not 1.5"),
        ({"model": 7}, "'model' takes str, not 7"),
    ],
)
def test_bad_parameters_are_named_before_anything_runs(tmp_path, values, message):
    notebook = small.write(tmp_path / "07_tea.ipynb", *small.GOOD)
    with pytest.raises(ValueError, match=re.escape(message)):
        reports.run(notebook, values, out=tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_parameters_are_read_from_text_as_python_would(tmp_path):
    study = reports.find(small.write(tmp_path / "07_tea.ipynb", *small.GOOD))
    given = {"model": "7", "seed": "3", "share": "1", "grid": "[1, 2.5]"}
    taken = reports.legal(study, given)
    assert taken == {"model": "7", "seed": 3, "share": 1.0, "grid": [1, 2.5]}
    assert isinstance(taken["share"], float)
    assert reports.legal(study, {"grid": "null"}) == {"grid": None}
    assert study.parameters["model"].help == "a name = a model"
    assert study.parameters["grid"].type == "list[float] | None"


def test_studies_are_found_by_name_number_and_path(tmp_path, monkeypatch):
    small.write(tmp_path / "01_demand.ipynb", *small.GOOD)
    small.write(tmp_path / "02_belief.ipynb", *small.BAD)
    monkeypatch.setattr("simkit.resources.root", lambda name: tmp_path)
    assert [s.title for s in reports.studies()] == ["Tea & *toast*", "Spilt"]
    for name in ("02_belief", "belief", "02", tmp_path / "02_belief.ipynb"):
        study = reports.find(name)
        assert (study.number, study.name) == ("02", "belief")
    with pytest.raises(ValueError, match="no study 'taste'; there are 01_demand, 02_belief"):
        reports.find("taste")


def test_a_run_never_overwrites_its_own_notebook(tmp_path):
    notebook = small.write(tmp_path / "07_tea.ipynb", *small.GOOD)
    before = notebook.read_text()
    with pytest.raises(ValueError, match="own folder"):
        reports.run(notebook, out=tmp_path, progress=False)
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


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-1.23456, "−1.23"),  # three significant digits, a true minus sign
        (0.0123456, "0.0123"),
        (12345.6, "12346"),  # never coarser than a whole number
        (0.0, "0"),
        (None, "undefined"),
    ],
)
def test_numbers_as_shown(value, text):
    assert shown(value) == text


def test_durations_as_shown():
    assert [duration(s) for s in (None, 3.21, 45.6, 119.7)] == [
        "not timed",
        "3.2 s",
        "46 s",
        "2 min 0 s",
    ]
