"""The glass box: a small causal LM that learns the worlds from sampled text alone."""

from simkit.glassbox.calibration import calibrate
from simkit.glassbox.card import write_card
from simkit.glassbox.training import SIZES, train

__all__ = ["SIZES", "calibrate", "train", "write_card"]
