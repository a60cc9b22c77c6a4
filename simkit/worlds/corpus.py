"""Text that the worlds write: the glass box learns from these documents and nothing else.

A document is a prompt and the answers that several independent draws gave to it. The prompt says
some attributes and leaves the rest out at random; each answer is a draw from the world's own
probability given what was said. Answers to one prompt are kept together so that the model can be
trained on all of them for the cost of reading the prompt once; they are as many separate texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from simkit.questions import Question
from simkit.types import FloatArray, generator
from simkit.worlds import brands, market
from simkit.worlds.scm import draw
from simkit.worlds.store import store

__all__ = ["HELD_OUT", "MIXTURE", "WORLDS", "Document", "corpus", "prompts"]

WORLDS = ("market",)  # whose text the mixture holds
CHUNK = 20_000  # documents made at a time; chunk i is the same whatever came before
WORDINGS = 400  # phrasings × orders that training text uses; held-out prompts use others


@dataclass(frozen=True)
class Document:
    """A prompt and the answers drawn for it (each with its leading separator).

    `ends` is False where an answer is not the end of the text: a thought, which a choice follows.
    """

    kind: str
    prompt: str
    answers: tuple[str, ...]
    ends: bool = True


# A kind builds n prompts: the design with its `context`, the question, the truth (n, K).
Prompts = tuple[pd.DataFrame, Question, FloatArray]
Kind = Callable[[int, np.random.Generator, bool], Prompts]  # True: held-out phrasings


def _store_kind(ask: str, covariates: str, experiment: str = "never") -> Kind:
    """Prompts of the store: which covariates are stated, and whether an experiment is."""

    def build(n: int, rng: np.random.Generator, held_out: bool = False) -> Prompts:
        frame = _store_rows(n, rng, held_out)
        announced = rng.random(n) < {"never": 0.0, "maybe": 0.5, "always": 1.0}[experiment]
        _announce(frame, announced, rng)
        asked = str(rng.choice(list(market.COVARIATES))) if ask == "covariate" else ask
        _leave_out(frame, covariates, rng)
        if asked in frame:
            frame[asked] = None
        frame = market.with_context(frame)
        return frame, market.question(asked), market.exact(frame, asked)

    return build


def _store_rows(n: int, rng: np.random.Generator, held_out: bool) -> pd.DataFrame:
    """Products and prices evenly; covariates half as they go with the price, half as they come.

    The spread of prompts is free to choose: the answers are drawn given the prompt, so rare
    prices can be as well covered as common ones without changing any conditional probability.
    """
    scm = store
    drawn = scm.sample(n, rng)
    price = rng.integers(len(market.PRICES), size=n)
    tied = rng.random(n) < 0.5
    order = ("product", *market.COVARIATES)
    joint = scm.joint()[..., 0] + scm.joint()[..., 1]
    for p in range(len(market.PRICES)):  # P(product, covariates | price)
        rows = np.flatnonzero(tied & (price == p))
        cells = joint[..., p].ravel() / joint[..., p].sum()
        picked = np.unravel_index(rng.choice(cells.size, len(rows), p=cells), joint.shape[:-1])
        for name, codes in zip(order, picked, strict=True):
            drawn[name][rows] = codes
    drawn["price"] = price
    columns = (*order, "price")
    frame = pd.DataFrame(
        {c: np.array(scm[c].values, dtype=object)[drawn[c]] for c in columns}, dtype=object
    )
    wording = rng.integers(1, WORDINGS, size=n)
    wording = np.where(rng.random(n) < 0.25, 0, wording)
    return frame.assign(wording=wording + WORDINGS if held_out else wording)


def _announce(frame: pd.DataFrame, announced: np.ndarray, rng: np.random.Generator) -> None:
    """Write an experiment into the announced rows, with the weather and the prices it implies."""
    names = np.array(list(market.EXPERIMENTS), dtype=object)
    weights = np.array([3.0 if name == "all days" else 1.0 for name in names])
    chosen = rng.choice(names, size=len(frame), p=weights / weights.sum())
    frame["experiment"] = pd.Series(chosen, dtype=object).where(announced, None)
    for name, plan in market.EXPERIMENTS.items():
        rows = frame.index[frame["experiment"] == name]
        prices = np.array(market.PRICES[plan["prices"]])
        frame.loc[rows, "price"] = rng.choice(prices, size=len(rows))
        if plan["days"] is not None:
            frame.loc[rows, "temperature"] = plan["days"]


def _leave_out(frame: pd.DataFrame, covariates: str, rng: np.random.Generator) -> None:
    """Drop covariates: "none" are stated, "all" are, or "some" (an even number of them)."""
    if covariates == "all":
        return
    names = list(market.COVARIATES)
    keep = rng.integers(len(names) + 1, size=(len(frame), 1)) if covariates == "some" else 0
    rank = rng.random((len(frame), len(names))).argsort(1)
    for column, name in enumerate(names):
        frame[name] = frame[name].where(rank[:, column] < np.ravel(keep), None)


def _brand_kind(ask: str) -> Kind:
    """Prompts of the brand choice: prices even, thoughts as the prices bring them."""

    def build(n: int, rng: np.random.Generator, held_out: bool = False) -> Prompts:
        scm = brands.shopper
        drawn = scm.sample(n, rng)
        names = ("cuddles_price", "snugly_price", "style", "thought")
        frame = pd.DataFrame(
            {c: np.array(scm[c].values, dtype=object)[drawn[c]] for c in names}, dtype=object
        )
        frame = brands.with_context(frame)
        return frame, brands.QUESTIONS[ask], brands.exact(frame, ask)

    return build


# What is stated, and whether an experiment is, where a covariate is asked for.
_COVARIATE_KINDS = {
    "blind": ("none", "never"),
    "some stated": ("some", "maybe"),
    "unblinded": ("none", "always"),
}

# kind -> (share of the documents, how to build them). Another world adds its kinds here.
MIXTURE: dict[str, tuple[float, Kind]] = {
    "purchase, blind": (0.10, _store_kind("buys", "none")),
    "purchase, some stated": (0.18, _store_kind("buys", "some")),
    "purchase, all stated": (0.16, _store_kind("buys", "all")),
    "purchase, unblinded": (0.15, _store_kind("buys", "none", "always")),
    "purchase, unblinded and stated": (0.07, _store_kind("buys", "some", "always")),
    "covariate, blind": (0.06, _store_kind("covariate", *_COVARIATE_KINDS["blind"])),
    "covariate, some stated": (0.08, _store_kind("covariate", *_COVARIATE_KINDS["some stated"])),
    "covariate, unblinded": (0.06, _store_kind("covariate", *_COVARIATE_KINDS["unblinded"])),
    "ten customers": (0.05, _store_kind("buyers", "none", "maybe")),
    "brand share": (0.02, _brand_kind("share")),
    "brand thought": (0.03, _brand_kind("thought")),
    "brand choice": (0.04, _brand_kind("choice")),
}


_UNFINISHED = ("brand thought",)


# kind -> how to build held-out prompts: the mixture's kinds, each covariate apart.
HELD_OUT: dict[str, Kind] = {
    **{k: build for k, (_, build) in MIXTURE.items() if not k.startswith("covariate, ")},
    **{
        f"{name}, {kind}": _store_kind(name, *how)
        for kind, how in _COVARIATE_KINDS.items()
        for name in market.COVARIATES
    },
}


def prompts(kind: str, n: int, seed: int) -> tuple[pd.DataFrame, Question, FloatArray]:
    """n held-out prompts of one kind with their exact answer probabilities, shape (n, K)."""
    if kind not in HELD_OUT:
        raise ValueError(f"no kind {kind!r}; there are: {', '.join(HELD_OUT)}")
    return HELD_OUT[kind](n, generator(seed, "prompts", kind), True)


def corpus(seed: int, *, answers: int = 8, start: int = 0) -> Iterator[list[Document]]:
    """Endless chunks of documents, shuffled; chunk i depends on `seed` and i alone.

    Parameters
    ----------
    seed : the corpus's seed.
    answers : independent answers drawn per prompt.
    start : number of the first chunk, to resume a training run.
    """
    shares = np.array([share for share, _ in MIXTURE.values()])
    while True:
        rng = generator(seed, "corpus", start)
        counts = rng.multinomial(CHUNK, shares / shares.sum())
        chunk: list[Document] = []
        for (kind, (_, build)), count in zip(MIXTURE.items(), counts, strict=True):
            # Small batches, because one batch of covariate prompts asks for one covariate.
            for size in np.diff(np.linspace(0, count, 6).astype(int)):
                chunk += _documents(kind, build(int(size), rng, False), answers, rng)
        yield [chunk[i] for i in rng.permutation(len(chunk))]
        start += 1


def _documents(kind: str, built: Prompts, answers: int, rng: np.random.Generator) -> list[Document]:
    design, question, truth = built
    drawn = draw(np.repeat(truth, answers, axis=0), rng).reshape(len(truth), answers)
    texts = np.array([question.separator + o for o in question.options], dtype=object)
    return [
        Document(kind, prompt, tuple(texts[row]), ends=kind not in _UNFINISHED)
        for prompt, row in zip(question.prompts(design), drawn, strict=True)
    ]
