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

from simkit.audit import asked as asked_as
from simkit.questions import Question
from simkit.scoring import with_chat, worlds_of
from simkit.scoring.types import Model
from simkit.studies.alignment_diversity import task
from simkit.types import FloatArray
from simkit.worlds import concepts
from simkit.worlds.concepts.causal import COLOUR_NAMES

__all__ = ["NAMES", "Tasks", "asked", "tasks"]

INSTRUCTION = "Answer with one word, as in the examples."
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
    shown : text at the head of the prompts of each question ("colour", "animal"); "" for none.
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
