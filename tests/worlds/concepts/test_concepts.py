"""The concepts world: enumeration against simulation, its text, its two kinds of spread."""

from __future__ import annotations

import re
from itertools import combinations
from itertools import product as cartesian

import numpy as np
import pandas as pd
import pytest

from simkit.types import generator
from simkit.worlds import concepts
from simkit.worlds.concepts.causal import COLOUR, FIRST, SIMILARITY, people
from simkit.worlds.kinds import WORDINGS
from tests.worlds.test_scm import probability

ZERO_ONE = 1 - np.eye(12)
HEXES = tuple(concepts.PALETTE)


def expected_distance(
    word: str, distance: np.ndarray, *, level: str = "persona"
) -> tuple[float, float]:
    """Exact mean distance of two answers of one individual, and of two individuals.

    level : an individual is a "persona", whose answers are independent draws from
    P(colour | attributes), or a "type", whose two answers share the latent colour type.
    """
    joint = people.joint().sum(people.axis["way"]).reshape(-1, 5)  # (personas, types)
    share = joint.sum(0) if level == "type" else joint.sum(1)
    types = np.eye(5) if level == "type" else joint / share[:, None]
    belief = types @ COLOUR[concepts.WORDS.index(word)]
    everyone = share @ belief
    internal = share @ np.einsum("ik,kl,il->i", belief, distance, belief)
    return float(internal), float(everyone @ distance @ everyone)


def one(ask: str, **columns: object) -> np.ndarray:
    """Exact probabilities of one prompt."""
    return concepts.exact(pd.DataFrame({k: pd.Series([v]) for k, v in columns.items()}), ask)[0]


def test_numbers_are_probabilities_of_the_promised_shape() -> None:
    np.testing.assert_allclose(COLOUR.sum(-1), 1)
    assert COLOUR.shape == (12, 5, 12)
    assert 0.5 <= COLOUR.max(-1).min() <= COLOUR.max(-1).max() <= 0.75
    off = ~np.eye(10, dtype=bool)
    assert 0.14 < FIRST[:, off[:, :, None] & off[:, None] & off[None]].min() < 0.16
    np.testing.assert_allclose(SIMILARITY, SIMILARITY.transpose(0, 2, 1))
    runs = [re.findall(r"[a-z]+|\d+", code[1:]) for code in HEXES]
    assert max(map(len, runs)) == 2
    assert len({r[0] for r in runs}) == 12
    for code, rgb in concepts.PALETTE.items():
        assert code == "#{:02x}{:02x}{:02x}".format(*rgb)


@pytest.mark.parametrize(("latent", "low", "high"), [("colour_type", 5, 6), ("way", 3, 4)])
def test_attributes_decide_the_types_mostly_but_not_wholly(
    latent: str, low: int, high: int
) -> None:
    joint = people.joint()
    share = joint.sum((3, 4))
    top = (share * people[latent].table.max(-1)).sum()
    assert 0.84 < top < 0.9
    marginal = joint.sum(tuple(i for i in range(5) if i != people.axis[latent]))
    assert low <= len(marginal) < high
    assert marginal.min() > 0.5 / len(marginal)
    for attribute in concepts.ATTRIBUTES:  # each of them says something about the type
        p = [list(probability(people, latent, {attribute: x}).values()) for x in
             concepts.ATTRIBUTES[attribute]]  # fmt: skip
        assert np.ptp(p, axis=0).max() > 0.1


def test_enumeration_agrees_with_simulated_persons() -> None:
    persons = concepts.individuals(40_000, 3)
    said = concepts.answers(persons, "colour", 4, blocks=1, about=["Monday", "justice"])
    said = said.merge(persons, on="person")
    rows = said[(said["word"] == "justice") & (said["hobby"] == "chess")]
    found = rows["colour"].value_counts(normalize=True).reindex(HEXES, fill_value=0)
    # about 6,900 persons: standard error at most 0.006
    np.testing.assert_allclose(
        one("colour", word="justice", hobby="chess"), found.to_numpy(), atol=0.02
    )
    both = said.pivot(index="person", columns="word", values="colour")
    black = both.loc[both["Monday"] == "#000000", "justice"]
    found = black.value_counts(normalize=True).reindex(HEXES, fill_value=0)
    truth = one("colour", word="justice", earlier=(("Monday", "#000000"),))
    np.testing.assert_allclose(truth, found.to_numpy(), atol=0.02)


def test_simulated_comparisons_agree_with_enumeration() -> None:
    persons = concepts.individuals(20_000, 5)
    said = concepts.answers(persons, "animal", 6, blocks=1, about=["penguin"])
    assert len(said) == 20_000 * 36
    others = [a for a in concepts.ANIMALS if a != "penguin"]
    pairs = said.head(36)[["first", "second"]].itertuples(index=False, name=None)
    assert list(pairs) == list(combinations(others, 2))
    assert said.head(36)["pair"].tolist() == list(range(36))
    design = concepts.design("animal", about=["penguin"])
    truth = concepts.exact(design, "animal")[::2, 1]  # every other row is the other order
    np.testing.assert_allclose(said.groupby("pair")["answer"].mean(), truth, atol=0.02)
    # Who called the robin more like it than the finch: his answer to dolphin or whale.
    first = said[said["pair"] == 0].set_index("person")["answer"]
    last = said[said["pair"] == 35].set_index("person")["answer"]
    earlier = (("penguin", "finch", "robin", "robin"),)
    p = one("animal", target="penguin", first="dolphin", second="whale", earlier=earlier)
    assert p[1] == pytest.approx(last[first == 1].mean(), abs=0.02)


def test_interview_is_bayes_over_the_types() -> None:
    # By hand: sum over all persons and types of P(person, type) P(said | type) P(answer | type).
    words = [concepts.WORDS.index(w) for w in ("luck", "luck", "fear")]
    codes = [HEXES.index(h) for h in ("#339933", "#ffdd00", "#888888")]
    earlier = tuple((concepts.WORDS[w], HEXES[c]) for w, c in zip(words, codes, strict=True))
    total = np.zeros(12)
    for home, work, hobby, colour, _ in cartesian(*(range(n) for n in people.joint().shape)):
        if concepts.ATTRIBUTES["home"][home] != "the hills":
            continue
        p = people.joint()[home, work, hobby, colour, _]
        for w, c in zip(words, codes, strict=True):
            p *= COLOUR[w, colour, c]
        total += p * COLOUR[concepts.WORDS.index("music"), colour]
    found = one("colour", word="music", home="the hills", earlier=earlier)
    np.testing.assert_allclose(found, total / total.sum())


def test_animal_interview_is_bayes_over_the_ways() -> None:
    # The second answer was for the pair's first, the first for its second.
    prior = np.array(list(probability(people, "way", {"work": "clerk"}).values()))
    a = {name: i for i, name in enumerate(concepts.ANIMALS)}
    like = FIRST[:, a["seal"], a["whale"], a["robin"]] * FIRST[:, a["eagle"], a["finch"], a["seal"]]
    weight = prior * like / (prior * like).sum()
    earlier = (("seal", "robin", "whale", "whale"), ("eagle", "finch", "seal", "finch"))
    found = one("animal", target="salmon", first="whale", second="eagle", work="clerk",
                earlier=earlier)  # fmt: skip
    assert found[0] == pytest.approx(weight @ FIRST[:, a["salmon"], a["whale"], a["eagle"]])


def test_own_answer_returns_and_tells_about_other_words() -> None:
    plain = one("colour", word="justice")
    again = one("colour", word="justice", earlier=(("justice", "#339933"),))
    other = one("colour", word="justice", earlier=(("Monday", "#885522"),))  # earthy, both
    brown, green = HEXES.index("#885522"), HEXES.index("#339933")
    assert again[green] > 2 * plain[green]
    assert other[brown] > 2 * plain[brown]
    banana = one("colour", word="banana", earlier=(("Monday", "#885522"),), work="driver")
    np.testing.assert_allclose(banana, one("colour", word="banana"))


def test_population_exceeds_internal_where_people_disagree() -> None:
    for word in concepts.WORDS:
        persona, everyone = expected_distance(word, ZERO_ONE)
        by_type, same = expected_distance(word, ZERO_ONE, level="type")
        assert same == pytest.approx(everyone)
        assert by_type <= persona + 1e-12  # a persona is less of a person than his type
        if word == "banana":
            assert everyone == pytest.approx(persona)
        elif word in ("grass", "coffee"):
            assert persona < everyone
        else:
            assert everyone - by_type > 0.1
    gaps = [np.subtract(*expected_distance(w, ZERO_ONE)[::-1]) for w in concepts.WORDS]
    assert max(gaps) > 0.2


def test_expected_distance_agrees_with_simulated_blocks() -> None:
    rng = np.random.default_rng(0)
    d = rng.random((12, 12))
    d = d + d.T - np.diag(2 * d.diagonal())
    persons = concepts.individuals(30_000, 8)
    said = concepts.answers(persons, "colour", 9, about=["silence"])
    code = said["colour"].map(HEXES.index).to_numpy().reshape(-1, 2)
    internal, population = expected_distance("silence", d, level="type")
    assert d[code[:, 0], code[:, 1]].mean() == pytest.approx(internal, abs=0.012)
    assert d[code[:, 0], np.roll(code[:, 1], 1)].mean() == pytest.approx(population, abs=0.012)
    design = concepts.design("colour", persons.head(4_000), about=["silence"])
    belief = concepts.exact(design, "colour")
    found = np.einsum("nk,kl,nl->n", belief, d, belief).mean()
    assert found == pytest.approx(expected_distance("silence", d)[0], abs=0.012)


def test_consensus_is_the_populations_mode() -> None:
    assert concepts.consensus("banana") == ("#ffdd00", pytest.approx(0.75))
    for word in concepts.WORDS:
        code, share = concepts.consensus(word)
        p = one("colour", word=word)
        assert HEXES[p.argmax()] == code
        assert p.max() == pytest.approx(share)


def test_animals_have_no_order() -> None:
    design = concepts.design("animal", hobby="fishing", about=["seal", "finch"])
    assert len(design) == 2 * 36 * 2
    p = concepts.exact(design, "animal")
    np.testing.assert_allclose(p[::2], p[1::2, ::-1])
    swapped = design.rename(columns={"first": "second", "second": "first"})
    np.testing.assert_allclose(concepts.exact(swapped, "animal"), p[:, ::-1])
    assert np.ptp(p[:, 0]) > 0.5


@pytest.mark.parametrize(
    ("ask", "columns", "message"),
    [
        ("colour", {"word": ["luck", "tea"]}, r"row 1: word='tea' is not one of: banana"),
        ("colour", {"word": ["luck", None]}, r"row 1: word=None is not one of"),
        ("colour", {"home": ["the city"]}, "no column 'word'; it has: home"),
        ("colour", {"word": ["luck"], "work": ["pilot"]}, "row 0: work='pilot' is not one of: nur"),
        ("colour", {"word": ["luck"], "earlier": [(("luck", "red"),)]}, "row 0: earlier='red'"),
        ("colour", {"word": ["luck"], "earlier": [("luck", "#cc3333")]}, "must be a sequence of"),
        ("animal", {"target": ["seal"], "first": ["cat"], "second": ["robin"]}, "first='cat'"),
        ("animal", {"target": ["seal"], "first": ["seal"], "second": ["robin"]}, "three animals"),
        ("animal", {"target": ["seal"], "first": ["finch"], "second": ["robin"],
                    "earlier": [(("whale", "seal", "finch", "robin"),)]}, "not of the pair"),
        ("smell", {"word": ["luck"]}, "no question 'smell'; there are: colour, animal"),
    ],
)  # fmt: skip
def test_bad_designs_are_named(ask: str, columns: dict[str, list[object]], message: str) -> None:
    frame = pd.DataFrame({k: pd.Series(v, dtype=object) for k, v in columns.items()})
    with pytest.raises(ValueError, match=message):
        concepts.exact(frame, ask)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="no question 'smell'"):
        concepts.question("smell")
    with pytest.raises(ValueError, match="no word 'tea'; there are: banana"):
        concepts.consensus("tea")
    with pytest.raises(ValueError, match="no word 'tea'; there are: banana"):
        concepts.answers(concepts.individuals(2, 1), "colour", 1, about=["tea"])
    with pytest.raises(ValueError, match="no field 'hoby'; there are: home, work, hobby, earlier"):
        concepts.design("colour", hoby="chess")
    with pytest.raises(ValueError, match="row 0: more than 4 earlier answers"):
        concepts.design("colour", about=["luck"], earlier=(("luck", "#cc3333"),) * 5)


def test_text_says_what_is_said_and_nothing_else() -> None:
    design = concepts.design(
        "colour", about=["hope"], home="the coast", work=None, earlier=(("luck", "#99ccff"),)
    )
    assert concepts.question("colour").prompts(design) == [
        "A person talks about colours. The person comes from the coast. "
        "For luck this person said #99ccff.\n"
        "Question: Which colour comes to mind for hope?\nAnswer:"
    ]
    design = concepts.design(
        "animal", about=["eagle"], earlier=(("seal", "finch", "whale", "finch"),)
    )
    assert design["context"].iloc[0] == (
        "A person talks about animals. The seal seemed more like the finch than the whale."
    )
    assert concepts.question("animal").options_for(design.head(2)) == [
        ["finch", "robin"], ["robin", "finch"],
    ]  # fmt: skip
    assert "eagle, the finch or the robin?" in concepts.question("animal").prompts(design)[0]
    # two ways to open, two for each attribute, and two orders of these
    many = concepts.design("colour", about=["hope"], wordings=16, home="the city", hobby="chess")
    assert many["context"].nunique() == 16
    assert many["context"].str.contains("chess").all()


def test_wordings_are_distinct_for_every_person_or_an_error_counts_them() -> None:
    with pytest.raises(ValueError, match="wordings=3: a prompt has 2 distinct"):
        concepts.design("colour", about=["hope"], wordings=3)
    with pytest.raises(ValueError, match="wordings=17: a prompt has 16 distinct"):
        concepts.design("animal", about=["seal"], wordings=17, home="the city", hobby="chess")
    persons = concepts.individuals(3, 1).assign(hobby=["chess", None, "football"])
    design = concepts.design("colour", persons, about=["hope"], wordings=16)
    assert design.groupby("person")["context"].nunique().tolist() == [16, 16, 16]
    assert concepts.design("colour", persons, about=["hope"])["wording"].unique().tolist() == [0]
    with pytest.raises(ValueError, match="wordings=17"):  # the second person says two things only
        concepts.design("colour", persons, about=["hope"], wordings=17)
    with pytest.raises(ValueError, match="about: 'hope' is there twice"):
        concepts.design("colour", about=["hope", "luck", "hope"])


def test_latent_types_are_not_read_or_told() -> None:
    persons = concepts.individuals(6, 2)
    design = concepts.design("animal", persons, about=["whale"])
    assert len(design) == 6 * 72
    plain = concepts.exact(design.drop(columns=["colour_type", "way"]), "animal")
    np.testing.assert_array_equal(concepts.exact(design, "animal"), plain)
    assert not design["context"].str.contains("warm|cool|earthy|pale|dark|by kind|by size").any()


def test_seeds_give_the_same_people_and_answers() -> None:
    assert concepts.individuals(50, 1).equals(concepts.individuals(50, 1))
    assert not concepts.individuals(50, 1).equals(concepts.individuals(50, 2))
    persons = concepts.individuals(7, 1)
    for ask, rows in (("colour", 7 * 3 * 12), ("animal", 7 * 3 * 360)):
        said = concepts.answers(persons, ask, 4, blocks=3)
        assert len(said) == rows
        assert said.equals(concepts.answers(persons, ask, 4, blocks=3))
        assert not said.equals(concepts.answers(persons, ask, 5, blocks=3))
        assert not said.drop(columns="person").duplicated().all()
    blocks = concepts.answers(persons, "colour", 4).pivot(
        index=["person", "word"], columns="block", values="colour"
    )
    assert 0.2 < (blocks[1] == blocks[2]).mean() < 0.8  # he agrees with himself, not always


def test_kinds_share_the_documents_and_hold_wordings_out() -> None:
    for held_out in (False, True):
        frame = concepts.KINDS["colour, persona"].build(400, generator(1, "w"), held_out)[0]
        assert ((frame["wording"] >= WORDINGS) == held_out).all()
        assert 0.15 < (frame["wording"] % WORDINGS == 0).mean() < 0.35
    same = concepts.KINDS["colour, same word"].build(100, generator(2, "w"), True)[0]
    assert all(e[0][0] == w for e, w in zip(same["earlier"], same["word"], strict=True))
    assert same["earlier"].map(len).value_counts().index.sort_values().tolist() == [1, 2, 3, 4]
    full = concepts.KINDS["animal, full persona"].build(50, generator(3, "w"), True)[0]
    assert full[list(concepts.ATTRIBUTES)].notna().all(axis=None)


def test_interviews_in_the_kinds_follow_their_persons() -> None:
    # Earlier answers to a word, whoever gave them, have the population's distribution.
    frame = concepts.KINDS["colour, interview"].build(8_000, generator(4, "k"), False)[0]
    said = [c for e in frame["earlier"] for w, c in e if w == "justice"]
    found = pd.Series(said).value_counts(normalize=True).reindex(HEXES, fill_value=0)
    np.testing.assert_allclose(found, one("colour", word="justice"), atol=0.03)
    animals = concepts.KINDS["animal, interview"].build(8_000, generator(5, "k"), False)[0]
    flat = pd.DataFrame(
        [x for e in animals["earlier"] for x in e], columns=["target", "first", "second", "chosen"]
    )
    took_first = (flat["chosen"] == flat["first"]).mean()
    truth = concepts.exact(flat, "animal")[:, 0]
    assert took_first == pytest.approx(truth.mean(), abs=0.015)
    likely = truth > 0.7
    assert (flat["chosen"] == flat["first"])[likely].mean() == pytest.approx(
        truth[likely].mean(), abs=0.03
    )
    assert (animals["target"] == animals["earlier"].map(lambda e: e[0][0])).mean() > 0.45
