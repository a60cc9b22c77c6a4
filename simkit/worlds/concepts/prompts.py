"""The concepts world in words: colours that come to mind, animals that are alike.

A prompt says some attributes of a person, or what the person answered before, or both, and asks
for a word's colour (a hex code) or which of two animals is more like a third. The exact answer
sums over the latent types: P(type | attributes said, answers said) times P(answer | type). So the
spread within one person and across the population is known for every word, which is the ground for
measuring conceptual diversity (arXiv 2411.04427). The numbers are in
`simkit.worlds.concepts.causal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
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
_SAID = {
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
    """The question "colour" (options: the twelve hex codes) or "animal" (options: first, second).

    The prompts fill in the design's `word`, or its `target`, `first` and `second`.
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
    Array of shape (n_rows, n_options), options in the question's order. Raises ValueError for a
    value that the world does not have, naming row, column and the legal values.
    """
    types = _type_beliefs(design, ask)
    if ask == "colour":
        words = codes("word", _column(design, "word"), WORDS, missing=False)
        return np.asarray(np.einsum("nt,ntk->nk", types, COLOUR[words]))
    target, first, second = (
        codes(c, _column(design, c), ANIMALS, missing=False) for c in ("target", "first", "second")
    )
    _distinct(np.stack([target, first, second], axis=1), np.arange(len(design)))
    p = (types * FIRST[:, target, first, second].T).sum(1)
    return np.stack([p, 1 - p], axis=1)


def _type_beliefs(design: pd.DataFrame, ask: str) -> FloatArray:
    """P(latent type | what the row says), shape (n_rows, types)."""
    one_of(ask, "question", QUESTIONS)
    n = len(framed(design, "the design"))
    given = {a: people.encode(a, design[a].tolist() if a in design else [None] * n)
             for a in ATTRIBUTES}  # fmt: skip
    prior = people.conditional(_LATENT[ask], given)
    rows, said = _interviews(design, ask)
    log_likelihood = np.zeros_like(prior)
    if len(rows):
        p = COLOUR[said[:, 0], :, said[:, 1]] if ask == "colour" else FIRST[:, *said.T].T
        np.add.at(log_likelihood, rows, np.log(p))
    posterior = prior * np.exp(log_likelihood - log_likelihood.max(1, keepdims=True))
    return np.asarray(posterior / posterior.sum(1, keepdims=True))


def _column(design: pd.DataFrame, name: str) -> list[Any]:
    if name not in design:
        raise ValueError(f"the design has no column {name!r}; it has: {', '.join(design)}")
    return list(design[name])


def _distinct(triples: IntArray, rows: IntArray) -> None:
    target, first, second = triples.T
    bad = (target == first) | (target == second) | (first == second)
    if bad.any():
        i = int(np.argmax(bad))
        names = [ANIMALS[c] for c in triples[i]]
        raise ValueError(f"row {rows[i]}: target, first, second are {names}; legal: three animals")


def _interviews(design: pd.DataFrame, ask: str) -> tuple[IntArray, IntArray]:
    """All earlier answers: the row of each (m,), and its codes.

    Codes are (word, colour), shape (m, 2), or (target, chosen, other), shape (m, 3).
    """
    legal = (WORDS, tuple(PALETTE)) if ask == "colour" else (ANIMALS,) * 4
    rows: list[int] = []
    flat: list[Sequence[str]] = []
    for row, said in enumerate(design.get("earlier", ())):
        if is_missing(said):
            continue
        if isinstance(said, str) or any(isinstance(x, str) or len(x) != len(legal) for x in said):
            form = "(word, hex code)" if ask == "colour" else "(target, first, second, chosen)"
            raise ValueError(f"row {row}: earlier={said!r}; it must be a sequence of {form}")
        rows += [row] * len(said)
        flat += said
    at = np.array(rows, dtype=np.int64)
    coded = [
        codes("earlier", [told[i] for told in flat], there, rows=at, missing=False)
        for i, there in enumerate(legal)
    ]
    if ask == "colour":
        return at, np.stack(coded, axis=1)
    target, first, second, chosen = coded
    _distinct(np.stack([target, first, second], axis=1), at)
    stray = (chosen != first) & (chosen != second)
    if stray.any():
        i = int(np.argmax(stray))
        raise ValueError(f"row {at[i]}: earlier={flat[i]!r}: the chosen one is not of the pair")
    return at, np.stack([target, chosen, first + second - chosen], axis=1)


def with_context(frame: pd.DataFrame, ask: str) -> pd.DataFrame:
    """The frame with a column `context`: what the prompt says, in English.

    Raises ValueError for more than four earlier answers in a row, and as `exact` does for
    malformed ones.
    """
    one_of(ask, "question", QUESTIONS)
    rows, said = _interviews(framed(frame, "the frame"), ask)
    legal = (WORDS, tuple(PALETTE)) if ask == "colour" else (ANIMALS,) * 3
    slots: list[list[tuple[str, ...] | None]] = [[None] * len(frame) for _ in range(EARLIER)]
    used = np.zeros(len(frame), dtype=int)
    for row, told in zip(rows, said, strict=True):
        if used[row] == EARLIER:
            raise ValueError(f"row {row}: more than {EARLIER} earlier answers; legal: up to four")
        slots[used[row]][row] = tuple(x[c] for x, c in zip(legal, told, strict=True))
        used[row] += 1
    spoken = frame.reindex(columns=[*ATTRIBUTES, *(["wording"] if "wording" in frame else [])])
    spoken = spoken.assign(about=_ABOUT[ask])
    book = dict(SENTENCES)
    for i, values in enumerate(slots):
        spoken[f"said_{i}"] = pd.Series(values, index=frame.index, dtype=object)
        for place in range(len(legal)):
            spoken[f"said_{i}_{place}"] = [None if v is None else v[place] for v in values]
        book[f"said_{i}"] = tuple(s.replace("{", f"{{said_{i}_") for s in _SAID[ask])
    return frame.assign(context=describe(spoken, book))


def design(
    ask: str,
    persons: pd.DataFrame | None = None,
    *,
    about: Sequence[str] | None = None,
    wordings: int = 1,
    **said: Any,
) -> pd.DataFrame:
    """Everything that can be asked × wordings × persons, with the text.

    Parameters
    ----------
    ask : "colour" (a row per word) or "animal" (a row per target, pair of the others and order).
    persons : one row per person, attributes and whatever else is to be carried along (latent
        types are never stated); None asks about nobody in particular.
    about : the words or the targets; all by default.
    wordings : phrasings and orders of the text, of which no two are the same text of any person:
        the first numbers of the training text that differ in what is said of everybody. Raises
        ValueError for more than there are, saying how many, and for words or targets that are
        there twice.
    said : attributes or `earlier`, the same in every row.

    >>> design("colour", about=["luck"], work="farmer").context.item()
    'A person talks about colours. The person works as a farmer.'
    """
    one_of(ask, "question", QUESTIONS)
    if persons is not None:
        framed(persons, "persons")
    unknown = [name for name in said if name not in (*ATTRIBUTES, "earlier")]
    if unknown:
        raise ValueError(f"no field {unknown[0]!r}; legal: {', '.join(ATTRIBUTES)}, earlier")
    if about is not None:
        about = listed(about, "about")
        once("about", about)
    if ask == "colour":
        items = pd.DataFrame({"word": list(WORDS if about is None else about)})
    else:
        triples = [
            (target, *order)
            for target in (ANIMALS if about is None else about)
            for pair in combinations([a for a in ANIMALS if a != target], 2)
            for order in (pair, pair[::-1])
        ]
        items = pd.DataFrame(triples, columns=["target", "first", "second"])
    numbers = pd.DataFrame({"wording": _numbers(wordings, ask, persons, said)})
    frame = items.merge(numbers, how="cross")
    if persons is not None:
        frame = persons.merge(frame, how="cross")
    for name, value in said.items():
        frame[name] = pd.Series([value] * len(frame), index=frame.index, dtype=object)
    return with_context(frame, ask)


def _numbers(asked: int, ask: str, persons: pd.DataFrame | None, said: dict[str, Any]) -> list[int]:
    """So many wordings that are distinct even if no more is said than what all rows say."""
    given = {a: v for a, v in said.items() if a in ATTRIBUTES}
    frame = (pd.DataFrame(index=[0]) if persons is None else persons).assign(**given)
    told = [a for a in ATTRIBUTES if a in frame and frame[a].notna().all()]
    every = pd.DataFrame({"wording": range(WORDINGS)})
    probe = with_context(frame[told].head(1).merge(every, how="cross"), ask)
    distinct: list[int] = probe["context"].drop_duplicates().index.tolist()
    check_wordings(asked, len(distinct))
    return distinct[:asked]


def _kind(ask: str, *, interview: bool = False, full: bool = False, again: float = 0.2) -> Build:
    """Prompts with attributes (an even number of them, or all), perhaps with earlier answers.

    `again` is the share of the colour interviews whose word has been answered before, for sure.
    """

    def build(n: int, rng: np.random.Generator, held_out: bool = False) -> Prompts:
        frame = individuals(n, rng)
        if interview:
            frame["earlier"] = (_earlier_colours if ask == "colour" else _earlier_animals)(
                frame, rng
            )
        frame = _asked(frame, ask, again, rng)
        if not full:
            leave_out(frame, ATTRIBUTES, rng)
        frame["wording"] = wordings(n, rng, held_out)
        frame = with_context(frame.drop(columns=["person", *_LATENT.values()]), ask)
        return frame, question(ask), exact(frame, ask)

    return build


def _asked(frame: pd.DataFrame, ask: str, again: float, rng: np.random.Generator) -> pd.DataFrame:
    """What each row asks about; half the comparisons after others keep to the first's target."""
    n = len(frame)
    earlier = frame["earlier"].tolist() if "earlier" in frame else None
    if ask == "colour":
        word = np.array(WORDS, dtype=object)[rng.integers(len(WORDS), size=n)]
        if earlier is not None:
            word = np.where(rng.random(n) < again, [said[0][0] for said in earlier], word)
        return frame.assign(word=word)
    triple = rng.random((n, len(ANIMALS))).argsort(1)[:, :3]
    if earlier is not None:
        told = np.array([ANIMALS.index(said[0][0]) for said in earlier])
        triple = _keep_target(triple, np.where(rng.random(n) < 0.5, told, triple[:, 0]))
    names = np.array(ANIMALS, dtype=object)[triple]
    return frame.assign(target=names[:, 0], first=names[:, 1], second=names[:, 2])


def _keep_target(triple: IntArray, target: IntArray) -> IntArray:
    """The triples with another target; where it was in the pair, the two swap places."""
    swapped = np.where(triple == target[:, None], triple[:, :1], triple)
    swapped[:, 0] = target
    return swapped


def _earlier_colours(frame: pd.DataFrame, rng: np.random.Generator) -> pd.Series:
    """One to four answers of each person to words drawn with replacement."""
    words = rng.integers(len(WORDS), size=(len(frame), EARLIER))
    types = people.encode("colour_type", frame["colour_type"].tolist())
    p = COLOUR[words, types[:, None]].reshape(-1, len(PALETTE))
    colours = draw(p, rng).reshape(words.shape)
    hexes = tuple(PALETTE)
    many = rng.integers(1, EARLIER + 1, size=len(frame))
    said = [
        tuple((WORDS[w], hexes[c]) for w, c in zip(row[:k], drawn[:k], strict=True))
        for row, drawn, k in zip(words, colours, many, strict=True)
    ]
    return pd.Series(said, index=frame.index, dtype=object)


def _earlier_animals(frame: pd.DataFrame, rng: np.random.Generator) -> pd.Series:
    """One to four comparisons of each person; half the persons keep to one target."""
    n = len(frame)
    triples = rng.random((n, EARLIER, len(ANIMALS))).argsort(2)[..., :3]
    kept = np.where(rng.random((n, 1)) < 0.5, triples[:, :1, 0], triples[..., 0])
    triples = _keep_target(triples.reshape(-1, 3), kept.ravel())
    ways = people.encode("way", frame["way"].tolist()).repeat(EARLIER)
    takes_first = rng.random(len(triples)) < FIRST[ways, *triples.T]
    chosen = np.where(takes_first, triples[:, 1], triples[:, 2])
    names = np.array(ANIMALS, dtype=object)[np.column_stack([triples, chosen])]
    many = rng.integers(1, EARLIER + 1, size=n)
    said = [
        tuple(tuple(x) for x in row[:k])
        for row, k in zip(names.reshape(n, EARLIER, 4).tolist(), many, strict=True)
    ]
    return pd.Series(said, index=frame.index, dtype=object)


KINDS: Kinds = {
    "colour, persona": Kind(_kind("colour"), 0.05),
    "colour, full persona": Kind(_kind("colour", full=True), 0.06),
    "colour, interview": Kind(_kind("colour", interview=True), 0.13),
    "animal, persona": Kind(_kind("animal"), 0.12),
    "animal, full persona": Kind(_kind("animal", full=True), 0.30),
    "animal, interview": Kind(_kind("animal", interview=True), 0.34),
    "colour, same word": Kind(_kind("colour", interview=True, again=1.0)),  # answered before
}
