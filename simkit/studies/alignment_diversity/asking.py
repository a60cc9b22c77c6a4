"""The two tasks in words: the world's own for a model that read it, a real model's for any other.

A real model knows no hex code by heart and would rather write a sentence. It is asked for one of
eleven basic colour names (Berlin & Kay 1969), each with the coordinates that the world's palette
gives it, after worked answers of which every colour has one: they say how to answer and favour no
colour. The animals likewise. The source shows no worked answers; that is our formulation.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from simkit.audit import affordable, direct_shares
from simkit.audit import asked as asked_as
from simkit.questions import Question
from simkit.scoring import with_chat, worlds_of
from simkit.scoring.chat import lay_out
from simkit.scoring.types import Model
from simkit.studies.alignment_diversity import task
from simkit.types import FloatArray
from simkit.worlds import concepts
from simkit.worlds.concepts.causal import COLOUR_NAMES

__all__ = ["NAMES", "Sizes", "Tasks", "asked", "direct", "sizes", "tasks"]

INSTRUCTION = "Answer with one word, as in the examples."
MOST = 75  # people that are asked about animals: as many as of the recorded models
POPULATION = "Adults in the United States"
_NAMED = {name: lab for name, lab in zip(COLOUR_NAMES, task.LAB, strict=True) if name != "sky"}
NAMES = tuple("gray" if name == "grey" else name for name in _NAMED)
_COLOUR = Question(
    "Which color comes to mind for {word}?", NAMES,
    forms={"gray": ("grey",), "purple": ("violet",), "yellow": ("gold",)},
)  # fmt: skip
_ANIMAL = Question("More similar to a {target}: {first} or {second}?", ("{first}", "{second}"))
_SHOWN = {
    "colour": (
        ("coal", "black"), ("chocolate", "brown"), ("blood", "red"), ("lemon", "yellow"),
        ("carrot", "orange"), ("ocean", "blue"), ("pig", "pink"), ("snow", "white"),
        ("grape", "purple"), ("forest", "green"), ("elephant", "gray"),
    ),
    "animal": (  # as often the first as the second
        ("dog", "wolf", "hen", "wolf"), ("bee", "cow", "wasp", "wasp"),
        ("horse", "snail", "donkey", "donkey"), ("cat", "tiger", "frog", "tiger"),
        ("mouse", "lion", "rat", "rat"), ("duck", "goose", "horse", "goose"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Tasks:
    """What a model is asked, and where its answers lie.

    Attributes
    ----------
    colour, animal : the two questions.
    lab : CIELAB of the colour question's options, (options, 3).
    colour_shown, animal_shown : text at the head of the prompts of each; "" for none.
    """

    colour: Question
    animal: Question
    lab: FloatArray = field(repr=False)
    colour_shown: str = field(default="", repr=False)
    animal_shown: str = field(default="", repr=False)

    def colours(self, people: pd.DataFrame, *, context: str = "persona") -> pd.DataFrame:
        """One row per person × word; as :func:`task.colour_design`, in these words."""
        return _headed(task.colour_design(people, context=context), self.colour_shown)

    def animals(self, people: pd.DataFrame, target: str) -> pd.DataFrame:
        """One row per person × pair of the nine other animals × order."""
        return _headed(task.animal_design(people, target), self.animal_shown)

    def whole(self, model: Model, design: pd.DataFrame) -> str:
        """The first colour prompt of a design as the model gets it, chat and all."""
        row, way = design.head(1), getattr(model, "chat", None)
        texts = self.colour.prompts(row)
        if way is None:
            return texts[0]
        answers = self.colour.answers_for(row)
        return lay_out(model, texts, way, row, separator=" ", answers=answers)[0][0]

    def about(self, word: str) -> Question:
        """The colour question about one word, without fields."""
        return Question(self.colour.text.format(word=word), self.colour.options)


def asked(model: Model, **parameters: Any) -> Model:
    """The model, asked as the notebook's parameters say; see :func:`simkit.audit.asked`.

    answer="auto" is this study's own instruction, in a chat: the worked answers name the options,
    so that one system text serves both questions and all prompts share it.
    """
    chatting = asked_as(model, **parameters)
    way = getattr(chatting, "chat", None)
    if way is None or way.answer != "auto":
        return chatting
    own: Model = with_chat(chatting, replace(way, answer=INSTRUCTION))
    return own


def tasks(model: Any) -> Tasks:
    """The two tasks as this model is asked them.

    Examples
    --------
    >>> import simkit as sk
    >>> tasks(sk.load(lambda prompt: {"red": 1.0})).colour.options[:3]
    ('red', 'orange', 'yellow')
    """
    if "concepts" in worlds_of(model):
        return Tasks(concepts.question("colour"), concepts.question("animal"), task.LAB)
    lab = np.array(list(_NAMED.values()))
    return Tasks(_COLOUR, _ANIMAL, lab, _worked(_COLOUR, "colour"), _worked(_ANIMAL, "animal"))


def _worked(question: Question, ask: str) -> str:
    names = ("word", "answer") if ask == "colour" else ("target", "first", "second", "answer")
    rows = [dict(zip(names, example, strict=True)) for example in _SHOWN[ask]]
    return "\n".join(
        f"Question: {question.text.format(**row)}\nAnswer: {row['answer']}" for row in rows
    )


def _headed(design: pd.DataFrame, shown: str) -> pd.DataFrame:
    """The design with the worked answers first, in place of the world's opening sentence.

    They come first because all prompts share them: they are read once.
    """
    if not shown:
        return design
    said = design["context"].str.replace(r"^A person [^.]*\. ?", "", regex=True)
    return design.assign(context=(shown + "\n" + said).str.rstrip())


@dataclass(frozen=True)
class Sizes:
    """How many people the time affords: for colours, for animals; and that in words."""

    people: int
    others: int
    said: str


def sizes(
    model: Model, what: Tasks, people: pd.DataFrame, target: str, minutes: float, *, models: int = 4
) -> Sizes:
    """The people of a study that a time affords, by the model's measured speed.

    Parameters
    ----------
    model, what : the model, and what it is asked.
    people : all who are to be asked, 4 or more.
    target : of the animals.
    minutes : for the whole study, of which colours get 0.25 and animals 0.12; the rest is for the
        training and what is written. 0 for all people at any cost, without measuring.
    models : that are asked for colours, beside one other context.

    Returns
    -------
    Sizes
        At least 4 people of each.
    """
    n = len(people)
    if not minutes:
        others = min(n, MOST)
        return Sizes(n, others, f"{n} people are asked for colours, {others} for animals.")
    words, pairs = len(concepts.WORDS), 72
    colours, animals = what.colours(people), what.animals(people.head(3), target)
    some = affordable(model, what.colour, colours, 0.25 * minutes) // (words * (models + 1))
    few = affordable(model, what.animal, animals, 0.12 * minutes) // (2 * pairs)
    some, few = int(np.clip(some, 4, n)), int(np.clip(few, 4, min(n, MOST)))
    return Sizes(some, few, (
        f"By its measured speed the model affords, in {minutes:g} min, {some} of {n} people "
        f"for colours and {few} for animals."
    ))  # fmt: skip


def direct(model: Model, what: Tasks) -> tuple[FloatArray, FloatArray]:
    """Shares that the model states for each word without any persona, and their valid mass.

    Returns
    -------
    (1, words, options) shares that sum to 1, as the belief of one population; and (words,).
    """
    way = getattr(model, "chat", None)
    counting = model if way is None else with_chat(model, replace(way, answer="auto"))
    stated = [
        direct_shares(counting, what.about(word), POPULATION, step=1) for word in concepts.WORDS
    ]
    shares = np.stack([table["share"].to_numpy(dtype=float) for table in stated])
    return shares[None], np.array([float(table["valid_mass"].mean()) for table in stated])
