"""Two questions in a row, on the survey world's own beliefs: correlations come out exactly."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from simkit.personas import Battery, Item, chained_correlation
from simkit.questions import Question
from simkit.scoring import MockModel, believe
from simkit.studies.representativeness.populations import battery, world_survey
from simkit.worlds import exact_beliefs, survey

TRUE = partial(exact_beliefs, survey)
BATTERY = battery(world_survey(1, 1))


def test_answers_given_before_are_told_as_they_were_asked():
    """Fields of question and options are filled, float32 by the one rule, before they are told."""
    likes = Question("At {p}: does {who} like tea?", ["no, {who}", "yes, {who}"], values=[0, 1])
    drinks = Question("Does {who} drink tea?", ["no", "yes"], values=[0, 1])
    battery = Battery([Item("likes", likes), Item("drinks", drinks)])
    people = pd.DataFrame({"context": ["Here is Ann."], "who": ["Ann"], "p": np.float32([0.1])})
    told = []

    mock = MockModel(lambda prompt: dict.fromkeys(("no", "yes", "no, Ann", "yes, Ann"), 0.5))

    def ask(question, design):
        told.extend(design["context"])
        return believe(mock, question, design)

    chained_correlation(ask, battery, people)
    said = "\n".join(told)
    assert "At 0.1: does Ann like tea?" in said and "yes, Ann" in said and "{" not in said


def test_chained_correlations_of_a_perfect_model_are_exact():
    # Told nothing of the person, P(a) P(b | a) is the population's own joint distribution.
    ask = reader_of_lines()
    person = pd.DataFrame({"context": ["A survey of adults."], "person": [0]})
    found = chained_correlation(ask, BATTERY, person)
    assert found.to_numpy() == pytest.approx(survey.item_correlation().to_numpy(), abs=1e-9)
    with pytest.raises(ValueError, match=r"context: row 0 holds None; it must be text"):
        chained_correlation(ask, BATTERY, person.assign(context=None))
    with pytest.raises(ValueError, match="no column 'context'"):
        chained_correlation(ask, BATTERY, person.drop(columns="context"))
    with pytest.raises(ValueError, match=r"believe returned .* rows; it must return"):
        chained_correlation(lambda q, d: ask(q, d).iloc[1:], BATTERY, person)


def reader_of_lines():
    """The world's beliefs, the earlier answers read from the prompt's last line."""
    names = {text: name for name, (text, *_) in survey.ITEMS.items()}

    def believe(question, design):
        rows = []
        for context in design["context"]:
            last = context.splitlines()[-1].rsplit(": ", 1)
            rows.append({names[last[0]]: last[1]} if last[0] in names else {})
        return TRUE(question, pd.DataFrame(rows, index=range(len(rows))))

    return believe


def test_an_answer_that_does_not_vary_has_no_correlation():
    asked = Battery([Item(name, Question(f"{name}?", ["no", "yes"])) for name in "ab"])
    mock = MockModel(lambda prompt: {"no": 1.0, "yes": 0.0})
    person = pd.DataFrame({"context": ["An adult."]})
    found = chained_correlation(partial(believe, mock), asked, person)
    assert found.loc["a", "a"] == 1 and pd.isna(found.loc["a", "b"])
    with pytest.raises(ValueError, match="battery"):
        chained_correlation(partial(believe, mock), ["a"], person)
