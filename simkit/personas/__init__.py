"""Personas: whom a model simulates, told in words, and the batteries that are put to them.

A code book says what each attribute's values are called and how they are told. Margins are cited
distributions. `rake` finds the population that has them, `draw` takes respondents from it, and
`render` tells each of them in words:

>>> from simkit import personas
>>> book = personas.CodeBook({
...     "age": personas.Attribute(
...         personas.Numbers(18, 99), "How old are you?", second="You are {text} years old."
...     ),
...     "car": personas.Attribute(
...         {0: "no car", 1: "one car or more"}, "How many cars has your household?",
...         second="Your household has {text}.", first="My household has {text}.",
...     ),
... })
>>> margins = [
...     personas.Margin("age", {25: 30, 45: 40, 70: 30}, unit="percent", source="a register"),
...     personas.Margin("car", {0: 0.25, 1: 0.75}, source="a travel survey"),
... ]
>>> population = personas.rake(margins)  # or rake(margins, microdata)
>>> people = personas.draw(population, 8, seed=1)
>>> personas.render(people, book, voice="second")[0]
'You are 45 years old. Your household has one car or more.'

The code book also asks. So an attribute can be what the people are asked, and not told:

>>> people["context"] = personas.render(people, book, voice="second", attributes=["age"])
>>> car = personas.question_of(book, "car")
>>> print(car.prompts(people)[0])
You are 45 years old.
Question: How many cars has your household?
Answer:
"""

from simkit.personas.anes import ANES96
from simkit.personas.battery import Battery, Item, show
from simkit.personas.car import CAR, car_choice, car_vehicles
from simkit.personas.chain import chained_correlation
from simkit.personas.checks import CheckAll, check_all
from simkit.personas.codebook import Attribute, CodeBook, Numbers
from simkit.personas.interview import Interviews, interview
from simkit.personas.margins import Margin, margin_of
from simkit.personas.plan import Plan, sampling_plan
from simkit.personas.population import draw
from simkit.personas.raking import Raking, rake
from simkit.personas.rankings import rankings
from simkit.personas.render import describe, render
from simkit.personas.scales import likert, numeric, question_of, read_answers
from simkit.personas.selections import Selections, selections

__all__ = ["ANES96", "CAR", "Attribute", "Battery", "CheckAll", "CodeBook", "Interviews", "Item",
           "Margin", "Numbers", "Plan", "Raking", "Selections", "car_choice", "car_vehicles",
           "chained_correlation", "check_all", "describe", "draw", "interview", "likert",
           "margin_of", "numeric", "question_of", "rake", "rankings", "read_answers", "render",
           "sampling_plan", "selections", "show"]  # fmt: skip
