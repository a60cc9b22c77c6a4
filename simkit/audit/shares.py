"""Shares of a population that a model states when it is asked for them: no persona at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from simkit.questions import Question
from simkit.scoring.belief import believe
from simkit.scoring.types import Model
from simkit.types import FloatArray, integer, typed

__all__ = ["direct_shares"]

TEXT = (
    "{population} were asked: {asked} Possible answers: {answers}. What percentage of them "
    "answered “{answer}”?"
)


def direct_shares(
    model: Model, question: Question, population: str, *, step: int = 1
) -> pd.DataFrame:
    """The model asked for a population's shares directly, one question per option.

    The baseline of a panel of personas: it costs K prompts instead of one per person, and was
    nearer to the people in 9 of 9 published comparisons (arXiv 2609.07305).

    Parameters
    ----------
    model : Model
        Asked in its own `chat`.
    question : Question
        With K options and no fields.
    population : str
        Who was asked, as the sentence begins: "Adults in the United States in 1996".
    step : int
        Of the numbers that count, from 0 to 100; it must divide 100. Numbers in between are no
        answer, and lower the valid mass.

    Returns
    -------
    pandas.DataFrame
        One row per option: `option`, `option_id`, `value` where the question has values, `stated`
        (expected percentage, in 0–100), `share` (stated numbers divided by their sum, in 0–1)
        and `valid_mass` (that the model answers with one of the numbers).

    Raises
    ------
    ValueError
        For a question with fields, for a `step` that does not divide 100, and as
        :func:`simkit.believe`.

    Notes
    -----
    Our formulation. The numbers that a model states need not add up to 100; their sum is
    `stated.sum()`. Where "1" is the first token of "10" to "19", what these have is taken off it.

    Examples
    --------
    >>> import simkit as sk
    >>> lm = sk.load(lambda prompt: {"75": 0.9} if "“tea”?" in prompt else {"25": 0.9})
    >>> drink = sk.Question("Tea or coffee?", ["tea", "coffee"])
    >>> direct_shares(lm, drink, "Adults in Wales", step=25)[["option", "stated", "share"]]
       option  stated  share
    0     tea    75.0   0.75
    1  coffee    25.0   0.25
    """
    typed(population, "population", str, "text")
    if 100 % integer(step, "step", 1):
        raise ValueError(f"step is {step}; it must divide 100")
    fields = question.fields - {"context"}
    if fields:
        raise ValueError(
            f"the question has the field {sorted(fields)[0]!r}; fill it in: a population's shares "
            "are asked for one text"
        )
    numbers = [*range(0, 101, step)]
    ask = Question(TEXT, [str(n) for n in numbers], numbers)
    rows = pd.DataFrame({
        "population": population, "asked": question.text,
        "answers": "; ".join(question.options), "answer": list(question.options),
    })  # fmt: skip
    table = believe(model, ask, rows, least_mass=0)
    mass = table.groupby("prompt_id")["valid_mass"].first().to_numpy()
    heads = np.exp(table["logprob"].to_numpy(dtype=float)).reshape(len(rows), -1)
    belief = _apart(heads, ask.options, mass)
    found = pd.DataFrame({"option": question.options, "option_id": np.arange(len(rows))})
    if question.values is not None:
        found["value"] = question.values
    found["stated"] = belief @ np.array(numbers, dtype=float)
    total = found["stated"].sum(skipna=False)
    found["share"] = found["stated"] / total if total > 0 else np.nan
    return found.assign(valid_mass=mass)


def _apart(p: FloatArray, options: Sequence[str], mass: FloatArray) -> FloatArray:
    """Beliefs (n, K) in numbers as whole answers, from the probabilities of their first tokens.

    p : (n, K). mass : (n,) of the events that are apart; where p adds up to more, a number holds
    what those that begin with it have.
    """
    longer = [[o != s and o.startswith(s) and len(o) == len(s) + 1 for o in options]
              for s in options]  # fmt: skip
    nested = p.sum(axis=1) > mass * (1 + 1e-6)
    p = np.where(nested[:, None], np.maximum(p - p @ np.array(longer, dtype=float).T, 0.0), p)
    total = p.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(p, total, out=np.full_like(p, np.nan), where=total > 0))
