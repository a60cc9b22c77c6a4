"""Study 04 on a model that has not read the world: its words, sizes, baselines and dose."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import simkit as sk
from simkit.scoring import Chat, MockModel, believe, with_chat
from simkit.studies.alignment_diversity import asking, doses
from simkit.studies.alignment_diversity import task as study
from simkit.worlds import concepts
from tests.scoring.conftest import make_network, make_tokenizer

RED = MockModel(lambda prompt: {"red": 0.5, "grey": 0.2, "gray": 0.1, "blue": 0.1})


def test_a_real_model_is_asked_for_names_that_lie_where_the_palette_has_them():
    tasks = asking.tasks(RED)
    assert len(tasks.colour.options) == 11 and "sky" not in tasks.colour.options
    place = tasks.colour.options.index("gray")
    grey = study.LAB[list(concepts.PALETTE).index("#888888")]
    assert tasks.lab[place] == pytest.approx(grey)
    table = believe(RED, tasks.colour, tasks.colours(study.personas(2, 1)))
    belief = study.cube(table)
    assert belief.shape == (2, 12, 11)
    assert belief[..., place] == pytest.approx(np.full((2, 12), 0.3 / 0.9))  # "grey" is gray


def test_worked_answers_favour_no_colour_and_no_place():
    shown = asking.tasks(RED).colour_shown.split("\n")[1::2]
    assert sorted(text.removeprefix("Answer: ") for text in shown) == sorted(asking.NAMES)
    head = asking.tasks(RED).animal_shown
    assert head.count("Question") == 6
    lines = head.split("\n")
    first = [lines[i + 1][8:] == lines[i].split(": ")[2].split(" or ")[0] for i in range(0, 12, 2)]
    assert sum(first) == 3
    used = {word for text in shown for word in text.split()} & set(concepts.WORDS)
    assert not used  # no word of the study is answered for the model


def test_what_is_shared_comes_first_and_the_persona_stays():
    tasks, people = asking.tasks(RED), study.personas(3, 1)
    persona = tasks.colours(people)
    assert persona["context"].str.startswith(tasks.colour_shown).all()
    assert people["hobby"].iloc[0] in persona["context"].iloc[0]
    none = tasks.colours(people, context="none")["context"]
    assert none.unique().tolist() == [tasks.colour_shown]
    unrelated = tasks.colours(people, context="unrelated")["context"]
    assert unrelated.str.contains("It rained").sum() == 12
    assert len(tasks.animals(people, "penguin")) == 3 * 72


def test_the_world_keeps_its_own_words():
    tasks = asking.tasks(sk.load("glassbox"))
    people = study.personas(2, 1)
    assert tasks.colour == concepts.question("colour") and tasks.lab is study.LAB
    assert tasks.colours(people).equals(study.colour_design(people))


def test_distinct_people_are_distinct_and_more_begin_with_fewer():
    many = study.personas(144, 1, distinct=True)
    assert len(many) == 144 and not many.drop(columns="person").duplicated().any()
    assert study.personas(5, 1, distinct=True).equals(many.head(5))
    with pytest.raises(ValueError, match="145 people: there are 144 that differ"):
        study.personas(145, 1, distinct=True)


def test_own_instruction_only_where_the_answer_is_auto_in_a_chat():
    assert asking.asked(RED, chat="auto").chat is None
    tokenizer = make_tokenizer(bos=False)
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    talks = MockModel(lambda prompt: {"red": 1.0})
    object.__setattr__(talks, "tokenizer", tokenizer)
    assert asking.asked(talks).chat.answer == asking.INSTRUCTION
    assert asking.asked(talks, answer="One word.").chat.answer == "One word."


def test_the_majority_can_be_the_models_own():
    rng = np.random.default_rng(0)
    belief = rng.dirichlet(np.ones(11), (4, 12))
    found = study.measures(belief, lab=asking.tasks(RED).lab, majority=belief)
    top = belief.mean(0).max(1)
    assert found["share"].to_numpy() == pytest.approx(top)
    assert found["consensus"].to_numpy() == pytest.approx(top)


def test_context_table_by_hand():
    # Two colours d apart. Persona: two people sure of one each in half the words, alike in the
    # other half; none and unrelated: everybody 1/2, 1/2, so two answers are d/2 apart.
    lab = np.array([[0.0, 0, 0], [10, 0, 0]])
    sure = np.zeros((2, 12, 2))
    sure[0, :, 0] = 1
    sure[1, :6, 1], sure[1, 6:, 0] = 1, 1
    even = np.full((2, 12, 2), 0.5)
    found = study.context_table({"persona": sure, "none": even, "unrelated": even}, lab)
    # population: persona 10 in six words, 0 in six: 5; none 5, so 1. Signed: 10/sqrt2, 0: 3.54
    assert found["estimate"].tolist() == pytest.approx([1, 1, 10 / np.sqrt(2) / 2])
    assert found.loc["unrelated / none", ["low", "high"]].tolist() == pytest.approx([1, 1])


def test_sizes_fit_the_time():
    tasks, people = asking.tasks(RED), study.personas(9, 1)
    every = asking.sizes(RED, tasks, people, "penguin", 0)
    assert (every.people, every.others) == (9, 9)
    assert every.said == "9 people are asked for colours, 9 for animals."
    scarce = asking.sizes(RED, tasks, people, "penguin", 1e-9)
    assert (scarce.people, scarce.others) == (4, 4) and "4 of 9 people" in scarce.said


def test_stated_shares_are_a_population_of_one_belief():
    says = MockModel(lambda prompt: {"50": 0.9} if "answered “red”" in prompt else {"5": 0.9})
    shares, mass = asking.direct(says, asking.tasks(says))
    assert shares.shape == (1, 12, 11) and mass == pytest.approx(np.full(12, 0.9))
    assert shares[0, 0] == pytest.approx(np.array([0.5, *[0.05] * 10]))  # 50 and 10 x 5 of 100


def test_pairs_prefer_what_more_of_the_panel_say():
    # The panel always says the first option, the person the second: the first is preferred.
    belief = np.tile(np.eye(3)[0], (5, 2, 1))
    rows = pd.DataFrame({"prompt": ["p", "q"], "options": [(" a", " b", " c")] * 2,
                         "word": [0, 1]})  # fmt: skip
    pairs = doses.own_preferences(rows, np.eye(3)[[1, 2]], belief, 3, seed=1)
    assert pairs["prompt"].tolist() == ["p", "q", "p"]
    assert pairs["chosen"].tolist() == [" a"] * 3
    assert pairs["rejected"].tolist() == [" b", " c", " b"]
    # Nobody differs: the commonest and the rarest answer are taken.
    same = doses.own_preferences(rows, np.eye(3)[[0, 0]], belief, 1, seed=1)
    assert same[["chosen", "rejected"]].to_numpy().tolist() == [[" a", " b"]]


def test_a_dose_is_trained_in_rising_steps(tmp_path):
    pytest.importorskip("trl")
    pytest.importorskip("peft")
    tokenizer = make_tokenizer(bos=True)
    make_network("llama", len(tokenizer), positions=1024).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    lm = with_chat(sk.load(tmp_path), None)
    belief = np.random.default_rng(0).dirichlet(np.ones(11), (4, 12))
    made, said = doses.align(lm, asking.tasks(lm), belief, minutes=0, seed=1)
    assert {name: dose for name, (dose, _) in made.items()} == {
        "sft": 0, "dpo-0001": 1, "dpo-0002": 2
    }  # fmt: skip
    assert "2 steps of DPO (of 6, by the time)" in said
    assert all(model.chat is None for _, model in made.values())


def test_what_cannot_be_trained_is_said():
    rungs, said = doses.rungs(RED, None, asking.tasks(RED), np.ones((2, 12, 11)), minutes=1, seed=1)
    assert not rungs and "No ladder of adapters" in said
    assert Chat(answer="auto").answer == "auto"


def test_the_real_model_answers_in_these_words():
    """Both questions hold most of the probability (measured: 0.83 and 0.74 over 24 prompts)."""
    try:
        lm = asking.asked(sk.load("smollm2"))
    except ValueError as error:
        pytest.skip(str(error))
    tasks, people = asking.tasks(lm), study.personas(2, 1, distinct=True)
    colours = believe(lm, tasks.colour, tasks.colours(people).head(6))
    assert colours["valid_mass"].mean() > 0.75
    animals = tasks.animals(people.head(1), "penguin").iloc[::12]
    assert believe(lm, tasks.animal, animals)["valid_mass"].mean() > 0.6
    assert "as in the examples" in tasks.whole(lm, tasks.colours(people))
