"""Pivots in known and in random texts, and the belief read there against scoring by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from simkit.scoring import LocalModel, MockModel, score
from simkit.scoring.pivot.find import (
    RULES,
    STATUSES,
    Pivot,
    count_pivots,
    find_pivots,
    pivot_frame,
)
from simkit.scoring.pivot.mentions import surface_forms
from simkit.scoring.pivot.read import belief_at_pivot
from simkit.scoring.types import BoundaryError, Scores
from tests.scoring.conftest import make_network, make_tokenizer

BRANDS = ["Pampers", "Huggies"]
ANCHOR = "I would choose"


def find_pivot(text: str, names: Any, **how: Any) -> Pivot:
    """The pivot of one text."""
    frame = find_pivots([text], names, **how)
    fields = {name: None if pd.isna(v) else v for name, v in frame.iloc[0].items()}
    return Pivot(**{name: fields[str(name)] for name in Pivot._fields})


def at(pivot: Pivot) -> pd.DataFrame:
    return pivot_frame([pivot])


# ---- the rule, by character offsets ---------------------------------------------------------


def test_the_anchor_places_the_pivot() -> None:
    # "Huggies" comes first; the choice stands behind the anchor.
    text = "Huggies are dear. I would choose Pampers, not Huggies."
    pivot = find_pivot(text, BRANDS, anchors=ANCHOR)
    assert pivot == Pivot("found", 33, 40, "Pampers", "Pampers", gap=1)
    assert text[33:40] == "Pampers"
    assert text.index(ANCHOR) + len(ANCHOR) == 32


def test_each_rule_picks_its_own_place_and_says_that_there_were_several() -> None:
    text = "Answer: Pampers. Or Huggies? Answer: Huggies. Better than Pampers."
    places = {
        rule: find_pivot(text, BRANDS, rule=rule, anchors=["Answer:"] if "after" in rule else ())
        for rule in RULES
    }
    assert {rule: p.start for rule, p in places.items()} == {
        "after last anchor": 37, "after first anchor": 8, "first": 8, "last": 58,
    }  # fmt: skip
    assert {p.status for p in places.values()} == {"several"}
    assert find_pivot("Answer: Pampers. Answer: Pampers.", BRANDS, anchors=["Answer:"]).status == (
        "found"
    )
    assert find_pivot(text, BRANDS).start == 8  # no anchors: the first
    assert find_pivot(text, BRANDS, anchors=["Answer:"]).start == 37  # anchors: after the last


@pytest.mark.parametrize(
    ("text", "status", "start"),
    [
        ("I would choose Pampers.", "found", 15),
        ("Pampers it is.", "none", None),  # no anchor
        ("I would choose", "none", None),  # nothing after it: broken off
        ("I would choose  ", "none", None),
        ("I would choose Luvs.", "outside", 15),  # something, but no alternative
        ("", "none", None),
    ],
)
def test_statuses_of_an_anchored_rule(text: str, status: str, start: int | None) -> None:
    pivot = find_pivot(text, BRANDS, anchors=[ANCHOR])
    assert (pivot.status, pivot.start) == (status, start)


def test_a_choice_outside_the_set_is_not_passed_over() -> None:
    text = "Answer: Luvs. Pampers cost more."
    # Unknown words are passed over: "Luvs" has to be an alternative, too.
    assert find_pivot(text, BRANDS, anchors="Answer:").start == 14
    other = find_pivot(text, {"Pampers": "Pampers", "other": "Luvs"}, anchors="Answer:")
    assert other == Pivot("found", 8, 12, "other", "Luvs", gap=1)


def test_whole_words_and_nested_forms() -> None:
    three = ["Luvs", "Pampers", "Pampers Pure"]
    assert find_pivot("Luvsome Luvs", three).start == 8
    assert find_pivot("Luvsome Luvs", three, whole_words=False).start == 0
    assert find_pivot("some_Luvs_", three).start == 5  # an underscore is markup, no letter
    assert find_pivot("Luvs\u0301 Luvs", three).start == 6  # an accent on the s: another letter
    assert find_pivot("Pampers Pure.", three).alternative == "Pampers Pure"
    assert find_pivot("Pampers Purely", three).alternative == "Pampers"
    # What lies within the longest form is no mention of its own.
    assert find_pivot("Pampers Pure.", ["Pampers Pure", "Pure"]).status == "found"
    # A mention that is refused does not hide one that overlaps it.
    assert find_pivot("xa a a", ["a a", "b"]).start == 3


def test_scripts_without_blanks() -> None:
    assert find_pivot("我选好奇。", ["帮宝适", "好奇"]).status == "none"
    assert find_pivot("我选好奇。", ["帮宝适", "好奇"], whole_words=False).start == 2


def test_forms_by_name() -> None:
    forms = {"none": ["neither", "None"], "Pampers": "Pampers"}
    assert find_pivot("I take neither.", forms).alternative == "none"
    assert find_pivot("none", forms).status == "none"  # the name is no form unless listed
    assert surface_forms({"a": "ab", "b": ["X y", "x"]}) == {"a": ("ab",), "b": ("X y", "x")}


def test_case_is_explicit() -> None:
    text = "i would choose PAMPERS"
    assert find_pivot(text, BRANDS).status == "none"
    assert find_pivot(text, {"Pampers": ["Pampers", "PAMPERS"], "x": "x"}).start == 15
    # A compiled pattern brings its own flags.
    anchor = re.compile(r"I would (choose|take)", re.IGNORECASE)
    assert find_pivot(text.lower(), ["pampers", "x"], anchors=anchor).start == 15


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"names": "Pampers"}, "list or a mapping"),
        ({"names": ["Pampers"]}, "at least two options"),
        ({"names": [" Pampers", "x"]}, "blanks around"),
        ({"names": {"a": "x", "b": ["y", "x"]}}, "'x' stands for two"),
        ({"names": {"a": "x", "b": []}}, "'b' has no form"),
        ({"rule": "middle"}, "no rule 'middle'; there are: after last anchor"),
        ({"rule": "after last anchor"}, "needs anchors"),
        ({"rule": "first", "anchors": "Answer:"}, "takes no anchors"),
        ({"anchors": ["Answer:", " "]}, "is empty"),
        ({"text": 3}, "run 0: text is 3"),
    ],
)
def test_bad_input_is_named(call: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_pivot(**{"text": "Pampers", "names": BRANDS} | call)


# ---- many runs -------------------------------------------------------------------------------

TEXTS = [
    " I would choose Pampers.",
    " I would choose Luvs.",
    " Too dear.",
    " I would choose Huggies. No, I would choose Pampers.",
    " It is soft. I would choose Huggies.",
]


def test_runs_without_a_pivot_are_counted_not_dropped() -> None:
    frame = find_pivots(TEXTS, BRANDS, anchors=ANCHOR)
    assert frame["run"].tolist() == [0, 1, 2, 3, 4]
    assert frame["status"].tolist() == ["found", "outside", "none", "several", "found"]
    counts = count_pivots(frame)
    assert counts["status"].tolist() == list(STATUSES)
    assert counts["runs"].tolist() == [2, 1, 1, 1]
    assert counts["share"].tolist() == [0.4, 0.2, 0.2, 0.2]
    with pytest.raises(ValueError, match="no column 'run'"):
        count_pivots(frame.drop(columns="run"))
    assert count_pivots(find_pivots([], BRANDS))["runs"].tolist() == [0, 0, 0, 0]


FILLER = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(FILLER, FILLER, st.sampled_from([*BRANDS, "Ångström", "好奇"]), st.booleans())
@example("", "", "Pampers", True)
def test_a_constructed_choice_is_found_where_it_was_put(
    before: str, after: str, brand: str, anchored: bool
) -> None:
    names = [*BRANDS, "Ångström", "好奇"]
    text = f"{before} Final answer: {brand}. {after}"
    rule = {"anchors": "Final answer:", "rule": "after first anchor"} if anchored else {}
    pivot = find_pivot(text, names, **rule)  # type: ignore[arg-type]
    if anchored or not any(name in before for name in names):
        assert (pivot.start, pivot.alternative) == (len(before) + 15, brand)
    assert text[pivot.start : pivot.end] == pivot.written == pivot.alternative


ALPHABET = st.sampled_from(["Luvs", "Luvs Big", "x", " ", ".", "é", "\u0301", "👶", "Go:", "luvs"])


@given(
    st.lists(ALPHABET, max_size=14).map("".join),
    st.sampled_from(RULES),
)
def test_offsets_always_point_at_an_occurrence(text: str, rule: str) -> None:
    anchors = ["Go:"] if rule.startswith("after") else ()
    pivot = find_pivot(text, ["Luvs", "Luvs Big"], anchors=anchors, rule=rule)
    assert (pivot.start is None) == (pivot.status == "none")
    if pivot.start is None:
        return
    assert (pivot.alternative is None) == (pivot.status == "outside")
    if pivot.alternative is not None:
        written = text[pivot.start : pivot.end]
        assert written == pivot.written == pivot.alternative
        assert text[pivot.end : pivot.end + 1] not in ("x", "é", "\u0301", "L", "l", "G")
    if anchors:
        assert "Go:" in text[: pivot.start - (pivot.gap or 0)]


# ---- belief at the pivot ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> LocalModel:
    tokenizer = make_tokenizer(bos=False)
    return LocalModel("small", make_network("gpt2", len(tokenizer)).eval(), tokenizer)


PROMPT = "The price is $3.50. Does the customer buy it?"
ANSWERS = ["yes", "no", "maybe later"]


def test_belief_is_that_of_scoring_what_came_before(model: LocalModel) -> None:
    texts = [" It is hot. So: yes", " So: maybe later", " So: yes and no"]
    pivots = find_pivots(texts, ANSWERS, anchors="So:")
    table = belief_at_pivot(model, PROMPT, texts, pivots, ANSWERS)
    contexts = [PROMPT + " It is hot. So:", PROMPT + " So:", PROMPT + " So:"]
    expected = score(model, contexts, [" yes", " no", " maybe later"])  # several tokens each
    np.testing.assert_allclose(table["logprob"].to_numpy().reshape(3, 3), expected, atol=1e-5)
    mass = np.exp(expected)
    np.testing.assert_allclose(table["valid_mass"].to_numpy()[::3], mass.sum(1), rtol=1e-5)
    belief = mass / mass.sum(1, keepdims=True)
    np.testing.assert_allclose(table["belief"].to_numpy().reshape(3, 3), belief, rtol=1e-5)
    assert table["option"].tolist() == ANSWERS * 3
    assert table["alternative"].tolist()[::3] == ["yes", "maybe later", "yes"]
    assert table["choice"].tolist() == [1, 0, 0, 0, 0, 1, 1, 0, 0]
    assert set(table["lead"]) == {" "}
    assert set(table["model"]) == {"small"}
    assert len(set(table["run"])) == 3


def test_a_later_mention_does_not_move_belief(model: LocalModel) -> None:
    texts = [" So: yes", " So: yes, or no, whatever"]
    table = belief_at_pivot(
        model, PROMPT, texts, find_pivots(texts, ANSWERS, anchors="So:"), ANSWERS
    )
    first, second = table["logprob"].to_numpy().reshape(2, 3)
    np.testing.assert_array_equal(first, second)


def test_prompts_may_differ_and_are_numbered(model: LocalModel) -> None:
    texts, prompts = [" So: yes"] * 3, ["It is hot.", PROMPT, "It is hot."]
    pivots = find_pivots(texts, ANSWERS)
    table = belief_at_pivot(model, prompts, texts, pivots, ANSWERS)
    assert table["prompt_id"].tolist()[::3] == [0, 1, 0]
    expected = score(model, [p + " So:" for p in prompts], [" yes", " no", " maybe later"])
    np.testing.assert_allclose(table["logprob"].to_numpy().reshape(3, 3), expected, atol=1e-5)


def test_forms_are_summed_and_nested_ones_counted_once(model: LocalModel) -> None:
    forms = {"yes": ["yes", "yes,"], "no": ["no", "not", "never"]}
    text = " So: yes"
    table = belief_at_pivot(model, PROMPT, text, at(find_pivot(text, forms)), forms)
    p = np.exp(score(model, [PROMPT + " So:"], [" yes", " no", " not", " never"]))[0]
    # "yes," is part of "yes" (its tokens begin with it), and so is not added.
    assert np.exp(table["logprob"]).tolist() == pytest.approx([p[0], p[1:].sum()], rel=1e-5)
    assert table["valid_mass"].iloc[0] == pytest.approx(p.sum(), rel=1e-5)


def test_a_longer_form_of_another_alternative_takes_its_mass_away(model: LocalModel) -> None:
    names = ["yes", "no", "yes,"]
    text = " So: yes,"
    pivot = find_pivot(text, names)
    assert pivot.alternative == "yes,"
    table = belief_at_pivot(model, PROMPT, text, at(pivot), names)
    yes, no, surely = np.exp(score(model, [PROMPT + " So:"], [" yes", " no", " yes,"]))[0]
    assert surely > 1e-3 * yes  # enough to be seen below
    expected = [yes - surely, no, surely]  # all of "yes," begins with "yes"
    assert np.exp(table["logprob"]).tolist() == pytest.approx(expected, rel=1e-5)
    assert table["valid_mass"].iloc[0] == pytest.approx(yes + no, rel=1e-5)


class Table:
    """A model whose options' tokens and probabilities are written down."""

    name = "table"

    def __init__(self, **options: tuple[tuple[str, ...], float]) -> None:
        self.options = options

    def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        rows = [[self.options[o.strip()] for o in row] for row in options]
        nested = [
            [any(t != u and t[: len(u)] == u for u, _ in row) for t, _ in row] for row in rows
        ]
        return Scores(np.log([[p for _, p in row] for row in rows]), np.array(nested))


def test_mass_is_taken_from_the_form_whose_tokens_begin_the_longer_one() -> None:
    # As strings Pam < Pamper < Pampers. As tokens "Pampers" goes on from "Pam", not from "Pamper".
    options = {"Pam": (("Pam",), 0.6), "Pamper": (("Pam", "per"), 0.2),
               "Pampers": (("Pam", "pers"), 0.3), "No": (("No",), 0.1)}  # fmt: skip
    table = belief_at_pivot(Table(**options), "Q", " Pam", at(Pivot("found", 1)), list(options))
    # 0.6 - 0.2 - 0.3 = 0.1 is left to "Pam"; "Pamper" keeps its 0.2
    assert np.exp(table["logprob"]).tolist() == pytest.approx([0.1, 0.2, 0.3, 0.1])
    assert table["valid_mass"].iloc[0] == pytest.approx(0.7)


def test_runs_that_are_not_read_keep_their_rows(model: LocalModel) -> None:
    texts = [" So: yes", " So: perhaps", " Hm.", " So: no. So: yes"]
    pivots = find_pivots(texts, ["yes", "no"], anchors="So:")
    table = belief_at_pivot(model, PROMPT, texts, pivots, ["yes", "no"])
    assert table["status"].tolist()[::2] == ["found", "outside", "none", "several"]
    unread = table[table["run"] > 0]
    assert unread[["logprob", "belief", "valid_mass", "choice"]].isna().all().all()
    assert count_pivots(table)["runs"].tolist() == [1, 1, 1, 1]
    more = belief_at_pivot(
        model, PROMPT, texts, pivots, ["yes", "no"], read=["found", "several", "outside"]
    )
    assert more.groupby("run")["belief"].sum(min_count=2).tolist()[:2] == pytest.approx([1, 1])
    assert more[more["run"] == 1]["choice"].tolist() == [0, 0]  # it chose neither
    assert more[more["run"] == 3]["choice"].tolist() == [1, 0]
    assert more[more["run"] == 2]["belief"].isna().all()
    none = belief_at_pivot(model, PROMPT, texts[2:3], find_pivots(texts[2:3], BRANDS), BRANDS)
    assert none["belief"].isna().all() and len(none) == 2


def test_line_ends_stay_and_one_blank_goes_along(model: LocalModel) -> None:
    for text, context, lead in (
        (" So:\nyes", " So:\n", ""),
        (" So: yes", " So:", " "),
        (" So:  yes", " So: ", " "),
    ):
        pivot = at(find_pivot(text, ["yes", "no"]))
        table = belief_at_pivot(model, PROMPT, text, pivot, ["yes", "no"])
        assert set(table["lead"]) == {lead}
        expected = score(model, [PROMPT + context], [lead + "yes", lead + "no"])[0]
        np.testing.assert_allclose(table["logprob"], expected, atol=1e-5)


def make_quoting_tokenizer() -> PreTrainedTokenizerFast:
    """Like Llama 3's: a mark before a word may share its token."""
    tokenizer = Tokenizer(models.BPE())
    pattern = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(['I take\n"yes" or\n"no"'] * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def test_a_token_that_straddles_the_pivot_goes_along_with_the_options() -> None:
    tokenizer = make_quoting_tokenizer()
    assert tokenizer.tokenize('\n"yes"')[1] == '"yes'  # the trap: `"` is no token here
    model = LocalModel("quoting", make_network("llama", len(tokenizer)).eval(), tokenizer)
    text = 'I take\n"yes"'
    pivot = find_pivot(text, ["yes", "no"])
    with pytest.raises(BoundaryError):
        score(model, ["Well? " + text[: pivot.start]], ["yes", "no"])
    table = belief_at_pivot(model, "Well? ", text, at(pivot), ["yes", "no"])
    assert set(table["lead"]) == {'"'}
    expected = score(model, ["Well? I take\n"], ['"yes', '"no'])[0]
    np.testing.assert_allclose(table["logprob"], expected, atol=1e-5)


def test_a_mock_model_and_the_two_means() -> None:
    # A thought (0.3 soft, 0.7 dear), then the choice: P(A | soft) = 0.8, P(A | dear) = 0.1.
    # Share of A: 0.3 * 0.8 + 0.7 * 0.1 = 0.31, as mean belief and as mean choice.
    chance = {"soft": 0.8, "dear": 0.1}
    rule = MockModel(lambda prompt: {"A": chance[prompt[-5:-1]], "B": 1 - chance[prompt[-5:-1]]})
    rng = np.random.default_rng(1)
    thoughts = np.where(rng.random(3_000) < 0.3, "soft", "dear")
    chosen = [("B", "A")[int(rng.random() < chance[t])] for t in thoughts]
    texts = [f" {t}. {c}" for t, c in zip(thoughts, chosen, strict=True)]
    pivots = find_pivots(texts, ["A", "B"])
    table = belief_at_pivot(rule, "Q:", texts, pivots, ["A", "B"])
    a = table[table["option"] == "A"]
    # SE of mean choice sqrt(.31 * .69 / 3000) = .0084, of mean belief .7 * sqrt(.21 / 3000) = .0059
    assert a["choice"].mean() == pytest.approx(0.31, abs=4 * 0.0084)
    assert a["belief"].mean() == pytest.approx(0.31, abs=4 * 0.0059)
    assert a["belief"].var() < a["choice"].var()


def test_undefined_belief_is_nan() -> None:
    table = belief_at_pivot(MockModel(lambda p: {}), "Q:", " A", at(Pivot("found", 1)), ["A", "B"])
    assert table["belief"].isna().all()
    assert table["valid_mass"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"texts": [" no", " yes"]},
            "run 0: 'no' stands at character 1, where its pivot has 'yes'",
        ),
        ({"texts": [" yes", "yes"]}, r"run 1: 'es' stands at character 1"),
        ({"texts": [" yes", ""]}, "run 1: its pivot is at 1, its text ends at 0"),
        ({"texts": [" yes"]}, "2 pivots for 1 texts"),
        ({"prompts": ["Q"]}, "1 prompts for 2 texts"),
        ({"read": "found"}, "read is 'found'"),
        ({"read": ["none"]}, "must be a list of found, several, outside"),
        ({"alternatives": ["a", "b"]}, "run 0: 'yes' is none of the alternatives"),
        (
            {"pivots": pivot_frame([Pivot("found"), Pivot("none")])},
            "run 0: its status is 'found', but",
        ),
        ({"pivots": pd.DataFrame({"status": ["found"]})}, "no column 'start'"),
    ],
)
def test_pivots_of_other_texts_are_refused(
    model: LocalModel, change: dict[str, Any], message: str
) -> None:
    texts = [" yes", " yes"]
    call = {"model": model, "prompts": PROMPT, "texts": texts, "alternatives": ["yes", "no"],
            "pivots": find_pivots(texts, ["yes", "no"])}  # fmt: skip
    with pytest.raises(ValueError, match=message):
        belief_at_pivot(**call | change)


def test_the_engines_errors_name_the_run(model: LocalModel) -> None:
    texts = [" Hm.", " yes", " It is hot." * 60 + " yes"]
    pivots = find_pivots(texts, ["yes", "no"])
    with pytest.raises(ValueError, match=r"^run 2: .* more than the 128"):
        belief_at_pivot(model, PROMPT, texts, pivots, ["yes", "no"])
