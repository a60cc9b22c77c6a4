"""How a study asks: the parameters that choose it, what it measures, and where it ends."""

from __future__ import annotations

import json
import re

import nbformat
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simkit as sk
from simkit import audit, reports
from simkit.scoring.chat import instruction
from simkit.scoring.forms import respelled

ASK = sk.Question("Does the customer buy it?", ["yes", "no"])
SHOP = "A store sells ice cream. The price is ${price}."
DESIGN = pd.DataFrame({"context": [SHOP.format(price=p) for p in (1, 2, 3, 4)]})


@pytest.fixture(scope="module")
def smol():
    return sk.load("smollm2")


def test_a_real_model_answers_when_it_is_asked_in_its_chat(smol):
    works = audit.measure(audit.asked(smol), {"buys": (ASK, DESIGN)})
    found = works.to_frame().loc["buys"]
    assert found["valid mass"] >= 0.8
    assert found["written as believed"] > 0.7 and found["no option written"] < 0.3
    assert works.failing == [] and works.end == ""


def test_in_plain_text_it_does_not_and_the_end_says_what_would_help(smol):
    works = audit.measure(audit.asked(smol, chat="no"), {"buys": (ASK, DESIGN)}, written=False)
    assert works.failing == ["buys"] and works.mass["buys"] < 0.2
    assert "' Yes'" in works.end  # the spelling that holds the missing mass
    would, way = re.search(r"It would be (\S+) with (.+)\.$", works.end).groups()
    assert float(would) > 0.8 and way == "-p chat yes -p answer auto"


def test_capital_letters_count_where_the_chat_says_so(smol):
    asked = [sk.Chat(answer="auto", spellings=spelled) for spelled in (False, True)]
    one, both = (sk.believe(smol, ASK, DESIGN, chat=chat, least_mass=0) for chat in asked)
    wide = sk.Question(ASK.text, ASK.options, forms={"yes": ["Yes", "YES"], "no": ["No", "NO"]})
    by_hand = sk.believe(smol, wide, DESIGN, chat=asked[0], least_mass=0)
    assert both["logprob"].to_numpy() == pytest.approx(by_hand["logprob"].to_numpy(), abs=1e-5)
    assert (both["valid_mass"] > one["valid_mass"]).all()


def test_spellings_never_count_for_two():
    # "MAY" could be either, so it is neither's.
    assert respelled([(("may",), ("May",))])[0] == (("may",), ("May",))
    assert respelled([(("yes",), ("no",))])[0] == (("yes", "Yes", "YES"), ("no", "No", "NO"))


WORDS = st.text("abAB z.", min_size=1, max_size=4).filter(lambda text: text == text.strip())


@given(st.lists(WORDS, min_size=2, max_size=5, unique=True))
def test_spellings_are_the_options_own_and_no_one_elses(options):
    given_forms = tuple((option,) for option in options)
    (found,) = respelled([given_forms])
    every = [form for row in found for form in row]
    assert len(set(every)) == len(every)  # none counts twice
    for option, forms in zip(options, found, strict=True):
        assert forms[0] == option
        assert {form.casefold() for form in forms} == {option.casefold()}
        # An option that differs from all others by more than capitals has all its spellings.
        if [other.casefold() for other in options].count(option.casefold()) == 1:
            assert {option.upper(), option.lower(), option.capitalize()} <= set(forms)
    assert respelled([found]) == [found]  # nothing is left to add


@given(
    st.lists(WORDS, min_size=2, max_size=12, unique=True),
    st.sampled_from(["auto", "Say {options}.", "{options}", "Be brief.", "{other} {options}"]),
)
def test_an_instruction_says_every_option_once(options, answer):
    said = instruction(answer, options)
    either = f"{', '.join(options[:-1])} or {options[-1]}"
    if answer == "Be brief.":
        assert said == answer
    elif answer == "auto":
        assert said.startswith("Answer with one ") and said.endswith(f": {either}.")
    else:
        assert said == answer.replace("{options}", either)


@given(st.lists(st.integers(-50, 150), min_size=2, max_size=30, unique=True))
def test_an_instruction_for_numbers_names_their_ends(numbers):
    said = instruction("auto", [str(number) for number in numbers])
    if len(numbers) > 7:
        assert said == f"Answer with one number from {min(numbers)} to {max(numbers)}."
    else:
        assert said.startswith("Answer with one number: ")
        assert all(str(number) in said for number in numbers)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["yes", "no"], "Answer with one word: yes or no."),
        (["A", "B", "C"], "Answer with one letter: A, B or C."),
        (["1", "2", "3"], "Answer with one number: 1, 2 or 3."),
        ([str(v) for v in range(0, 101, 10)], "Answer with one number from 0 to 100."),
        (["very hot", "cold"], "Answer with one of these: very hot or cold."),
    ],
)
def test_the_instruction_names_the_options(options, said):
    assert instruction("auto", options) == said


def test_the_instruction_follows_each_rows_own_options(smol):
    per_row = sk.Question("Which?", ["{a}", "{b}"])
    rows = pd.DataFrame({"a": ["tea", "milk"], "b": ["coffee", "juice"]})
    chat = sk.Chat(system="You are {a}.", answer="auto")
    tables = [sk.believe(smol, per_row, rows.iloc[[i]], chat=chat, least_mass=0) for i in (0, 1)]
    both = sk.believe(smol, per_row, rows, chat=chat, least_mass=0)
    for i, text in enumerate(("tea or coffee", "milk or juice")):
        system = f"You are {rows['a'][i]}. Answer with one word: {text}."
        alone = sk.believe(
            smol, per_row, rows.iloc[[i]], chat=sk.Chat(system=system), least_mass=0
        )["logprob"].to_numpy()
        assert both.query("prompt_id == @i")["logprob"].to_numpy() == pytest.approx(alone, abs=1e-4)
        assert tables[i]["logprob"].to_numpy() == pytest.approx(alone, abs=1e-4)


def test_a_models_own_chat_holds_where_a_call_does_not_say(smol):
    chat = sk.Chat(answer="auto")
    own = sk.with_chat(smol, chat)
    said = sk.believe(smol, ASK, DESIGN, chat=chat, least_mass=0)["logprob"]
    assert (sk.believe(own, ASK, DESIGN, least_mass=0)["logprob"] == said).all()
    assert (sk.believe(own, ASK, DESIGN, chat=True, least_mass=0)["logprob"] == said).all()
    plain = sk.believe(smol, ASK, DESIGN, least_mass=0)["logprob"]
    assert (sk.believe(own, ASK, DESIGN, chat=False, least_mass=0)["logprob"] == plain).all()
    assert getattr(smol, "chat", None) is None  # a copy was made


def test_what_a_model_without_a_template_cannot_be_told():
    lm = sk.load("glassbox")
    assert audit.asked(lm).chat is None
    with pytest.raises(ValueError, match="no chat template"):
        audit.measure(audit.asked(lm, chat="yes"), {"buys": (ASK, DESIGN)})
    with pytest.raises(ValueError, match="asked in plain text"):
        audit.asked(lm, system="You are a shopper.")
    with pytest.raises(ValueError, match="no chat 'maybe'"):
        audit.asked(lm, chat="maybe")


def notebook(folder, cells):
    tagged = nbformat.v4.new_code_cell("model: str = 'x'", metadata={"tags": ["parameters"]})
    cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    title = nbformat.v4.new_markdown_cell("# A study")
    path = folder / "study.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[title, tagged, *cells]), path)
    return path


def test_a_study_ends_where_its_question_does_not_work(tmp_path):
    cells = [
        "import pandas as pd, simkit as sk\nfrom simkit import audit, reports\n"
        "lm = audit.asked(sk.load(lambda prompt: {'yes': 0.03, 'no': 0.02}, name='mute'))\n"
        "works = audit.measure(lm, {'buys': (sk.Question('Buy?', ['yes', 'no']),"
        " pd.DataFrame({'person': [1]}))})",
        "reports.go_on(works, 'study')",
        "print('never shown')",
    ]
    page = reports.run(notebook(tmp_path, cells), out=tmp_path / "out")
    text = page.read_text()
    assert "This study ends here." in text and "hold 0.05 of the probability" in text
    head = text[: text.index("All 1 parameters")]
    assert "This study ends here." in head
    assert "never shown" not in text and "SystemExit" not in text
    found = json.loads((tmp_path / "out" / "study.json").read_text())
    assert found["status"] == "stopped" and found["provenance"]["model"] == "mute"
    mass = found["numbers"][0]
    assert mass["name"] == "Valid mass, buys" and mass["value"] == pytest.approx(0.05)
    assert mass["verdict"] == "does not hold"


def test_a_study_whose_question_works_goes_on(tmp_path):
    works = audit.measure(
        sk.load(lambda prompt: {"yes": 0.6, "no": 0.3}),
        {"buys": (ASK, DESIGN), "other": (sk.Question("?", ["left", "right"]), DESIGN)},
    )
    assert works.failing == ["other"]  # not the main question
    assert reports.go_on(works, "study") is None


def test_what_a_time_affords_is_by_measured_speed():
    slow = sk.load(lambda prompt: {"yes": 0.6, "no": 0.3})
    few, many = (audit.affordable(slow, ASK, DESIGN, minutes) for minutes in (0.001, 1))
    assert 1 <= few < many
    with pytest.raises(ValueError, match="minutes"):
        audit.affordable(slow, ASK, DESIGN, -1)


def test_a_blank_to_fill_in_stands_in_the_models_own_turn(smol):
    # "Answer: $" is where the model's turn begins; the user's has no part of it.
    blank = "{context}\nQuestion: {question}\nAnswer: $"
    ask = sk.Question("What does it cost?", ["1.", "2."], template=blank, separator="")
    chat = sk.Chat(answer="auto")
    table = sk.believe(smol, ask, DESIGN[:1], chat=chat, least_mass=0)
    system, user = "Answer with one number: 1 or 2.", f"{SHOP.format(price=1)}\nQuestion: "
    by_hand = smol.tokenizer.apply_chat_template(
        [
            {"role": "system", "content": system},
            {"role": "user", "content": user + "What does it cost?"},
        ],
        add_generation_prompt=True,
        tokenize=False,
    )
    expected = sk.score(smol, [by_hand + "Answer: $"], ["1.", "2."])[0]
    assert table["logprob"].to_numpy() == pytest.approx(expected, abs=1e-4)
    worded = sk.Question("What?", ["yes", "no"], template="{question}\nAnswer: yes or no?")
    asked = sk.chat_prompts(smol, worded.prompts(DESIGN[:1], warn=False), sk.Chat())
    assert "Answer: yes or no?" in asked[0]  # words behind it are the question's


def test_what_would_help_is_looked_for_once(monkeypatch):
    looked = []
    monkeypatch.setattr("simkit.audit.asking._remedy", lambda works: looked.append(1) or "Ask.")
    lm = sk.load(lambda prompt: {"yes": 0.02, "no": 0.01})
    works = audit.measure(lm, {"buys": (ASK, DESIGN)}, written=False)
    with pytest.raises(SystemExit):
        reports.go_on(works, "study")
    assert works.end.endswith("Ask.") and looked == [1]
