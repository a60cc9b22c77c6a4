"""Code book of `anes96`, the American National Election Study of 1996 as statsmodels carries it.

The codes are those of the data set's own description (statsmodels.datasets.anes96); the sentences
and questions are this project's, not the study's wording.
"""

from __future__ import annotations

from itertools import pairwise

from simkit.personas.codebook import Attribute, CodeBook, Numbers

__all__ = ["ANES96"]


def _scale(texts: str, first: int) -> dict[int, str]:
    """Code -> text of texts parted by commas, numbered from `first`."""
    return dict(enumerate(texts.split(", "), start=first))


_LEFT_RIGHT = _scale(
    "extremely liberal, liberal, slightly liberal, moderate, slightly conservative, conservative, "
    "extremely conservative",
    first=1,
)
_PARTY = _scale(
    "strong Democrat, weak Democrat, leaning Democrat, independent, leaning Republican, "
    "weak Republican, strong Republican",
    first=0,
)
_EDUCATION = _scale(
    "grades 1 to 8, some high school, a high school diploma, some college, a college degree, "
    "a master's degree, a PhD",
    first=1,
)
# Lower ends of the brackets 2 to 24, in dollars; bracket 1 is whatever is below the first.
_BRACKETS = (
    3_000, 5_000, 7_000, 9_000, 10_000, 11_000, 12_000, 13_000, 14_000, 15_000, 17_000, 20_000,
    22_000, 25_000, 30_000, 35_000, 40_000, 45_000, 50_000, 60_000, 75_000, 90_000, 105_000,
)  # fmt: skip
_INCOME = {
    1: f"less than ${_BRACKETS[0]:,}",
    **{
        code: f"${low:,} to ${high - 1:,}"
        for code, (low, high) in enumerate(pairwise(_BRACKETS), start=2)
    },
    24: f"${_BRACKETS[-1]:,} or more",
}


def _days(number: float) -> str:
    return {0: "no day", 1: "one day"}.get(int(number), f"{number:g} days")


def _inhabitants(thousands: float) -> str:
    return "fewer than 1,000" if thousands < 1 else f"about {1000 * thousands:,.0f}"


def _candidate(name: str) -> Attribute:
    """Where the respondent places a candidate for president."""
    return Attribute(
        _LEFT_RIGHT,
        f"Where do you place {name}, from liberal to conservative?",
        (f"To the respondent, {name} is {{text}}.", f"{name}'s place: {{text}}."),
        (f"To you, {name} is {{text}}.", f"{name}'s place, to you: {{text}}."),
        (f"To me, {name} is {{text}}.", f"{name}'s place, to me: {{text}}."),
        ordered=True,
    )


ANES96 = CodeBook(
    {
        "age": Attribute(
            Numbers(17, 120, step=1),
            "How old are you?",
            ("The respondent is {text} years old.", "The respondent is aged {text}."),
            ("You are {text} years old.", "You are aged {text}."),
            ("I am {text} years old.", "I am aged {text}."),
        ),
        "educ": Attribute(
            _EDUCATION,
            "What is your highest education?",
            ("The respondent's highest education is {text}.", "Highest education: {text}."),
            ("Your highest education is {text}.", "Highest education: {text}."),
            ("My highest education is {text}.", "Highest education: {text}."),
            ordered=True,
        ),
        "income": Attribute(
            _INCOME,
            "What is the income of your household?",
            ("The income of the household is {text}.", "Household income: {text}."),
            ("The income of your household is {text}.", "Household income: {text}."),
            ("The income of my household is {text}.", "Household income: {text}."),
            ordered=True,
        ),
        "popul": Attribute(
            Numbers(0, 10_000, _inhabitants),
            "How many people live in your town or place?",
            ("The respondent lives in a place of {text} people.", "People in the place: {text}."),
            ("You live in a place of {text} people.", "People in your place: {text}."),
            ("I live in a place of {text} people.", "People in my place: {text}."),
        ),
        "TVnews": Attribute(
            Numbers(0, 7, _days, step=1),
            "On how many days a week do you watch the news on TV?",
            ("The respondent watches TV news on {text} a week.", "TV news: {text} a week."),
            ("You watch TV news on {text} a week.", "TV news: {text} a week."),
            ("I watch TV news on {text} a week.", "TV news: {text} a week."),
        ),
        "PID": Attribute(
            _PARTY,
            "Which party do you side with, and how strongly?",
            ("The respondent's party identification is {text}.", "Party: {text}."),
            ("Your party identification is {text}.", "Party: {text}."),
            ("My party identification is {text}.", "Party: {text}."),
            ordered=True,
        ),
        "selfLR": Attribute(
            _LEFT_RIGHT,
            "Where do you place yourself, from liberal to conservative?",
            ("The respondent's politics are {text}.", "Own politics: {text}."),
            ("Your politics are {text}.", "Your own politics: {text}."),
            ("My politics are {text}.", "My own politics: {text}."),
            ordered=True,
        ),
        "ClinLR": _candidate("Bill Clinton"),
        "DoleLR": _candidate("Bob Dole"),
        "vote": Attribute(
            {0: "Bill Clinton", 1: "Bob Dole"},
            "Whom do you expect to vote for as president?",
            ("The respondent expects to vote for {text}.", "Expected vote: {text}."),
            ("You expect to vote for {text}.", "Your expected vote: {text}."),
            ("I expect to vote for {text}.", "My expected vote: {text}."),
        ),
    },
    {
        "third": "A survey of American adults in 1996.",
        "second": "It is 1996, and you are an American adult.",
        "first": "It is 1996, and I am an American adult.",
    },
    source="codes: statsmodels.datasets.anes96, variable definitions; sentences: this project",
)
