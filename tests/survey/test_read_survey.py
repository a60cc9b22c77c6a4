"""Survey files with every trap that a researcher meets: read right, or refused by column and row.

The files are made here, by pyreadstat or by hand.
"""

from __future__ import annotations

import datetime
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit.survey import SurveyItem
from simkit.survey.files import RawSet
from simkit.survey.sets import as_ticks

pyreadstat = pytest.importorskip("pyreadstat")

TRUST = {1: "not at all", 2: "a little", 3: "mostly", 4: "fully"}


def sav(folder: Path, frame: pd.DataFrame, **how: Any) -> Path:
    path = folder / "survey.sav"
    pyreadstat.write_sav(frame, str(path), **how)
    return path


def written(folder: Path, text: str | bytes, name: str = "survey.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_sav_file_with_all_that_it_declares(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "q.sex": [1.0, 2, 2, 9, np.nan],
            "trust": [4.0, 8, 1, 99, 2],
            "age": [34.0, 51, 28, 77.5, 40],
            "w": [0.5, 1.5, 1, 2, 0],
            "note": ["", "ähnlich", "x", "y", "z"],
        }
    )
    path = sav(
        tmp_path,
        frame,
        file_label="A survey",
        column_labels=["Sex of respondent", "T" * 200, "Age", "Weight", ""],
        variable_value_labels={
            "q.sex": {1: "male", 2: "female", 9: "not  stated"},
            "trust": {**TRUST, 8: "don't know"},
        },
        missing_ranges={"q.sex": [9], "trust": [{"lo": 8, "hi": 99}]},
        variable_measure={"q.sex": "nominal", "trust": "ordinal", "age": "scale"},
    )
    survey = sk.read_survey(path, weights="w")
    assert survey.name == "A survey"
    assert (
        survey.people["q.sex"].tolist()[:3] == [1, 2, 2]
        and survey.people["q.sex"].isna().sum() == 2
    )
    assert survey.people["trust"].tolist()[::2] == [4, 1, 2]
    # user-missing values have a reason, the system's empty cell has none
    assert survey.missing.to_dict("list") == {
        "column": ["q.sex", "trust", "trust"],
        "row": [3, 1, 3],
        "code": [9, 8, 99],
        "reason": ["not stated", "don't know", "declared missing"],
    }
    assert survey.items["q.sex"] == SurveyItem(
        "Sex of respondent", {1: "male", 2: "female"}, "nominal", {9: "not stated"}
    )
    assert survey.items["trust"].scale == "ordinal" and survey.items["trust"].text == "T" * 200
    assert survey.items["age"].scale == "numeric" and survey.weights == "w"
    assert survey.people["note"].tolist() == [None, "ähnlich", "x", "y", "z"]
    assert any("1 of 5 people weigh 0, row 4" in note for note in survey.notes)
    book = survey.codebook()
    assert book.loc["trust", "reasons"] == "8 don't know: 1; 99 declared missing: 1"
    assert book.loc["q.sex", ["answered", "missing"]].tolist() == [3, 2]
    kept = sk.read_survey(path, keep={"trust": [8]})  # declared, and an answer after all
    assert kept.people["trust"].tolist()[1] == 8 and kept.items["trust"].labels[8] == "don't know"


def test_undeclared_codes_are_asked_about_all_at_once(tmp_path: Path) -> None:
    n = 40
    frame = pd.DataFrame(
        {
            "age": [*range(20, 59), 99],
            "income": [1_000.0, -2147483648] * (n // 2),
            "vote": [1.0, 2, 8, 1] * (n // 4),
            "hours": [0.0, 3, 7, -1] * (n // 4),
            "children": [0.0, 1, 2, 9] * (n // 4),
            "points": np.arange(n) * 100 / (n - 1) // 1,  # 0 to 100: 97 and 100 are among them
            "years": [77.0, 88, 120, 18] * (n // 4),
        }
    ).astype(float)
    path = sav(
        tmp_path, frame,
        variable_value_labels={"vote": {1: "A", 2: "B", 8: "Don't know"},
                               "income": {-2147483648: "NA"}},
    )  # fmt: skip
    with pytest.raises(ValueError, match="must be settled") as found:
        sk.read_survey(path)
    lines = str(found.value).splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:-1]] == [
        "age", "income", "vote", "hours", "children"
    ]  # fmt: skip
    assert "99 (1 people, row 39)" in lines[1]
    assert "-2147483648 'NA' (20 people, rows 1, 3, 5, 7, 9, …)" in lines[2]
    assert '8 "Don\'t know" (10 people' in lines[3] and "-1 (10 people" in lines[4]
    settled = sk.read_survey(
        path,
        missing={"*": {-1: "refused"}, "age": [99], "income": [-2147483648], "vote": [8]},
        keep={"children": [9]},
    )
    assert settled.people["hours"].isna().sum() == 10 and settled.people["children"].max() == 9
    reasons = settled.missing.groupby("column")["reason"].first()
    assert reasons["hours"] == "refused" and reasons["vote"] == "Don't know"
    assert sk.read_survey(path, keep=list(frame)).people["income"].min() == -2147483648
    but = sk.read_survey(
        path, missing={"*": [-1, 8, 99, -2147483648]}, keep={"age": [99], "children": [9]}
    )
    assert but.people["age"].max() == 99 and but.people["vote"].isna().sum() == 10
    with pytest.raises(ValueError, match="in missing= and in keep="):
        sk.read_survey(path, missing={"age": [99]}, keep={"age": [99]})
    with pytest.raises(ValueError, match="no column of missing= 'ages'"):
        sk.read_survey(path, missing={"ages": [99]})


@pytest.mark.parametrize(
    ("values", "asked"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], []),  # a scale of nine
        ([1, 2, 3, 4, 5, 8, 9], [8, 9]),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], []),
        ([18, 60, 95, 99, 999], [99, 999]),
        ([*range(18, 100)], []),  # 97, 98, 99 follow on 96
        ([-2, -1, 0, 1, 2], [-2, -1]),  # not labelled: who knows
        ([-0.53, -1.0, 0.2], []),  # z scores
        ([77, 88, 300], []),
        ([99, 99], [99]),
    ],
)
def test_which_codes_stand_apart(tmp_path: Path, values: list[float], asked: list[int]) -> None:
    path = written(tmp_path, "x\n" + "\n".join(map(str, values)))
    if not asked:
        assert sk.read_survey(path).people["x"].tolist() == values
        return
    with pytest.raises(ValueError, match="must be settled") as found:
        sk.read_survey(path)
    assert [int(line.split()[1]) for line in str(found.value).splitlines()[1:-1]] == asked


def test_stata_letters_keep_their_reason(tmp_path: Path) -> None:
    frame = pd.DataFrame({"vote": [1, 2, "a", "b", 1], "Name": ["a", "b", "a", "c", "a"]})
    path = tmp_path / "survey.dta"
    pyreadstat.write_dta(
        frame, str(path), missing_user_values={"vote": ["a", "b"]},
        variable_value_labels={"vote": {1: "left", 2: "right", "a": "refused"}},
    )  # fmt: skip
    survey = sk.read_survey(path)
    assert survey.people["vote"].tolist()[:2] == [1, 2]
    assert survey.missing[["row", "code", "reason"]].values.tolist() == [
        [2, ".a", "refused"], [3, ".b", "declared missing"]
    ]  # fmt: skip
    assert survey.items["vote"].labels == {1: "left", 2: "right"}
    assert survey.people["Name"].tolist() == ["a", "b", "a", "c", "a"]  # text stays text


def test_a_sas_transport_file_says_what_it_loses(tmp_path: Path) -> None:
    path = tmp_path / "survey.xpt"
    pyreadstat.write_xport(pd.DataFrame({"x": [1.0, np.nan, 2]}), str(path), column_labels=["X?"])
    survey = sk.read_survey(path)
    assert survey.items["x"].text == "X?" and survey.people["x"].isna().tolist() == [0, 1, 0]
    assert "without their letters" in survey.notes[0]


def test_values_outside_their_labels(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"sex": [1.0, 2, 3, 1], "trust": [1.0, 2.5, 4, 0], "ends": [0.0, 5, 10, 3]}
    )
    labels = {"sex": {1: "male", 2: "female"}, "trust": TRUST, "ends": {0: "none", 10: "full"}}
    path = sav(tmp_path, frame, variable_value_labels=labels)
    with pytest.raises(ValueError, match="3 codes must be settled") as found:
        sk.read_survey(path)
    text = str(found.value)
    assert "sex: 3 (1 people, row 2): outside its labels (male, female)" in text
    assert "trust: 2.5 (1 people, row 1)" in text and "trust: 0 (1 people, row 3)" in text
    survey = sk.read_survey(path, missing={"trust": [2.5, 0]}, keep={"sex": [3]})
    assert survey.items["sex"].labels[3] == "3"
    assert survey.items["ends"].scale == "ordinal"  # labels of its ends only
    asked = survey.question("ends")
    assert asked.text == "ends (0 = none, 10 = full)" and asked.values == tuple(range(11))


def test_labels_that_are_shifted_doubled_or_turned_round_are_noted(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [0.0, 1, 2, 3], "c": [4.0, 3, 2, 1],
                          "d": [1.0, 2, 3, 1]})  # fmt: skip
    texts = [*TRUST.values()]
    labels = {
        "a": TRUST,
        "b": dict(enumerate(texts)),
        "c": {5 - code: text for code, text in TRUST.items()},
        "d": {1: "yes", 2: "no", 3: "yes"},
    }
    labels["c"] = dict(zip([1, 2, 3, 4], texts[::-1], strict=True))
    notes = " | ".join(sk.read_survey(sav(tmp_path, frame, variable_value_labels=labels)).notes)
    assert "a and b have the same labels for other codes (1, 2, 3, … and 0, 1, 2, …)" in notes
    assert "a and c have the same labels in opposite orders" in notes
    assert "d: the codes 1, 3 are called alike, 'yes'" in notes
    survey = sk.read_survey(sav(tmp_path, frame, variable_value_labels=labels))
    with pytest.raises(ValueError, match=r"item 'd': .*'yes' stands twice"):
        survey.question("d")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("1,-0.5,2", r"weights, column 'w': row 1 have a negative one"),
        ("1,,2", r"weights, column 'w': row 1 have none"),
        ("0,0,0", "all are 0"),
        ("1,x,2", "column 'w' holds numbers and text: row 1 hold 'x'"),
    ],
)
def test_weights_that_none_can_be(tmp_path: Path, weights: str, message: str) -> None:
    rows = "\n".join(f"{w},1" for w in weights.split(","))
    with pytest.raises(ValueError, match=message):
        sk.read_survey(written(tmp_path, f"w,x\n{rows}\n"), weights="w")


def test_strata_and_clusters_may_be_99_and_must_be_there(tmp_path: Path) -> None:
    survey = sk.read_survey(
        written(tmp_path, "psu,stratum,x\n1,99,3\n99,1,4\n"), clusters="psu", strata="stratum"
    )
    assert (survey.clusters, survey.strata) == ("psu", "stratum")
    every = sk.read_survey(tmp_path / "survey.csv", clusters="psu", missing={"*": [99]})
    assert every.people["psu"].tolist() == [1, 99] and every.people["stratum"].isna().sum() == 1
    with pytest.raises(ValueError, match="clusters, column 'psu': row 1 have none"):
        sk.read_survey(written(tmp_path, "psu,x\n1,3\n,4\n"), clusters="psu")
    noted = sk.read_survey(written(tmp_path, "pspwght,x\n0.5,3\n1.5,4\n")).notes
    assert "may be a survey weight: weights='pspwght'" in noted[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "survey.csv is empty"),
        ("\n\n", "holds no line"),
        ("a,b\n", "a header and no respondents"),
        ("a,a\n1,2\n", "columns 'a' and 'a' are the same"),
        ("Age,age \n1,2\n", "columns 'Age' and 'age' are the same but for case"),
        ("q5.1,q5_1\n1,2\n", "'q5.1' and 'q5_1'"),
        ("a,\n1,2\n", "column 1 has no name"),
        ("a,b\n1,2\n3\n", "row 1: 1 fields, where the header has 2"),
        ('a,b\n1,"2\n', "cut off or malformed"),
        ("a,b\n1,x\n2,7\n3,8\n", "column 'b' holds numbers and text: row 0 hold 'x'"),
        (b"name,town\nA,Berlin\nB,K\xf6ln\n", "line 3, column 'town': text that is not UTF-8"),
        ("a\n1\nNA\n3\n", "'NA' \\(1 people, row 1\\): it says that there is no answer"),
        ("a\nx\ny\nn/a\nx\ny\nx\n", "'n/a'"),
    ],
)
def test_csv_files_that_are_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sk.read_survey(written(tmp_path, text))


def test_csv_files_that_are_read(tmp_path: Path) -> None:
    european = sk.read_survey(written(tmp_path, "\ufeffzip;kg\n01234;3,5\n99999;4\n".encode()))
    assert european.people["zip"].tolist() == ["01234", "99999"]  # a code, not a number
    assert european.people["kg"].tolist() == [3.5, 4.0]
    latin = written(tmp_path, "town\nKöln\nKöln\n".encode("latin-1"))
    assert sk.read_survey(latin, encoding="latin-1").people["town"].tolist() == ["Köln"] * 2
    na = sk.read_survey(written(tmp_path, "a\n1\nNA\n3\n"), missing={"*": {"NA": "not asked"}})
    assert na.people["a"].tolist()[::2] == [1, 3] and na.missing["reason"].tolist() == ["not asked"]
    empty = sk.read_survey(written(tmp_path, "a,b\n1,\n2,\n"))
    assert "b: all 2 answers are missing" in empty.notes
    some = sk.read_survey(written(tmp_path, "a,A\n1,2\n"), columns=["A"])
    assert list(some.people) == ["A"]
    with pytest.raises(ValueError, match="no column 'z' in the file; there are: a, A"):
        sk.read_survey(written(tmp_path, "a,A\n1,2\n"), columns=["z"])


def test_files_that_are_cut_off_or_of_another_kind(tmp_path: Path) -> None:
    whole = sav(tmp_path, pd.DataFrame({"a": [1.0, 2, 3] * 60})).read_bytes()
    for name, data in (("short.sav", whole[:-40]), ("head.sav", whole[:90]), ("csv.sav", b"a\n1"),
                       ("other.parquet", b"PAR1")):  # fmt: skip
        with pytest.raises(ValueError, match=f"{name} cannot be read .* cut off"):
            sk.read_survey(written(tmp_path, data, name))
    with pytest.raises(ValueError, match=r"'\.xlsx'; there are: .sav"):
        sk.read_survey(tmp_path / "survey.xlsx")
    with pytest.raises(ValueError, match="there is no such file"):
        sk.read_survey(tmp_path / "none.sav")
    with pytest.raises(ValueError, match="no respondents"):
        sk.read_survey(sav(tmp_path, pd.DataFrame({"a": pd.Series([], dtype=float)})))


def test_text_that_a_sav_file_would_lose(tmp_path: Path) -> None:
    """pyreadstat gives "" for bytes that are not of the declared encoding, without a word."""
    frame = pd.DataFrame({"a": [1.0, 2], "town": ["Bonn", "Köln"], "end": ["Oslo", "Malmö"]})
    for at, bad, name in (("Köln", b"K\xf6ln ", "town"), ("Malmö", b"Malm\xf6 ", "end")):
        path = sav(tmp_path, frame)
        path.write_bytes(path.read_bytes().replace(at.encode(), bad))
        with pytest.raises(ValueError, match=f"column '{name}': row 1 hold text that is not in"):
            sk.read_survey(path)
        people = sk.read_survey(path, encoding="windows-1252").people
        assert people[name].tolist()[1] == at


def test_dates_and_open_text_are_not_asked(tmp_path: Path) -> None:
    day = datetime.date(2020, 1, 31)
    frame = pd.DataFrame({"day": [day, None], "said": ["I think so", "no, never"]})
    survey = sk.read_survey(sav(tmp_path, frame))
    assert survey.people["day"].iloc[0] == day
    assert {name: item.scale for name, item in survey.items.items()}["day"] == "other"
    with pytest.raises(ValueError, match="item 'day': its scale is 'other'"):
        survey.question("day")


def multiple_response(path: Path, line: bytes) -> None:
    """Declare a set in a .sav file: record 7, subtype 7, before the dictionary's end (999)."""
    data, end = path.read_bytes(), struct.pack("<ii", 999, 0)
    assert data.count(end) == 1
    record = struct.pack("<iiii", 7, 7, 1, len(line)) + line
    path.write_bytes(data.replace(end, record + end))


def test_check_all_that_apply(tmp_path: Path) -> None:
    frame = pd.DataFrame({"q1": [1.0, 1, np.nan, np.nan], "q2": [np.nan, 1, np.nan, 1],
                          "n1": [1.0, 2, 2, np.nan], "n2": [2.0, 1, 2, np.nan]})  # fmt: skip
    labels = ["Which media? TV", "Which media? Radio", "A", "B"]
    path = sav(tmp_path, frame, column_labels=labels)
    survey = sk.read_survey(path, sets={"media": ["q1", "q2"], "news": ["n1", "n2"]})
    assert survey.items["media"] == SurveyItem(
        "Which media?", {"q1": "TV", "q2": "Radio"}, "multi-select"
    )
    # ticks only: who ticked nothing cannot be told from who was not asked
    assert survey.people["media: TV"].tolist()[:2] == [1, 1]
    assert survey.people["media: Radio"].tolist()[:2] == [0, 1]
    assert survey.people["media: TV"].isna().tolist() == [False, False, True, False]
    assert "media: 1 people ticked nothing, or were not asked" in survey.notes[0]
    # 1 and 2: the third person ticked nothing, the fourth was not asked
    assert survey.people["news: A"].tolist()[:3] == [1, 0, 0]
    assert survey.people["news: A"].isna().tolist() == [False] * 3 + [True]
    assert survey.codebook().loc["news", ["answered", "missing"]].tolist() == [3, 1]
    told = survey.personas(["media", "news"])["context"].tolist()
    assert told[:2] == ["Which media? TV. news: A.", "Which media? TV, Radio. news: B."]
    assert told[2:] == ["news: none of these.", "Which media? Radio."]
    multiple_response(path, b"$media=D1 1 5 Media q1 q2\n")
    declared = sk.read_survey(path)
    assert declared.items["media"].text == "Media" and "media: Radio" in declared.people
    bad = written(tmp_path, "q1,q2\n1,0\n0,1\n3,0\n")
    with pytest.raises(ValueError, match=r"column 'q1' of a check-all-.*: row 2 hold 3"):
        sk.read_survey(bad, sets={"media": ["q1", "q2"]})
    with pytest.raises(ValueError, match="has 1 column; it must have two"):
        sk.read_survey(bad, sets={"media": ["q1"]})


def test_mentions_by_code(tmp_path: Path) -> None:
    frame = pd.DataFrame({"m1": [1.0, 3, np.nan], "m2": [2.0, np.nan, np.nan]})
    labels = {name: {1: "TV", 2: "radio", 3: "web"} for name in frame}
    path = sav(tmp_path, frame, variable_value_labels=labels)
    multiple_response(path, b"$m=C 8 Mentions m1 m2\n")
    people = sk.read_survey(path).people
    assert people[["m: TV", "m: radio", "m: web"]].iloc[:2].values.tolist() == [
        [1, 1, 0],
        [0, 0, 1],
    ]
    assert people.iloc[2].isna().all()


def test_a_code_book_beside_a_csv(tmp_path: Path) -> None:
    path = written(tmp_path, "trust,age\n1,40\n4,31\n9,22\n")
    book = {"trust": {"text": "Trust?", "labels": TRUST, "scale": "ordinal",
                      "missing": {9: "refused"}}}  # fmt: skip
    survey = sk.read_survey(path, book=book)
    rows = [f"trust,Trust?,ordinal,{code},{text}," for code, text in TRUST.items()]
    rows = ["item,text,scale,code,label,missing", *rows, "trust,,,9,,refused"]
    table = written(tmp_path, "\n".join(rows), "book.csv")
    again = sk.read_survey(path, book=table)
    assert survey.items == again.items and survey.people.equals(again.people)
    assert survey.items["trust"] == SurveyItem("Trust?", TRUST, "ordinal", {9: "refused"})
    assert sk.read_survey(path, book={"trust": survey.items["trust"]}).items == survey.items
    for bad, message in (
        ({"trsut": {}}, "no column of book= 'trsut'"),
        ({"trust": {"lables": {}}}, "no field of 'trust' in the book 'lables'"),
        ({"trust": {"scale": "likert"}}, "no scale 'likert'"),
    ):
        with pytest.raises(ValueError, match=message):
            sk.read_survey(path, book=bad)


def test_parquet_with_categories_and_nullable_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "party": pd.Categorical(["left", None, "right"]),
            "grade": pd.Categorical(["low", "high", "low"], ["low", "high"], ordered=True),
            "count": pd.array([1, None, 3], dtype="Int64"),
            "yes": pd.array([True, None, False], dtype="boolean"),
        }
    )
    path = tmp_path / "survey.parquet"
    frame.to_parquet(path)
    survey = sk.read_survey(path)
    assert survey.items["party"].labels == {1: "left", 2: "right"}
    assert survey.items["grade"].scale == "ordinal" and survey.people["grade"].tolist() == [1, 2, 1]
    assert survey.people["count"].tolist()[::2] == [1, 3]
    assert survey.items["yes"].labels == {0: "no", 1: "yes"}
    pd.DataFrame({"x": [[1], [2]]}).to_parquet(path)
    with pytest.raises(ValueError, match="column 'x': row 0 holds a "):
        sk.read_survey(path)


def test_without_pyreadstat_the_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sav(tmp_path, pd.DataFrame({"a": [1.0]}))
    monkeypatch.setitem(sys.modules, "pyreadstat", None)
    with pytest.raises(ImportError, match=r"pip install 'simkit\[survey\]'"):
        sk.read_survey(path)


def test_codes_of_a_json_book_and_of_arguments_may_be_text(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1,01\n2,02\n9,01\n3,02\n")
    book = written(tmp_path, '{"a": {"labels": {"1": "no", "2": "yes"}}}', "book.json")
    survey = sk.read_survey(path, book=book, missing={"a": ["9", "3"], "b": ["02"]})
    assert survey.items["a"].labels == {1: "no", 2: "yes"}
    assert survey.missing[["column", "row", "code"]].values.tolist() == [
        ["a", 2, 9], ["a", 3, 3], ["b", 1, "02"], ["b", 3, "02"],
    ]  # fmt: skip


def test_where_1_is_no_2_is_the_tick(tmp_path: Path) -> None:
    path = written(tmp_path, "q1,q2,r1,r2\n1,2,no,Not sure\n2,2,no,\n2,1,no,Not sure\n")
    labels = {"labels": {1: "no", 2: "yes"}}
    sets = {"q": ["q1", "q2"], "r": ["r1", "r2"]}
    people = sk.read_survey(path, book={"q1": labels, "q2": labels}, sets=sets).people
    assert people[["q: q1", "q: q2"]].values.tolist() == [[0, 1], [1, 1], [1, 0]]
    assert people["r: r1"].tolist() == [0, 0, 0]  # all said no
    assert people["r: r2"].dropna().tolist() == [1, 1]  # the text of the option


@pytest.mark.parametrize(
    ("codes", "labels", "message"),
    [
        ([1, 2, 7], {1: "a", 2: "b"}, "column 'm1' .*: row 2 hold 7, which no label explains"),
        ([1, 2, 2], {1: "a", 2: "a"}, "'m': the codes 1, 2 are called alike, 'a'"),
    ],
)
def test_mentions_without_a_text_of_their_own(
    codes: list[int], labels: dict[int, str], message: str
) -> None:
    frame = pd.DataFrame({"m1": codes, "m2": [1, 1, 1]})
    items = dict.fromkeys(frame, SurveyItem("M", labels))
    with pytest.raises(ValueError, match=message):
        as_ticks("m", RawSet(["m1", "m2"], None), frame, items)


def test_csv_files_as_spreadsheets_write_them(tmp_path: Path) -> None:
    path = written(tmp_path, '\ufeffsep=;\r\n"Car, boat, or bike?";w\r\n1;"0,5"\r\n2;2\r\n')
    people = sk.read_survey(path).people
    assert people.columns.tolist() == ["Car, boat, or bike?", "w"]
    assert people["w"].tolist() == [0.5, 2]
    # 1.200 may be 1200 and may be 1.2
    path = written(tmp_path, "a;b\n1.200;1\n3,5;2\n")
    with pytest.raises(ValueError, match="column 'a' has decimal commas and points: rows 1, 0"):
        sk.read_survey(path)
    with pytest.raises(ValueError, match='encoding="utf-16"'):
        sk.read_survey(written(tmp_path, "a,b\n1,2\n".encode("utf-16")))


def test_long_numbers_are_names(tmp_path: Path) -> None:
    # as floats both would be 12345678901234567168, and one cluster
    path = written(tmp_path, "id,a\n12345678901234567890,1\n12345678901234567891,2\n")
    assert sk.read_survey(path, clusters="id").people["id"].nunique() == 2


def test_people_who_stand_twice_are_noted(tmp_path: Path) -> None:
    path = written(tmp_path, "id,a\n7,1\n8,2\n7,1\n9,1\n5,2\n")
    (note,) = sk.read_survey(path).notes
    assert note.startswith("id: 2 rows share it with another, rows 0, 2")


def test_whole_columns_that_are_kept_can_be_asked(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b,d\n1,1,2020-01-01\n2,2,2020-01-01\n99,1.5,2020-01-01\n")
    book = {"a": {"labels": {1: "x", 2: "y"}},
            "b": {"labels": {1: "x", 2: "y"}, "scale": "ordinal"}}  # fmt: skip
    survey = sk.read_survey(path, book=book, keep=["a", "b"])
    assert survey.question("a").options == ("x", "y", "99")
    assert survey.asking(["b"], ["a"]).people["b"].tolist() == ["1", "2", "1.5"]


def test_dates_of_a_data_frame_are_not_asked(tmp_path: Path) -> None:
    path = tmp_path / "dates.parquet"
    pd.DataFrame({"d": pd.to_datetime(["2020-01-01", "2021-01-01"])}).to_parquet(path)
    assert sk.read_survey(path).items["d"].scale == "other"


def test_an_export_of_qualtrics_has_three_headers(tmp_path: Path) -> None:
    text = 'Q1,Q2\n"Do you\nsmoke?",Age\n"{""ImportId"":""QID1""}","{""ImportId"":""QID2""}"\n'
    survey = sk.read_survey(written(tmp_path, text + "Yes,34\nNo,28\nNo,51\nYes,40\n"))
    assert survey.people.values.tolist() == [["Yes", 34], ["No", 28], ["No", 51], ["Yes", 40]]
    assert survey.items["Q1"].text == "Do you smoke?" and survey.items["Q1"].scale == "nominal"
    assert "two lines below its header are no respondents" in survey.notes[0]


def test_texts_that_differ_by_case_are_noted(tmp_path: Path) -> None:
    (note,) = sk.read_survey(written(tmp_path, "a,b\n" + "Yes,1\nyes,2\nNo,1\nNo,3\n" * 3)).notes
    assert note.startswith("a: the codes 'Yes', 'yes' are called alike")


def test_weights_are_read_beside_the_columns(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b,w\n1,2,0.5\n2,2,1\n")
    assert list(sk.read_survey(path, columns=["a"], weights="w").people) == ["a", "w"]


def test_codes_that_begin_with_0_have_their_labels(tmp_path: Path) -> None:
    book = written(tmp_path, "item,code,label\na,00,none\na,01,one\nb,1,yes\nb,2,no\n", "book.csv")
    survey = sk.read_survey(written(tmp_path, "a,b\n00,1\n01,2\n00,2\n01,1\n"), book=book)
    assert survey.question("a").options == ("none", "one")
    assert survey.items["b"].labels == {1: "yes", 2: "no"}
