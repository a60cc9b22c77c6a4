"""Training: adapters on a population's answers, and the glass box on the worlds' text."""

from simkit.training.adapters import load_adapter, load_with_base
from simkit.training.calibration import calibrate
from simkit.training.card import write_card
from simkit.training.data import examples, split_respondents
from simkit.training.finetuning import Adapted, finetune
from simkit.training.loss import NumericLoss
from simkit.training.pretraining import pretrain
from simkit.training.quantise import quantise
from simkit.training.speed import steps_within

__all__ = ["Adapted", "NumericLoss", "calibrate", "examples", "finetune", "load_adapter",
           "load_with_base", "pretrain", "quantise", "split_respondents", "steps_within",
           "write_card"]  # fmt: skip
