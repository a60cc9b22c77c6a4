"""Which of the two paths a model takes: found by trying both on a few tokens."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from simkit.scoring.engine.lean import fits
from simkit.scoring.engine.padded import parameters_of, score_padded
from simkit.scoring.engine.tokens import Ids, pack
from simkit.scoring.engine.tree import Limits, score_tree
from simkit.types import FloatArray

__all__ = ["PATHS", "Choice", "choose"]

PATHS = ("auto", "tree", "padded")
# Largest difference with which the lean forward is taken, and more of it where a log-probability is
# far from 0, for its rounding is: by so much of it.
LEAN, ROUNDING = 1e-5, 16 * float(np.finfo(np.float32).eps)
_NEEDED = {"attention_mask", "position_ids", "past_key_values", "logits_to_keep"}
# Settings by which a network stops looking at all that came before.
_WINDOWS = ("sliding_window", "window_size", "attention_chunk_size", "attention_types")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """The path a model takes, and why.

    difference : root mean square of (tree - padded) over the self-check's log-probabilities; NaN
    if the tree path was not tried. lean : on the tree path, whether the network's weights go
    through the forward of `simkit.scoring.engine.lean` instead of its own.
    """

    path: Literal["tree", "padded"]
    difference: float
    reason: str
    lean: bool = False


def choose(network: Any, asked: str, name: str = "model") -> Choice:
    """Decide for a network; logged, as a warning where "auto" had to fall back.

    Raises RuntimeError if the tree path was asked for and the network cannot take it.
    """
    if asked == "padded":
        return Choice("padded", np.nan, "asked for")
    choice = _try(network)
    if asked == "tree" and choice.path != "tree":
        raise RuntimeError(f"{name} cannot be scored on the tree path: {choice.reason}")
    level = logging.INFO if choice.path == "tree" else logging.WARNING
    _log.log(level, "%s is scored on the %s path: %s", name, choice.path, choice.reason)
    return choice


def _try(network: Any) -> Choice:
    missing = _NEEDED - parameters_of(network)
    if missing:
        return Choice("padded", np.nan, f"its forward takes no {', '.join(sorted(missing))}")
    if _forgets(network.config.get_text_config()):
        return Choice("padded", np.nan, "it does not attend to all that came before")
    contexts, answers = _sample(network.get_input_embeddings().weight.shape[0])
    expected = score_padded(network, contexts, answers)
    try:
        found = score_tree(network, contexts, answers, Limits(budget=24, width=8))
    except Exception as error:  # whatever it is, the other path stands
        return Choice("padded", np.nan, f"the tree path fails with {type(error).__name__}: {error}")
    difference = float(np.sqrt(np.mean((found - expected) ** 2)))
    # Rounding differs between the paths, in half precision by a step or more of the logits; a
    # wrong mask or position moves them as far as other contexts do.
    spread = float((expected - expected.mean(0)).std())
    allowed = max(1e-5, min(max(1e-3, 32 * torch.finfo(network.dtype).eps), spread / 10))
    said = f"self-check difference {difference:.1e}, allowed {allowed:.1e}"
    if not difference <= allowed:
        return Choice("padded", difference, said)
    lean = fits(network) and _agrees(network, contexts, answers, expected)
    return Choice("tree", difference, said + (", in few passes" if lean else ""), lean)


def _agrees(
    network: Any, contexts: list[Ids], answers: list[tuple[Ids, ...]], expected: FloatArray
) -> bool:
    """Whether the lean forward gives what the network itself gives, to rounding of float32."""
    try:
        found = score_tree(network, contexts, answers, Limits(budget=24, width=8), lean=True)
    except Exception as error:  # whatever it is, the network's own forward stands
        _log.info("the lean forward fails with %s: %s", type(error).__name__, error)
        return False
    agrees = np.allclose(found, expected, rtol=ROUNDING, atol=LEAN)
    if not agrees:
        _log.info("the lean forward differs by %.1e", np.abs(found - expected).max())
    return agrees


def _forgets(config: Any) -> bool:
    """True for sliding windows, chunks and recurrent layers, which a few tokens do not show."""
    kinds = getattr(config, "layer_types", None)
    if kinds:
        return any(kind != "full_attention" for kind in kinds)
    if not getattr(config, "use_sliding_window", True):
        return False
    return any(getattr(config, setting, None) for setting in _WINDOWS)


def _sample(vocabulary: int) -> tuple[list[Ids], list[tuple[Ids, ...]]]:
    """Contexts that share, extend one another or stand alone; options of 1 to 3 tokens."""

    def ids(start: int, count: int) -> Ids:
        return pack(((np.arange(start, start + count) * 48_271 + 11) % vocabulary).tolist())

    trunk = ids(0, 6)
    contexts = [trunk + ids(10, 3), trunk + ids(20, 5), trunk + ids(10, 5), ids(30, 4)]
    options = ids(40, 1), ids(50, 2), ids(40, 3)
    return contexts, [options] * len(contexts)
