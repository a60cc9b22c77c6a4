"""How a model is read: which of the two paths, and which texts together, found by trying."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from simkit.scoring.engine.padded import (
    PADDING,
    Together,
    _last_logprobs,
    border_of,
    parameters_of,
    score_padded,
    virtual_tokens,
)
from simkit.scoring.engine.tokens import WIDTH, Ids, pack
from simkit.scoring.engine.tree import Limits, Work, score_tree
from simkit.types import FloatArray

__all__ = ["NOT_NUMBERS", "PATHS", "Choice", "choose", "refuse_nan"]

PATHS = ("auto", "tree", "padded")
NOT_NUMBERS = (
    "the model's logits are not numbers (NaN or infinite). The likely cause is its dtype: float16 "
    "overflows where bfloat16 does not; try dtype='float32'. If that changes nothing, its weights "
    "are damaged"
)
LEAST = 1e-5  # a difference that rounding of float32 makes
LONG, CROSSED = 40, 512  # tokens of the self-check's long text; a border that it still crosses
_NEEDED = PADDING | {"past_key_values", "logits_to_keep"}
# Settings by which a network stops looking at all that came before.
_WINDOWS = ("sliding_window", "window_size", "attention_chunk_size", "attention_types")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """The path a model takes, which texts share a forward pass, and why.

    difference : root mean square of (tree - each text alone) over the self-check's
    log-probabilities; NaN if the tree path was not tried. together : off the tree, the texts that
    are read together: any (the shorter ones padded), those of equal length, or none. border :
    tokens beyond which a text leaves the tree, for its length changes the rotation of all its
    tokens; None for no such length.
    """

    path: Literal["tree", "padded"]
    difference: float
    reason: str
    together: Together = "any"
    border: int | None = None

    def score(
        self,
        network: Any,
        contexts: Sequence[Ids],
        answers: Sequence[tuple[Ids, ...]],
        limits: Limits | None = None,
        work: Work | None = None,
    ) -> FloatArray:
        """Summed log-probability of each answer after its context, shape (n, options).

        NaN where the network's logits are no numbers. On the tree path similar contexts should
        stand together; `limits` and `work` are those of `score_tree`.
        """
        if self.path == "padded":
            return score_padded(network, contexts, answers, self.together)
        most = WIDTH * (self.border or 2**40)
        longest = {options: max(map(len, options)) for options in set(answers)}
        over = [len(c) + longest[o] > most for c, o in zip(contexts, answers, strict=True)]
        out = np.empty((len(contexts), len(answers[0])))
        for beyond in (False, True):
            rows = [i for i, here in enumerate(over) if here == beyond]
            if not rows:
                continue
            part = [contexts[i] for i in rows], [answers[i] for i in rows]
            if beyond:
                out[rows] = score_padded(network, *part, self.together)
            else:
                out[rows] = score_tree(network, *part, limits, work)
        for i in np.flatnonzero(np.isnan(out).any(1)).tolist():
            # A text that gives NaN can spoil those beside it, masked or not: which one is it?
            out[i] = score_padded(network, [contexts[i]], [answers[i]], "alone")
            if np.isnan(out[i]).any():
                break
        return out


def choose(network: Any, asked: str, name: str = "model") -> Choice:
    """Decide for a network; logged, as a warning where "auto" had to fall back.

    Texts of several lengths are read each alone, as a plain forward pass without padding; that is
    what every other way must give. Raises RuntimeError if the tree path was asked for and the
    network cannot take it, or if one forward pass gives two results; ValueError for a network
    that is not causal.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of arguments that a network ignores: that is found here
        choice = _try(network, asked)
    if asked == "tree" and choice.path != "tree":
        raise RuntimeError(f"{name} cannot be scored on the tree path: {choice.reason}")
    usual = asked != "auto" or choice.path == "tree"
    level = logging.INFO if usual and choice.together != "alone" else logging.WARNING
    _log.log(level, "%s is scored on the %s path: %s", name, choice.path, choice.reason)
    return choice


def refuse_nan(rows: Sequence[int], logprob: FloatArray) -> None:
    """ValueError, naming the first of `rows` (n,) whose scores (n, options) are NaN."""
    bad = np.isnan(logprob).any(1)
    if bad.any():
        raise ValueError(f"row {rows[int(bad.argmax())]}: {NOT_NUMBERS}")


def _try(network: Any, asked: str) -> Choice:
    border, accepted = border_of(network), parameters_of(network)
    if asked == "padded" and not hasattr(network, "get_input_embeddings"):  # nothing to try with
        return Choice("padded", np.nan, "asked for", together="alone", border=border)
    contexts, answers = _sample(network.get_input_embeddings().weight.shape[0], _long(network))
    expected = _unmasked(score_padded(network, contexts, answers, "alone"))
    if np.isnan(expected).any():
        return Choice("padded", np.nan, NOT_NUMBERS, together="alone", border=border)
    if not _causal(network, accepted):
        raise ValueError(
            "the network's prediction of a token depends on tokens that come after it, so it is no "
            "causal language model (an encoder loaded without is_decoder=True?)"
        )
    # Rounding differs between the paths, in half precision by a step or more of the logits; a
    # wrong mask or position moves them as far as other contexts do.
    spread = float((expected - expected.mean(0)).std())
    coarse = torch.finfo(network.dtype).eps
    most = max(1e-3, 32 * coarse) if coarse > LEAST**2 else LEAST  # float64: what is wrong shows
    allowed = max(LEAST, min(most, spread / 10))
    together, said = _together(network, contexts, answers, expected, allowed)
    if border is not None:
        said += f"; texts of more than {border} tokens only with others of their length"

    def padded(why: str, difference: float = np.nan) -> Choice:
        return Choice("padded", difference, why + said, together=together, border=border)

    if asked == "padded":
        return padded("asked for")
    missing = _NEEDED - accepted
    if missing:
        return padded(f"its forward takes no {', '.join(sorted(missing))}")
    if _forgets(network.config.get_text_config()):
        return padded("it does not attend to all that came before")
    choice = Choice("tree", np.nan, "", together=together, border=border)
    limits = Limits(budget=24, width=8)
    try:
        found = choice.score(network, contexts, answers, limits)
    except Exception as error:  # whatever it is, the other path stands
        return padded(f"the tree path fails with {type(error).__name__}: {error}")
    difference = float(np.sqrt(np.mean((_unmasked(found) - expected) ** 2)))
    checked = f"self-check difference {difference:.1e}, allowed {allowed:.1e}"
    if not _off(found, expected) <= allowed:
        # A wrong mask or position is wrong every time. What is not has no right result to keep.
        again = choice.score(network, contexts, answers, limits)
        alone = score_padded(network, contexts, answers, "alone")
        moved = max(_off(again, _unmasked(found)), _off(alone, expected))
        if moved > allowed / 10:
            raise RuntimeError(
                f"the same forward pass gave results {moved:.1e} apart: this machine's arithmetic "
                "is not to be trusted for this model; try again, or load it with dtype='float64'"
            )
        return padded(checked, difference)
    return Choice("tree", difference, checked + said, together, border)


def _causal(network: Any, accepted: set[str]) -> bool:
    """Whether what comes after a token leaves its prediction as it is."""
    vocabulary = network.get_input_embeddings().weight.shape[0]
    text = (np.arange(9) * 48_271 + 11) % vocabulary
    other = np.append(text[:-2], (text[-2:] + 1) % vocabulary)
    one, two = (
        _last_logprobs(network, accepted, [some], 3)[:, 0].clip(-1e4) for some in (text, other)
    )
    coarse = 64 * torch.finfo(network.dtype).eps
    return bool(np.abs(one - two).max() <= max(1e-3, coarse))


def _together(
    network: Any, contexts: list[Ids], answers: list[tuple[Ids, ...]], expected: FloatArray,
    allowed: float,
) -> tuple[Together, str]:  # fmt: skip
    """Which texts may be read together without a change of their scores, and what was found."""
    said = ""
    ways: dict[Together, str] = {
        "any": "; padding changes its scores by {:.1e}: only texts of equal length go together",
        "lengths": "; texts of equal length change each other's scores by {:.1e}: each goes alone",
    }
    for together, otherwise in ways.items():
        try:
            found = score_padded(network, contexts, answers, together)
        except Exception as error:  # whatever it is, other ways stand
            said = f"; {together!r} texts together fail with {type(error).__name__}: {error}"
            continue
        off = _off(found, expected)
        if off <= allowed:
            return together, said
        said = otherwise.format(off)
    return "alone", said


def _off(found: FloatArray, expected: FloatArray) -> float:
    """Largest root mean square difference of a context's log-probabilities; NaN stays NaN."""
    return float(np.sqrt(((_unmasked(found) - expected) ** 2).mean(1)).max())


def _unmasked(logprob: FloatArray) -> FloatArray:
    """-inf, of tokens that a network never gives, as a number that can be compared."""
    return np.where(np.isneginf(logprob), -1e4, logprob)


def _forgets(config: Any) -> bool:
    """True for sliding windows, chunks and recurrent layers, which a few tokens do not show."""
    kinds = getattr(config, "layer_types", None)
    if kinds:
        return any(kind != "full_attention" for kind in kinds)
    if not getattr(config, "use_sliding_window", True):
        return False
    return any(getattr(config, setting, None) for setting in _WINDOWS)


def _long(network: Any) -> int:
    """Tokens of the long text beside which short ones are read: over a border that is near."""
    border = border_of(network)
    longest = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    room = (longest or 2**30) - virtual_tokens(network) - 3
    wanted = border + 8 if border is not None and border <= CROSSED else LONG
    return max(9, min(wanted, room))


def _sample(vocabulary: int, long: int) -> tuple[list[Ids], list[tuple[Ids, ...]]]:
    """Contexts that share, extend one another or stand alone, a long one, two of a length; options
    of 1 to 3 tokens."""

    def ids(start: int, count: int) -> Ids:
        return pack(((np.arange(start, start + count) * 48_271 + 11) % vocabulary).tolist())

    trunk = ids(0, 6)
    contexts = [trunk + ids(10, 3), trunk + ids(20, 5), trunk + ids(10, 5), ids(30, 4)]
    contexts.append(trunk + ids(60, long - 6))
    options = ids(40, 1), ids(50, 2), ids(40, 3)
    return contexts, [options] * len(contexts)
