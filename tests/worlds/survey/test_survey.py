"""The survey world: its numbers by enumeration, its people, its text."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

from simkit.types import FloatArray, generator
from simkit.worlds import survey
from simkit.worlds.survey import LATENTS, LEVELS

GENERAL, TARGET = survey.POPULATIONS["general"], survey.POPULATIONS["target"]
SIZES = {"vehicle": 4, "news_days": 8, "ev_before": 11, "ev_after": 11}
PEOPLE = survey.respondents(60_000, 11)


def brute_force(said: dict[str, object], ask: str, population: survey.Population) -> FloatArray:
    """P(ask | said) by summing, one by one, all cells of all other variables that matter."""
    scm = population.scm
    used = [v for v in scm.variables if v.name in (*survey.DEMOGRAPHICS, *LATENTS)]
    free = {*said, ask} | ({"ev_before", "information"} if ask == "ev_after" else set())
    free |= {"ev_before", "information"} if "ev_after" in said else set()
    used += [v for v in scm.variables if v.name in free and v not in used]
    mass = np.zeros(len(scm[ask].values))
    options = [[said[v.name]] if v.name in said else v.values for v in used]
    for cell in product(*options):
        value = dict(zip((v.name for v in used), cell, strict=True))
        p = 1.0
        for v in used:
            at = tuple(scm[n].values.index(value[n]) for n in v.parents)
            p *= v.table[at][v.values.index(value[v.name])]
        mass[scm[ask].values.index(value[ask])] += p
    return mass / mass.sum()


SOME = {"age": "50 to 64", "education": "college", "residence": "city", "income": "low"}


@pytest.mark.parametrize(
    ("said", "ask"),
    [
        ({**SOME, "climate": "agree", "gadgets": "disagree"}, "old_ways"),
        ({**SOME, "news_days": 3, "vehicle": "electric", "jobs_first": "unsure"}, "fewer_cars"),
        ({**SOME, "ev_after": 70, "information": "running costs"}, "ev_before"),
        ({**SOME, "ev_before": 30, "information": "charging network"}, "ev_after"),
        ({**SOME, "ev_before": 30, "robot_cars": "agree"}, "ev_after"),
        ({**SOME, "ev_after": 90, "climate": "strongly agree"}, "vehicle"),
        ({"gender": "man", "income": "high", "pay_more": "agree", "age": "18 to 34"}, "news_days"),
    ],
)
def test_exact_equals_brute_force(said: dict[str, object], ask: str) -> None:
    for population in (GENERAL, TARGET):
        found = survey.exact(pd.DataFrame([said]), ask, population)
        np.testing.assert_allclose(found[0], brute_force(said, ask, population), atol=1e-12)


@pytest.mark.parametrize("ask", survey.QUESTIONS)
def test_marginals_are_those_of_the_people(ask: str) -> None:
    for population in (GENERAL, TARGET):
        people = PEOPLE if population is GENERAL else survey.respondents(60_000, 12, TARGET)
        seen = people[ask].value_counts(normalize=True).reindex(population.scm[ask].values)
        # 60,000 draws: a standard error of at most 0.002 per share
        np.testing.assert_allclose(seen, survey.marginal(ask, population), atol=0.009)


def test_conditionals_are_those_of_the_people() -> None:
    rows = PEOPLE[(PEOPLE["climate"] == "agree") & (PEOPLE["age"] == "35 to 49")]
    said = pd.DataFrame([{"climate": "agree", "age": "35 to 49"}])
    seen = rows["pay_more"].value_counts(normalize=True).reindex(survey.AGREEMENT)
    se = np.sqrt(0.25 / len(rows))
    np.testing.assert_allclose(seen, survey.exact(said, "pay_more")[0], atol=4 * se)


def test_item_correlations_are_those_of_the_people() -> None:
    words = {word: i for i, word in enumerate(survey.AGREEMENT, start=1)}
    seen = np.corrcoef(np.array([PEOPLE[n].map(words) for n in survey.ITEMS], dtype=float))
    truth = survey.item_correlation()
    np.testing.assert_allclose(seen, truth, atol=0.02)  # five standard errors of 60,000 draws
    off = truth.to_numpy()[np.triu_indices(8, 1)]
    assert np.linalg.eigvalsh(truth).min() > 0.2
    assert off.min() < -0.45
    assert off.max() > 0.45
    assert off.std() > 0.2


def test_demographic_correlations_are_those_of_answers_given_one_by_one() -> None:
    rng = np.random.default_rng(4)
    persona = survey.design(PEOPLE)
    drawn = []
    for name in survey.ITEMS:
        below = rng.random(len(persona))[:, None] > survey.exact(persona, name).cumsum(1)
        drawn.append(below.sum(1) + 1.0)
    truth = survey.item_correlation(level="demographic")
    np.testing.assert_allclose(np.corrcoef(drawn), truth, atol=0.02)
    off = np.triu_indices(8, 1)
    individual = survey.item_correlation().to_numpy()[off]
    assert (abs(truth.to_numpy()[off]).max() < 0.2) and (abs(individual).max() > 0.45)
    assert np.linalg.eigvalsh(truth).min() > 0


def test_demographics_explain_a_part_of_the_values() -> None:
    scm = GENERAL.scm
    people = scm.frame(scm.sample(60_000, generator(3)), [*survey.DEMOGRAPHICS, *LATENTS])
    for population in (GENERAL, TARGET):
        assert all(0.15 < share < 0.35 for share in survey.latent_share(population).values())
    groups = people.groupby(list(survey.DEMOGRAPHICS))
    for name in LATENTS:
        level = people[name].astype(float)
        between = groups[name].transform("mean").astype(float).var()
        # Group means of 216 groups carry 216 / 60,000 = 0.4 % of noise.
        assert survey.latent_share()[name] == pytest.approx(between / level.var(), abs=0.015)
    assert set(people["green"]) == set(LEVELS)
    assert "green" not in PEOPLE


def test_the_target_differs() -> None:
    p, q = survey.marginal("ev_before", TARGET), survey.marginal("ev_before")
    assert 0.3 < float((p * np.log(p / q)).sum()) < 0.8
    ages = survey.profiles(["age"])
    scale = np.arange(1, 6)
    general, target = (survey.exact(ages, "climate", x) @ scale for x in (GENERAL, TARGET))
    assert np.ptp(general) < 0.5
    assert target[-1] - target[0] > 0.8  # in the target town the old are the worried ones
    individual = [survey.item_correlation(x).to_numpy() for x in (GENERAL, TARGET)]
    assert abs(individual[0] - individual[1]).max() > 0.1


def test_information_moves_the_second_answer_and_nothing_else() -> None:
    told = pd.DataFrame({"information": survey.INFORMATION})
    mean = {x: survey.exact(told, "ev_after", survey.POPULATIONS[x]) @ np.arange(0, 101, 10)
            for x in survey.POPULATIONS}  # fmt: skip
    assert mean["general"].argmax() == 1  # running costs
    assert mean["target"].argmax() == 2  # charging network
    before = survey.exact(told, "ev_before")
    np.testing.assert_allclose(before, np.broadcast_to(before[0], before.shape))
    # Said or not, the mean over a randomised information is the same.
    np.testing.assert_allclose(survey.exact(told, "ev_after").mean(0), survey.marginal("ev_after"))


def test_profiles_weigh_to_the_marginal() -> None:
    people = survey.profiles()
    assert len(people) == 4 * 2 * 3 * 3 * 3
    assert people["weight"].sum() == pytest.approx(1)
    mixed = people["weight"].to_numpy() @ survey.exact(people, "vehicle")
    np.testing.assert_allclose(mixed, survey.marginal("vehicle"))
    shares = survey.profiles(["residence"], TARGET)
    assert shares["weight"].tolist() == pytest.approx([0.18, 0.42, 0.40])


def test_text_of_an_interview() -> None:
    person = PEOPLE.iloc[[0]].assign(
        age="35 to 49", residence="city", climate="agree", ev_before=40, information="nothing"
    )
    told = survey.design(
        person, demographics=["age", "residence"], answered=["ev_before", "information", "climate"]
    )
    assert survey.question("gadgets").prompts(told) == [
        "A survey of adults. The respondent is aged 35 to 49. The respondent lives in the city.\n"
        "Electric car next, 0 to 100: 40\n"
        "The respondent read nothing more.\n"
        "Climate change worries me: agree\n"
        "Question: How far does the respondent agree? I like to try new gadgets.\n"
        "Answer:"
    ]
    plain = survey.with_context(told.drop(columns="answered"))  # the world's order
    assert plain["context"].item().split("\n")[1].startswith("Climate")
    bare = survey.with_context(pd.DataFrame({"ev_before": [40, None]}))  # floats, one missing
    assert bare["context"].tolist() == [
        "A survey of adults.\nElectric car next, 0 to 100: 40",
        "A survey of adults.",
    ]


def test_rows_may_differ_in_what_was_answered_and_in_wording() -> None:
    people = PEOPLE.head(3)
    orders = [("climate", "vehicle"), (), ("vehicle",)]
    told = survey.design(people, demographics=[], answered=orders)
    assert told["climate"].notna().tolist() == [True, False, False]
    assert [c.count("\n") for c in told["context"]] == [2, 0, 1]
    alone = survey.exact(told.iloc[[1]], "gadgets")[0]
    np.testing.assert_allclose(alone, survey.marginal("gadgets"))
    worded = [survey.design(people, wording=w)["context"].iloc[0] for w in range(20)]
    assert len(set(worded)) > 10
    each = survey.design(people, wording=[0, 5, 9])
    assert each["wording"].tolist() == [0, 5, 9]


def test_what_is_asked_is_not_used() -> None:
    people = PEOPLE.head(5)
    whole = survey.exact(people, "climate")
    np.testing.assert_allclose(whole, survey.exact(people.drop(columns="climate"), "climate"))


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="row 1: climate='yes' is not one of: strongly disagree"):
        survey.exact(pd.DataFrame({"climate": ["agree", "yes"]}), "gadgets")
    with pytest.raises(ValueError, match="row 0: age='17' is not one of: 18 to 34"):
        survey.with_context(pd.DataFrame({"age": ["17"]}))
    with pytest.raises(ValueError, match="row 0: ev_before=45 is not one of: 0, 10"):
        survey.with_context(pd.DataFrame({"ev_before": [45]}))
    with pytest.raises(ValueError, match="no question 'age'; there are: climate"):
        survey.exact(PEOPLE.head(2), "age")
    with pytest.raises(ValueError, match="no demographic 'climate'"):
        survey.profiles(["climate"])
    with pytest.raises(ValueError, match="no column 'hobby'"):
        survey.design(PEOPLE.head(2), answered=["hobby"])
    with pytest.raises(ValueError, match="answered has 1 rows; it must be 2"):
        survey.design(PEOPLE.head(2), answered=[("climate",)])
    with pytest.raises(ValueError, match="row 0: answered='hobby' is not one of: climate"):
        survey.with_context(pd.DataFrame({"climate": ["agree"], "answered": [("hobby",)]}))
    with pytest.raises(ValueError, match="no level 'group'; there are"):
        survey.item_correlation(level="group")  # type: ignore[arg-type]


def test_questions_have_their_scales() -> None:
    assert survey.question("climate").values == (1, 2, 3, 4, 5)
    assert survey.question("vehicle").values is None
    assert {n: len(survey.question(n).options) for n in SIZES} == SIZES
    assert survey.question("ev_after").values == tuple(range(0, 101, 10))


def test_people_are_seeded() -> None:
    again = survey.respondents(50, 11)
    pd.testing.assert_frame_equal(again, survey.respondents(50, 11))
    assert not again.equals(survey.respondents(50, 12))
    assert not again.equals(survey.respondents(50, 11, TARGET))


def test_kinds_share_and_spread() -> None:
    frame, _, _ = survey.KINDS["likert, interview"].build(700, generator(1), False)
    assert frame["answered"].map(len).value_counts().reindex(range(1, 8)).min() > 60
    assert frame["wording"].max() < 400
    said = frame[list(survey.DEMOGRAPHICS)].notna().sum(axis=1)
    assert said.value_counts().reindex(range(6)).min() > 60
    short, _, _ = survey.KINDS["likert, interview, short"].build(200, generator(1), True)
    long, _, _ = survey.KINDS["likert, interview, long"].build(200, generator(1), True)
    assert set(short["answered"].map(len)) == {1, 2, 3}
    assert set(long["answered"].map(len)) == {4, 5, 6, 7}
    _, asked, _ = survey.KINDS["ev after"].build(50, generator(1), False)
    assert asked.text == survey.question("ev_after").text


def test_a_whole_interview_stays_short() -> None:
    # All five demographics, eight earlier answers and the question: far under 150 words.
    people = PEOPLE.head(300)
    told = survey.design(people, answered=tuple(survey.ITEMS))
    longest = max(len(p.split()) for p in survey.question("ev_before").prompts(told))
    assert longest < 105
