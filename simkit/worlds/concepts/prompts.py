"""The concepts world in words: colours that come to mind, animals that are alike.

A prompt states some attributes of a person, or what the person answered before, or both, and asks
for a word's colour (a hex code) or which of two animals is more like a third. The exact answer
sums over the latent types: P(type | what is stated) times P(answer | type). So the spread within
one person and across the population is known for every word, which is the ground for measuring
conceptual diversity (Murthy, Ullman & Hu 2025, arXiv 2411.04427). The numbers are in
`simkit.worlds.concepts.causal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from simkit.personas.render import describe
from simkit.questions import Question
from simkit.templates import is_missing
from simkit.types import FloatArray, IntArray, framed, listed, one_of
from simkit.worlds.concepts.causal import (
    ANIMALS,
    ATTRIBUTES,
    COLOUR,
    FIRST,
    PALETTE,
    WORDS,
    comparisons,
    individuals,
    people,
)
from simkit.worlds.kinds import (
    WORDINGS,
    Build,
    Kind,
    Kinds,
    Prompts,
    check_wordings,
    leave_out,
    once,
    wordings,
)
from simkit.worlds.scm import codes, draw

__all__ = ["KINDS", "QUESTIONS", "SENTENCES", "design", "exact", "question", "with_context"]

EARLIER = 4  # the text has room for this many earlier answers

SENTENCES: dict[str, tuple[str, ...]] = {
    "about": ("A person talks about {about}.", "A person is asked about {about}."),
    "home": ("The person comes from {home}.", "Home is {home}."),
    "work": ("The person works as a {work}.", "The job is that of a {work}."),
    "hobby": ("The hobby is {hobby}.", "Free time goes to {hobby}."),
}
# An earlier answer: (word, hex code), or (target, the animal chosen, the other one).
_EARLIER = {
    "colour": (
        "For {0} this person said {1}.",
        "The answer to {0} was {1}.",
    ),
    "animal": (
        "The {0} seemed more like the {1} than the {2}.",
        "The {0} was closer to the {1} than the {2}.",
    ),
}
_ABOUT = {"colour": "colours", "animal": "animals"}
_LATENT = {"colour": "colour_type", "animal": "way"}
_QUESTIONS = {
    "colour": Question("Which colour comes to mind for {word}?", tuple(PALETTE)),
    "animal": Question(
        "Which is more like the {target}, the {first} or the {second}?", ("{first}", "{second}")
    ),
}
QUESTIONS = tuple(_QUESTIONS)


def question(ask: str) -> Question:
    """One of the two questions.

    Parameters
    ----------
    ask : "colour" (options: the twelve hex codes) or "animal" (options: first, second).

    Returns
    -------
    Question
        Its prompts fill in the design's `word`, or its `target`, `first` and `second`.

    Raises
    ------
    ValueError
        For another name.

    Examples
    --------
    >>> question("animal").text
    'Which is more like the {target}, the {first} or the {second}?'
    """
    one_of(ask, "question", QUESTIONS)
    return _QUESTIONS[ask]


def exact(design: pd.DataFrame, ask: str) -> FloatArray:
    """True probabilities of the answers to `question(ask)`, by enumerating the latent types.

    Parameters
    ----------
    design : one row per prompt, with `word` ("colour") or `target`, `first`, `second` ("animal"),
        and any of the attributes (missing: averaged over as in the population) and `earlier`: a
        sequence of (word, hex code) or of (target, first, second, chosen), or None. Latent types
        are not read, even if the design has them: no prompt states them.
    ask : "colour" or "animal".

    Returns
    -------
    ndarray
        Shape (n_rows, n_options), options in the question's order.

    Raises
    ------
    ValueError
        For a value that the world does not have, naming row, column and the values there are.

    Examples
    --------
    >>> row = pd.DataFrame({"target": ["penguin"], "first": ["seal"], "second": ["finch"]})
    >>> exact(row, "animal").round(2).tolist()
    [[0.59, 0.41]]
    """
    types = _type_beliefs(design, ask)
    asked = ("word",) if ask == "colour" else ("target", "first", "second")
    missing = [name for name in asked if name not in design]
    if missing:
        raise ValueError(f"the design has no column {missing[0]!r}; it has: {', '.join(design)}")
    choices = WORDS if ask == "colour" else ANIMALS
    parts = [codes(name, list(design[name]), choices, missing=False) for name in asked]
    if ask == "colour":
        return np.asarray(np.einsum("nt,ntk->nk", types, COLOUR[parts[0]]))
    _check_triples(np.stack(parts, axis=1), np.arange(len(design)))
    p = (types.T * FIRST[:, parts[0], parts[1], parts[2]]).sum(0)
    return np.stack([p, 1 - p], axis=1)


def _type_beliefs(design: pd.DataFrame, ask: str) -> FloatArray:
    """P(latent type | what the row states), shape (n_rows, types)."""
    one_of(ask, "question", QUESTIONS)
    rows = framed(design, "the design").reindex(columns=list(ATTRIBUTES))
    prior = people.conditional(_LATENT[ask], people.stated(rows, ATTRIBUTES))
    row, earlier = _interviews(design, ask)
    log_likelihood = np.zeros_like(prior)
    if len(row):
        p = COLOUR[earlier[:, 0], :, earlier[:, 1]] if ask == "colour" else FIRST[:, *earlier.T].T
        np.add.at(log_likelihood, row, np.log(p))
    posterior = prior * np.exp(log_likelihood - log_likelihood.max(1, keepdims=True))
    return np.asarray(posterior / posterior.sum(1, keepdims=True))


def _check_triples(triples: IntArray, rows: IntArray) -> None:
    """ValueError where target, first and second are not three animals."""
    target, first, second = triples.T
    repeated = (target == first) | (target == second) | (first == second)
    if repeated.any():
        i = int(np.argmax(repeated))
        names = [ANIMALS[c] for c in triples[i]]
        raise ValueError(
            f"row {rows[i]}: target, first, second are {names}; they must be three animals"
        )


def _interviews(design: pd.DataFrame, ask: str) -> tuple[IntArray, IntArray]:
    """All earlier answers: the row of each (m,), and its codes.

    Codes are (word, colour), shape (m, 2), or (target, chosen, other), shape (m, 3).
    """
    choices = (WORDS, tuple(PALETTE)) if ask == "colour" else (ANIMALS,) * 4
    flat: list[tuple[int, Sequence[str]]] = []
    for row, earlier in enumerate(design.get("earlier", ())):
        if is_missing(earlier):
            continue
        single = isinstance(earlier, str)
        if single or any(isinstance(x, str) or len(x) != len(choices) for x in earlier):
            form = "(word, hex code)" if ask == "colour" else "(target, first, second, chosen)"
            raise ValueError(f"row {row}: earlier={earlier!r}; it must be a sequence of {form}")
        flat += [(row, answer) for answer in earlier]
    rows = np.array([row for row, _ in flat], dtype=np.int64)
    parts = [
        codes("earlier", [answer[i] for _, answer in flat], names, rows=rows, missing=False)
        for i, names in enumerate(choices)
    ]
    if ask == "colour":
        return rows, np.stack(parts, axis=1)
    target, first, second, chosen = parts
    _check_triples(np.stack([target, first, second], axis=1), rows)
    stray = (chosen != first) & (chosen != second)
    if stray.any():
        row, answer = flat[int(np.argmax(stray))]
        raise ValueError(f"row {row}: earlier={answer!r}: the chosen one is not of the pair")
    return rows, np.stack([target, chosen, first + second - chosen], axis=1)


def with_context(frame: pd.DataFrame, ask: str) -> pd.DataFrame:
    """The frame with a column `context`: what the prompt says, in English.

    Parameters
    ----------
    frame : one row per prompt, with any of the attributes, `earlier` and `wording`.
    ask : "colour" or "animal".

    Returns
    -------
    DataFrame
        A copy, with the column `context`.

    Raises
    ------
    ValueError
        For more than four earlier answers in a row, and as `exact` does for malformed ones.

    Examples
    --------
    >>> with_context(pd.DataFrame({"work": ["farmer"]}), "animal").context.item()
    'A person talks about animals. The person works as a farmer.'
    """
    one_of(ask, "question", QUESTIONS)
    rows, earlier = _interviews(framed(frame, "the frame"), ask)
    number = pd.Series(rows).groupby(rows).cumcount().to_numpy()  # which answer of its row
    if (number >= EARLIER).any():
        row = rows[np.argmax(number >= EARLIER)]
        raise ValueError(f"row {row}: more than {EARLIER} earlier answers; there may be up to four")
    spoken = frame.reindex(columns=[*ATTRIBUTES, *(["wording"] if "wording" in frame else [])])
    spoken = spoken.assign(about=_ABOUT[ask])
    book = dict(SENTENCES)
    for i in range(EARLIER):
        for part, values in enumerate(earlier[number == i].T):
            names = (WORDS, tuple(PALETTE))[part] if ask == "colour" else ANIMALS
            column = np.full(len(frame), None, dtype=object)
            column[rows[number == i]] = np.array(names, dtype=object)[values]
            spoken[f"earlier_{i}_{part}"] = column
        book[f"earlier_{i}_0"] = tuple(s.replace("{", f"{{earlier_{i}_") for s in _EARLIER[ask])
    return frame.assign(context=describe(spoken, book))


def design(
    ask: str,
    persons: pd.DataFrame | None = None,
    *,
    about: Sequence[str] | None = None,
    wordings: int = 1,
    **stated: Any,
) -> pd.DataFrame:
    """Everything that can be asked × wordings × persons, and the text.

    Parameters
    ----------
    ask : "colour" (a row per word) or "animal" (a row per target, pair of the others and order).
    persons : one row per person, attributes and whatever else is to be carried along (latent
        types are never stated); None asks about nobody in particular.
    about : the words or the targets; all by default.
    wordings : phrasings and orders of the text, of which no two are the same text of any person:
        the first numbers of the training text that differ in what is stated of everybody.
    **stated
        Attributes or `earlier`, the same in every row.

    Returns
    -------
    DataFrame
        One row per prompt: the columns of `persons`, what is asked, `wording`, what is stated, and
        `context`.

    Raises
    ------
    ValueError
        For more wordings than there are, saying how many; for words or targets that stand twice;
        for an unknown field.

    Examples
    --------
    >>> design("colour", about=["luck"], work="farmer").context.item()
    'A person talks about colours. The person works as a farmer.'
    """
    one_of(ask, "question", QUESTIONS)
    if persons is not None:
        framed(persons, "persons")
    unknown = [name for name in stated if name not in (*ATTRIBUTES, "earlier")]
    if unknown:
        raise ValueError(f"no field {unknown[0]!r}; there are: {', '.join(ATTRIBUTES)}, earlier")
    if about is not None:
        about = listed(about, "about")
        once("about", about)
    if ask == "colour":
        items = pd.DataFrame({"word": list(WORDS if about is None else about)})
    else:
        pairs = comparisons(ANIMALS if about is None else about)
        triples = [(t, *order) for t, *pair in pairs for order in (pair, pair[::-1])]
        items = pd.DataFrame(triples, columns=["target", "first", "second"])
    numbers = pd.DataFrame({"wording": _numbers(wordings, ask, persons, stated)})
    frame = items.merge(numbers, how="cross")
    if persons is not None:
        frame = persons.merge(frame, how="cross")
    for name, value in stated.items():
        frame[name] = pd.Series([value] * len(frame), index=frame.index, dtype=object)
    return with_context(frame, ask)


def _numbers(
    wordings: int, ask: str, persons: pd.DataFrame | None, stated: dict[str, Any]
) -> list[int]:
    """So many wordings that are distinct even if no more is stated than what all rows state."""
    same = {a: v for a, v in stated.items() if a in ATTRIBUTES}
    frame = (pd.DataFrame(index=[0]) if persons is None else persons).assign(**same)
    always = [a for a in ATTRIBUTES if a in frame and frame[a].notna().all()]
    every = pd.DataFrame({"wording": range(WORDINGS)})
    texts = with_context(frame[always].head(1).merge(every, how="cross"), ask)["context"]
    distinct: list[int] = texts.drop_duplicates().index.tolist()
    check_wordings(wordings, len(distinct))
    return distinct[:wordings]


def _kind(ask: str, *, interview: bool = False, full: bool = False, again: float = 0.2) -> Build:
    """Prompts with attributes (an even number of them, or all), perhaps with earlier answers.

    `again` is the share of the colour interviews that ask for a word answered before.
    """

    def build(n: int, rng: np.random.Generator, held_out: bool = False) -> Prompts:
        frame = individuals(n, rng)
        if interview:
            frame["earlier"] = _earlier_answers(frame, ask, rng)
        frame = _with_item(frame, ask, again, rng)
        if not full:
            leave_out(frame, ATTRIBUTES, rng)
        frame["wording"] = wordings(n, rng, held_out)
        frame = with_context(frame.drop(columns=["person", *_LATENT.values()]), ask)
        return frame, question(ask), exact(frame, ask)

    return build


def _with_item(
    frame: pd.DataFrame, ask: str, again: float, rng: np.random.Generator
) -> pd.DataFrame:
    """What each row asks about; half the comparisons after others keep the first one's target."""
    n = len(frame)
    before = [earlier[0][0] for earlier in frame["earlier"]] if "earlier" in frame else None
    if ask == "colour":
        word = np.array(WORDS, dtype=object)[rng.integers(len(WORDS), size=n)]
        if before is not None:
            word = np.where(rng.random(n) < again, before, word)
        return frame.assign(word=word)
    triple = rng.random((n, len(ANIMALS))).argsort(1)[:, :3]
    if before is not None:
        target = np.array([ANIMALS.index(name) for name in before])
        triple = _keep_target(triple, np.where(rng.random(n) < 0.5, target, triple[:, 0]))
    names = np.array(ANIMALS, dtype=object)[triple]
    return frame.assign(target=names[:, 0], first=names[:, 1], second=names[:, 2])


def _keep_target(triple: IntArray, target: IntArray) -> IntArray:
    """The triples with another target; where it was in the pair, the two swap places."""
    swapped = np.where(triple == target[:, None], triple[:, :1], triple)
    swapped[:, 0] = target
    return swapped


def _earlier_answers(frame: pd.DataFrame, ask: str, rng: np.random.Generator) -> pd.Series:
    """One to four answers of each person: to words drawn with replacement, or comparisons, of
    which half the persons keep to one target."""
    n = len(frame)
    types = people.encode(_LATENT[ask], frame[_LATENT[ask]].tolist()).repeat(EARLIER)
    if ask == "colour":
        words = rng.integers(len(WORDS), size=(n, EARLIER)).ravel()
        colours = np.array(list(PALETTE), dtype=object)[draw(COLOUR[words, types], rng)]
        parts = np.column_stack([np.array(WORDS, dtype=object)[words], colours])
    else:
        triples = rng.random((n, EARLIER, len(ANIMALS))).argsort(2)[..., :3]
        target = np.where(rng.random((n, 1)) < 0.5, triples[:, :1, 0], triples[..., 0])
        triples = _keep_target(triples.reshape(-1, 3), target.ravel())
        takes_first = rng.random(len(triples)) < FIRST[types, *triples.T]
        chosen = np.where(takes_first, triples[:, 1], triples[:, 2])
        parts = np.array(ANIMALS, dtype=object)[np.column_stack([triples, chosen])]
    many = rng.integers(1, EARLIER + 1, size=n)
    answers = parts.reshape(n, EARLIER, -1).tolist()
    earlier = [tuple(map(tuple, row[:k])) for row, k in zip(answers, many, strict=True)]
    return pd.Series(earlier, index=frame.index, dtype=object)


KINDS: Kinds = {
    "colour, persona": Kind(_kind("colour"), 0.05),
    "colour, full persona": Kind(_kind("colour", full=True), 0.06),
    "colour, interview": Kind(_kind("colour", interview=True), 0.13),
    "animal, persona": Kind(_kind("animal"), 0.12),
    "animal, full persona": Kind(_kind("animal", full=True), 0.30),
    "animal, interview": Kind(_kind("animal", interview=True), 0.34),
    "colour, same word": Kind(_kind("colour", interview=True, again=1.0)),  # answered before
}
