"""Surveys: a population, what its people are told, what they are asked, what they answered.

`read_survey` makes one of a file; the studies make theirs of data sets and worlds.
"""

from simkit.survey.item import SCALES, SurveyItem
from simkit.survey.read import read_survey
from simkit.survey.survey import PARTS, Survey, answer_values, scale_of

__all__ = ["PARTS", "SCALES", "Survey", "SurveyItem", "answer_values", "read_survey", "scale_of"]
