"""Fine-tuning on a population's answers: LoRA and QLoRA adapters, small and reproducible."""

from simkit.finetune.adapters import load_adapter
from simkit.finetune.data import examples, split_respondents
from simkit.finetune.loss import NumericLoss
from simkit.finetune.quantise import quantise
from simkit.finetune.sweep import learning_curve, sweep
from simkit.finetune.train import Adapted, finetune

__all__ = [
    "Adapted",
    "NumericLoss",
    "examples",
    "finetune",
    "learning_curve",
    "load_adapter",
    "quantise",
    "split_respondents",
    "sweep",
]
