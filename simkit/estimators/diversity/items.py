"""A result per item (word, outcome) that carries the means over the items along."""

from __future__ import annotations

from dataclasses import dataclass

from simkit.result import Result

__all__ = ["ByItem"]


@dataclass(frozen=True, repr=False, eq=False)
class ByItem(Result):
    """A row per item, and in `overall` what holds over all of them, with its own intervals."""

    overall: Result | None = None

    def summary(self) -> str:
        """What holds over all items; the items are in `to_frame()`."""
        return super().summary() if self.overall is None else self.overall.summary()

    def _repr_html_(self) -> str:
        return super()._repr_html_() if self.overall is None else self.overall._repr_html_()
