"""What a server that scores can do, each held against a known case."""

from __future__ import annotations

from typing import Any

import numpy as np

from simkit.scoring.remote.client import ServerError
from simkit.scoring.remote.ids import PROBE, ByIds
from simkit.scoring.types import BoundaryError

__all__ = ["prove_exact"]

TOLERANCE = 0.05  # of a log-probability, between two requests for the same
AFTER, RARE = " the", " zebra"


def prove_exact(dialect: Any) -> dict[str, str]:
    """The abilities of a server that scores.

    - A token that the server would write has a log-probability; scored, it must have the same: so
      places are not off by one, and what stands there is no probability.
    - An option of several tokens must have the sum of its parts, each after those before it.
    - What no model would write is improbable, not impossible: else the numbers are of the choice
      (top-k, top-p) that a sampler made before.
    - The server must read a text as the tokens that are sent: so no BOS is missing.

    Raises ServerError for the first that does not hold.
    """
    if isinstance(dialect, ByIds):
        ours, theirs = len(dialect.contexts([PROBE])[0]), dialect.counted(PROBE)
        if ours != theirs:
            raise _wrong(dialect, f"{PROBE!r} is {ours} tokens by /tokenize and {theirs} when the "
                         "server reads it: the token that opens a text (BOS) is missing or "
                         "doubled")  # fmt: skip
    word, p, alone = _first(dialect)
    if not abs(alone - np.log(p)) <= TOLERANCE:
        raise _wrong(dialect, f"{word!r} after {PROBE!r} has log-probability {np.log(p):.3f} when "
                     f"written and {alone:.3f} when scored")  # fmt: skip
    both, again, rare = _scores(dialect, PROBE, word + AFTER, word, RARE)
    (rest,) = _scores(dialect, PROBE + word, AFTER)
    if not abs(both - again - rest) <= TOLERANCE:
        raise _wrong(dialect, f"{word + AFTER!r} has log-probability {both:.3f}; its parts have "
                     f"{again:.3f} and {rest:.3f}")  # fmt: skip
    if not np.isfinite(rare):
        raise _wrong(dialect, f"{RARE!r} after {PROBE!r} has probability 0: the server tells "
                     "probabilities after sampling, not the model's")  # fmt: skip
    return {
        "scores": "exact, options of any number of tokens",
        "repeats": f"differ by {abs(again - alone):.2g}",
        "runs": "written and scored",
    }


def _first(dialect: Any) -> tuple[str, float, float]:
    """A token that the server would write, its probability, and its log-probability if scored."""
    likely = [(w, p) for w, p in dialect.next_tokens(PROBE) if w.strip() and "\ufffd" not in w]
    for word, p in likely:
        try:
            return word, p, _scores(dialect, PROBE, word)[0]
        except BoundaryError:  # the end of a word, which cannot be an option here
            continue
    raise _wrong(dialect, f"none of the tokens {[w for w, _ in likely]} can follow {PROBE!r} as an "
                 "option")  # fmt: skip


def _scores(dialect: Any, prompt: str, *options: str) -> list[float]:
    return [float(v) for v in dialect.scores([prompt], [options], [0]).logprob[0]]


def _wrong(dialect: Any, said: str) -> ServerError:
    return ServerError(
        f"{dialect.client.address}: {said}. What this server says is not to be believed"
    )
