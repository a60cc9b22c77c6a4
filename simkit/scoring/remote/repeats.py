"""The same request several times: servers do not always give the same numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simkit.scoring.inquiries import Beliefs

__all__ = ["over_repeats", "spread_of"]


def over_repeats(found: Sequence[Beliefs]) -> Beliefs:
    """Means over repeats, and how far the beliefs lie apart; a single one is given back."""
    if len(found) == 1:
        return found[0]
    belief, low, high = (
        np.stack([getattr(one, name) for one in found]) for name in ("belief", "low", "high")
    )
    return Beliefs(
        belief.mean(0), low.mean(0), high.mean(0), np.mean([one.valid_mass for one in found], 0),
        found[0].basis, belief.max(0) - belief.min(0),
    )  # fmt: skip


def spread_of(first: Beliefs, second: Beliefs) -> str:
    """By how much two answers to one inquiry differ, in words."""
    spread = float(np.abs(first.belief - second.belief).max())
    return "not known" if np.isnan(spread) else f"differ by {spread:.2g}"
