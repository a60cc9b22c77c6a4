"""Code book of `car`, stated choices among six vehicles (Brownstone & Train 1999).

Codes as the data set's card describes them; sentences and question are this project's.
"""

from __future__ import annotations

import pandas as pd

from simkit.personas.codebook import Attribute, CodeBook
from simkit.personas.margins import columns_of
from simkit.questions import Question
from simkit.templates import fill_one
from simkit.types import framed, invalid_row

__all__ = ["CAR", "VEHICLES", "car_choice", "car_vehicles"]

VEHICLES = 6
_BODY = {
    "regcar": "car",
    "sportuv": "sport utility vehicle",
    "sportcar": "sports car",
    "stwagon": "station wagon",
    "truck": "truck",
    "van": "van",
}
_FUEL = {name: name for name in ("gasoline", "methanol", "electric")} | {"cng": "natural gas"}

CAR = CodeBook(
    {
        "college": Attribute(
            {0: "no college", 1: "college"},
            "Did you go to college?",
            ("The respondent's education is {text}.", "Education: {text}."),
            ("Your education is {text}.", "Education: {text}."),
            ("My education is {text}.", "Education: {text}."),
            ordered=True,
        ),
        "hsg2": Attribute(
            {0: "one or two people", 1: "three people or more"},
            "How many people live in your household?",
            ("The household is {text}.", "Household: {text}."),
            ("Your household is {text}.", "Household: {text}."),
            ("My household is {text}.", "Household: {text}."),
            ordered=True,
        ),
        "coml5": Attribute(
            {0: "five miles or more", 1: "under five miles"},
            "How far is your way to work?",
            ("The way to work is {text}.", "Way to work: {text}."),
            ("Your way to work is {text}.", "Way to work: {text}."),
            ("My way to work is {text}.", "Way to work: {text}."),
        ),
    },
    {
        "third": "A survey of households about their next car.",
        "second": "You are asked about your next car.",
        "first": "I am asked about my next car.",
    },
    source="codes: the card of `car`; sentences: this project",
)


def car_vehicles(frame: pd.DataFrame) -> pd.DataFrame:
    """What each of the six vehicles is called, one row per respondent.

    Parameters
    ----------
    frame : DataFrame
        From ``datasets.load("car")``.

    Returns
    -------
    DataFrame
        Columns vehicle1 … vehicle6: fuel, body, price (divided by the log of income, as the data
        have it) and range in miles.

    Raises
    ------
    ValueError
        For a column that is not there, a fuel or body that is not in the book and a missing price
        or range, naming the row.
    """
    framed(frame, "the frame")
    texts = {}
    for k in range(1, VEHICLES + 1):
        columns = [f"{name}{k}" for name in ("fuel", "type", "price", "range")]
        columns_of(frame, columns, "columns", "the frame")
        rows = frame[columns].itertuples(index=True, name=None)
        texts[f"vehicle{k}"] = [_vehicle(*row) for row in rows]
    return pd.DataFrame(texts, index=frame.index)


def _vehicle(row: object, fuel: str, body: str, price: float, miles: float) -> str:
    for name, value, known in (("fuel", fuel, _FUEL), ("body", body, _BODY)):
        if str(value) not in known:
            raise invalid_row(name, row, value, f"one of {', '.join(known)}")
    values = {"vehicle": f"{_FUEL[fuel]} {_BODY[body]}", "price": price, "range": miles}
    return fill_one("{vehicle}, price {price:.1f}, range {range:.0f}", values, row)


def car_choice() -> Question:
    """The question which of the six vehicles the household will buy.

    Returns
    -------
    Question
        The design's columns vehicle1 … vehicle6 (see :func:`car_vehicles`) fill the options.

    Examples
    --------
    >>> car_choice().labels
    ('1', '2', '3', '4', '5', '6')
    """
    options = [f"{{vehicle{k}}}" for k in range(1, VEHICLES + 1)]
    return Question("Which vehicle will the household buy?", options, layout="numbers")
