"""Training: adapters on a population's answers, and the glass box on the worlds' text."""

from simkit.training.adapters import load_adapter
from simkit.training.calibration import calibrate
from simkit.training.card import write_card
from simkit.training.data import examples, split_respondents
from simkit.training.finetuning import Adapted, finetune
from simkit.training.loss import NumericLoss
from simkit.training.pretraining import pretrain
from simkit.training.quantise import quantise
from simkit.training.sweep import learning_curve, sweep

__all__ = [
    "Adapted",
    "NumericLoss",
    "calibrate",
    "examples",
    "finetune",
    "learning_curve",
    "load_adapter",
    "pretrain",
    "quantise",
    "split_respondents",
    "sweep",
    "write_card",
]
