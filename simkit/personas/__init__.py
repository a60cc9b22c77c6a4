"""Wing 2: respondents, their text, and the surveys that are put to them."""

from simkit.personas.anes import ANES96
from simkit.personas.battery import Battery, Item, show
from simkit.personas.car import CAR, car_choice, car_vehicles
from simkit.personas.chain import chained_correlation
from simkit.personas.codebook import Attribute, CodeBook, Numbers
from simkit.personas.interview import Interviews, interview
from simkit.personas.margins import Margin, margin_of
from simkit.personas.plan import Plan, sampling_plan
from simkit.personas.population import draw
from simkit.personas.raking import Raking, rake
from simkit.personas.render import describe, render
from simkit.personas.scales import (
    likert,
    numeric,
    question_of,
    read_answers,
)

__all__ = ["ANES96", "CAR", "Attribute", "Battery", "CodeBook", "Interviews", "Item", "Margin",
           "Numbers", "Plan", "Raking", "car_choice", "car_vehicles", "chained_correlation",
           "describe", "draw", "interview", "likert", "margin_of", "numeric", "question_of",
           "rake", "read_answers", "render", "sampling_plan", "show"]  # fmt: skip
