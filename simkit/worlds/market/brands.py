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
_PRICED = ("cuddles_price", "snugly_price")
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
    own = np.stack([*np.meshgrid(prices, prices, indexing="ij"), np.full((6, 6), 30.0)], axis=-1)
    plain = np.array(_TASTE) - _PRICE_WEIGHT * (own - 30)
    shifts = np.array([shift for _, _, shift in _ALOUD.values()])
    aloud_choice = softmax(plain[:, :, None, :] + shifts, axis=-1)
    mean = (own[..., :2].mean(-1) - 31.5) / 10
    base, slope = np.array([(np.log(w), s) for w, s, _ in _ALOUD.values()]).T
    # Deciding first: the thought is the decision, drawn from the same utilities.
    keeps = np.full((3, 3), (1 - _KEEPS_TO_IT) / 2) + np.eye(3) * (1.5 * _KEEPS_TO_IT - 0.5)
    thought = np.zeros((2, *mean.shape, len(THOUGHTS)))
    thought[0, ..., : len(_ALOUD)] = softmax(base + slope * mean[..., None], axis=-1)
    thought[1, ..., len(_ALOUD) :] = softmax(plain, axis=-1)
    choice = np.concatenate([aloud_choice, np.broadcast_to(keeps, (*mean.shape, 3, 3))], axis=2)
    uniform = np.full(len(PRICES), 1 / len(PRICES))
    return SCM((
        Variable("style", STYLES, np.array([0.5, 0.5])),
        *(Variable(name, PRICES, uniform) for name in _PRICED),
        Variable("thought", THOUGHTS, thought, ("style", *_PRICED)),
        Variable("choice", BRANDS, choice, (*_PRICED, "thought")),
    ))  # fmt: skip


shopper: SCM = _shopper()


def exact(design: pd.DataFrame, ask: str = "share") -> FloatArray:
    """True probabilities of the answers to `QUESTIONS[ask]`, by enumeration.

    Prices are set by the design, never by demand, so conditional and interventional agree here.

    Parameters
    ----------
    design : one row per prompt, with `cuddles_price`, `snugly_price` (cents), `style`, for
        "choice" `thought`, and for "letters" the brands in the columns of `LISTED`.
    ask : a key of `QUESTIONS`.

    Returns
    -------
    ndarray
        Shape (n_rows, n_options); the options of "letters" are the places in the list. NaN where a
        style never has the thought.

    Raises
    ------
    ValueError
        For an unknown question or value, and for places that do not hold each brand once.

    Examples
    --------
    >>> exact(design([24], [30])).round(3).tolist()
    [[0.58, 0.235, 0.185]]
    """
    one_of(ask, "question", QUESTIONS)
    framed(design, "the design")
    if ask == "letters":
        missing = [name for name in LISTED if name not in design]
        if missing:
            raise ValueError(f"the design has no column {missing[0]!r}, the brand in that place")
        return _by_place(exact(design.drop(columns=list(LISTED))), design)
    target = "thought" if ask == "thought" else "choice"
    unread = (target,) if ask == "choice" else (target, "thought")
    return shopper.conditional(target, shopper.stated(design, but=unread))


def efficiency(design: pd.DataFrame) -> float:
    """True efficiency factor Var(choice) / Var(belief), summed over brands and design rows.

    Parameters
    ----------
    design : as for :func:`exact`, without `thought`.

    Returns
    -------
    float
        Both variances by enumeration over the thoughts; Var(choice) = p (1 - p), p the share.

    References
    ----------
    Sun & Zhang 2025, arXiv 2512.23184.

    Examples
    --------
    >>> round(efficiency(design([24], [30])), 1)
    45.2
    """
    design = framed(design, "the design").reset_index(drop=True)
    weight, share = exact(design, "thought"), exact(design)
    each = design.loc[design.index.repeat(len(THOUGHTS))].assign(thought=THOUGHTS * len(design))
    belief = np.nan_to_num(exact(each, "choice").reshape(len(design), len(THOUGHTS), -1))
    between = (weight[..., None] * (belief - share[:, None]) ** 2).sum()
    return float((share * (1 - share)).sum() / between)


def _by_place(share: FloatArray, design: pd.DataFrame) -> FloatArray:
    """P(place in the list): the shares of the brands that stand there, tilted by `PULL`."""
    names = design[list(LISTED)].to_numpy()
    for row, order in enumerate(names):
        if sorted(order) != sorted(BRANDS):
            raise ValueError(f"row {row}: {list(order)} is no order of: {', '.join(BRANDS)}")
    place = np.array([[BRANDS.index(name) for name in row] for row in names])
    tilted = np.log(np.take_along_axis(share, place, 1)) + np.array(PULL)
    return np.asarray(softmax(tilted, axis=1))


def design(
    cuddles: Sequence[int] = PRICES, snugly: Sequence[int] = PRICES, style: str = STYLES[0]
) -> pd.DataFrame:
    """All pairs of unit prices, and their text.

    Parameters
    ----------
    cuddles, snugly : prices in cents, of `PRICES`.
    style : how the parent decides, of `STYLES`.

    Returns
    -------
    DataFrame
        One row per pair: `cuddles_price`, `snugly_price`, `style`, `context`.

    Raises
    ------
    ValueError
        For a price that stands twice.

    Examples
    --------
    >>> design([24], [30]).context.item().split(". ")[1:3]
    ['Cuddles cost 24 cents each', 'Snugly cost 30 cents each']
    """
    for name, prices in (("cuddles", cuddles), ("snugly", snugly)):
        once(name, prices)
    frame = pd.DataFrame(list(cartesian(cuddles, snugly)), columns=list(_PRICED))
    return with_context(frame.assign(style=style))


def with_context(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with a column `context`: what the prompt says, in English.

    Parameters
    ----------
    frame : with any of `cuddles_price`, `snugly_price` and `style`.

    Returns
    -------
    DataFrame
        A copy, with the column `context`.

    Examples
    --------
    >>> with_context(pd.DataFrame({"snugly_price": [30]})).context.item()
    'A parent buys diapers. Snugly cost 30 cents each.'
    """
    framed(frame, "the frame")
    return frame.assign(context=describe(frame.assign(cuddles=BRANDS[0]), SENTENCES))
