"""Known worlds: small causal models, their text, and the exact answer to every question."""

from simkit.worlds.world import World, exact_beliefs

__all__ = ["World", "exact_beliefs"]
