"""The brand-choice part of the market world: two brands of diapers and an outside option.

A parent sees two unit prices, has one thought, and chooses. The thought depends on the prices and
shifts the choice: a little when the parent *thinks aloud*, wholly when the parent *decides first*.
So the belief at the moment of choosing varies from run to run, by an amount that enumeration over
the thoughts gives exactly: the ground on which model choice and model belief are compared
(Sun & Zhang, arXiv 2512.23184). Where the brands are listed under letters, the place in the list
pulls too: a position bias of known size. Brands, prices and thoughts are invented.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product as cartesian

import numpy as np
import pandas as pd
from scipy.special import softmax

from simkit.personas.render import describe
from simkit.questions import Question
from simkit.types import FloatArray, framed, one_of
from simkit.worlds.kinds import once
from simkit.worlds.scm import SCM, Variable

__all__ = ["BRANDS", "LISTED", "PRICES", "PULL", "QUESTIONS", "STYLES", "THOUGHTS", "design",
           "efficiency", "exact", "shopper", "with_context"]  # fmt: skip

BRANDS = ("Cuddles", "Snugly", "neither")
PRICES = tuple(range(24, 42, 3))  # cents per diaper
STYLES = ("thinks aloud", "decides first")

# Thought -> (base weight, how the weight's log moves with the mean price in 10 cents,
#             shift of the choice logit for Cuddles, Snugly, neither).
_ALOUD: dict[str, tuple[float, float, tuple[float, float, float]]] = {
    "Leaks at night are a worry.": (1.0, 0.0, (0.30, -0.10, -0.20)),
    "A soft diaper is kind to the skin.": (1.2, 0.0, (0.35, 0.00, -0.20)),
    "My sister uses Cuddles for her baby.": (0.6, 0.0, (0.45, -0.15, 0.00)),
    "The last pack fitted well enough.": (1.0, 0.0, (0.10, 0.10, -0.20)),
    "Snugly has a good name in town.": (0.6, 0.0, (-0.15, 0.45, 0.00)),
    "A good fit matters at this age.": (1.2, 0.0, (-0.10, 0.30, -0.15)),
    "The baby crawls all day now.": (1.0, 0.0, (-0.05, 0.25, -0.10)),
    "Every cent counts this month.": (0.8, 0.8, (-0.15, -0.10, 0.40)),
    "These prices have gone up again.": (0.7, 0.9, (-0.10, -0.15, 0.45)),
    "There are some left at home.": (0.8, 0.3, (-0.10, -0.10, 0.35)),
}
# Decision -> the choice it nearly fixes.
_DECIDED = {
    "It has to be Cuddles this time.": 0,
    "It has to be Snugly this time.": 1,
    "It is better to wait for a sale.": 2,
}
THOUGHTS = (*_ALOUD, *_DECIDED)
_TASTE = (0.35, 0.15, 0.0)  # logit at 30 cents each
_PRICE_WEIGHT = 0.12  # logits per cent
_KEEPS_TO_IT = 0.98  # P(choice = what was decided)
PULL = (0.8, 0.2, 0.0)  # logits that the first, second and third place in a list add
LISTED = ("listed_first", "listed_second", "listed_third")  # columns: the brand in each place

SENTENCES: dict[str, tuple[str, ...]] = {
    "cuddles": ("A parent buys diapers.",),
    "cuddles_price": ("Cuddles cost {cuddles_price} cents each.",),
    "snugly_price": ("Snugly cost {snugly_price} cents each.",),
    "style": ("The parent {style}.",),
}
_ASK = "Which diapers does the parent take?"
_QUICK = "{context}\nQuestion: {question}\nAnswer:"
_THINK = "{context}\nQuestion: {question}\nThought:"
QUESTIONS: dict[str, Question] = {
    # The share over all thoughts, asked for at once; the thought; the choice after a thought.
    "share": Question(_ASK, BRANDS, template=_QUICK),
    "thought": Question(_ASK, tuple(t + "\nAnswer:" for t in THOUGHTS), template=_THINK),
    "choice": Question(_ASK, BRANDS, template=_THINK + " {thought}\nAnswer:"),
    "run": Question(_ASK, BRANDS, template=_THINK),  # the thought is the model's to write
    # The share again, asked for by letter; the design says which brand stands where.
    "letters": Question(_ASK, [f"{{{place}}}" for place in LISTED], layout="letters"),
}


def _shopper() -> SCM:
    prices = np.array(PRICES, dtype=float)
    a, b = np.meshgrid(prices, prices, indexing="ij")
    plain = np.stack(
        [
            _TASTE[0] - _PRICE_WEIGHT * (a - 30),
            _TASTE[1] - _PRICE_WEIGHT * (b - 30),
            np.full_like(a, _TASTE[2]),
        ],
        axis=-1,
    )
    shifts = np.array([s for _, _, s in _ALOUD.values()])
    aloud_choice = softmax(plain[:, :, None, :] + shifts, axis=-1)
    mean = ((a + b) / 2 - 31.5) / 10
    base, slope = np.array([(np.log(w), s) for w, s, _ in _ALOUD.values()]).T
    aloud = softmax(base + slope * mean[..., None], axis=-1)
    # Deciding first: the thought is the decision, drawn from the same utilities.
    decided = softmax(plain, axis=-1)
    keeps = np.full((3, 3), (1 - _KEEPS_TO_IT) / 2) + np.eye(3) * (1.5 * _KEEPS_TO_IT - 0.5)
    thought = np.zeros((2, *a.shape, len(THOUGHTS)))
    thought[0, ..., : len(_ALOUD)] = aloud
    thought[1, ..., len(_ALOUD) :] = decided
    choice = np.concatenate([aloud_choice, np.broadcast_to(keeps, (*a.shape, 3, 3))], axis=2)
    uniform = np.full(len(PRICES), 1 / len(PRICES))
    return SCM(
        (
            Variable("style", STYLES, np.array([0.5, 0.5])),
            Variable("cuddles_price", PRICES, uniform),
            Variable("snugly_price", PRICES, uniform),
            Variable("thought", THOUGHTS, thought, ("style", "cuddles_price", "snugly_price")),
            Variable("choice", BRANDS, choice, ("cuddles_price", "snugly_price", "thought")),
        )
    )


shopper: SCM = _shopper()


def exact(design: pd.DataFrame, ask: str = "share") -> FloatArray:
    """True probabilities of `QUESTIONS[ask]` for each design row, shape (n_rows, n_options).

    Columns used: `cuddles_price`, `snugly_price` (cents), `style`, for "choice" `thought`, and for
    "letters" the brands in the columns of `LISTED`, whose options are the places in the list.
    Prices are set by the design, never by demand, so conditional and interventional agree here.
    """
    one_of(ask, "question", QUESTIONS)
    framed(design, "the design")
    if ask == "letters":
        missing = [name for name in LISTED if name not in design]
        if missing:
            raise ValueError(f"the design has no column {missing[0]!r}, the brand in that place")
        return _by_place(exact(design.drop(columns=list(LISTED))), design)
    target = "thought" if ask == "thought" else "choice"
    names = [v.name for v in shopper.variables if v.name in design and v.name != target]
    if ask in ("share", "run"):
        names = [n for n in names if n != "thought"]
    return shopper.conditional(target, {n: shopper.encode(n, design[n].tolist()) for n in names})


def efficiency(design: pd.DataFrame) -> float:
    """True efficiency factor: Var(choice) / Var(belief), summed over brands and design rows.

    Both by enumeration over thoughts; Var(choice) = p (1 - p) with p the share. Columns as `exact`.
    """
    design = framed(design, "the design").reset_index(drop=True)
    weight, share = exact(design, "thought"), exact(design)
    each = design.loc[design.index.repeat(len(THOUGHTS))].assign(thought=THOUGHTS * len(design))
    after = np.nan_to_num(exact(each, "choice").reshape(len(design), len(THOUGHTS), -1))
    between = (weight[..., None] * (after - share[:, None]) ** 2).sum()
    return float((share * (1 - share)).sum() / between)


def _by_place(share: FloatArray, design: pd.DataFrame) -> FloatArray:
    """P(place in the list): the shares of the brands that stand there, tilted by `PULL`."""
    names = design[list(LISTED)].to_numpy()
    for row, listed in enumerate(names):
        if sorted(listed) != sorted(BRANDS):
            raise ValueError(f"row {row}: {list(listed)} is no order of: {', '.join(BRANDS)}")
    place = np.array([[BRANDS.index(name) for name in row] for row in names])
    tilted = np.log(np.take_along_axis(share, place, 1)) + np.array(PULL)
    return np.asarray(softmax(tilted, axis=1))


def design(
    cuddles: Sequence[int] = PRICES, snugly: Sequence[int] = PRICES, style: str = STYLES[0]
) -> pd.DataFrame:
    """All pairs of unit prices (cents) with the prompt's `context`.

    Raises ValueError for a price that is there twice.
    """
    for name, prices in (("cuddles", cuddles), ("snugly", snugly)):
        once(name, prices)
    frame = pd.DataFrame(
        list(cartesian(cuddles, snugly)), columns=["cuddles_price", "snugly_price"]
    ).assign(style=style)
    return with_context(frame)


def with_context(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with a column `context`: what the prompt says, in English."""
    framed(frame, "the frame")
    return frame.assign(context=describe(frame.assign(cuddles=BRANDS[0]), SENTENCES))
