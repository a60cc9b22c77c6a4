"""Tables that ship: results on human data that is not always at hand.

They hold statistics of this project only, no answer of anybody, so that a reader without the data
still sees what came of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from simkit import __version__, datasets
from simkit.files import write_text
from simkit.resources import root

__all__ = ["Table", "twins"]


@dataclass(frozen=True)
class Table:
    """A table in data/results: its file, the data sets it is made of, and how it is made."""

    file: str
    sources: tuple[str, ...]
    make: Callable[[], pd.DataFrame]

    @property
    def path(self) -> Path:
        """Where it ships."""
        return root("data") / "results" / self.file

    def read(self) -> pd.DataFrame:
        """The table that ships."""
        return pd.read_csv(self.path, comment="#")

    def here(self) -> bool:
        """Whether all that it is made of is here, without fetching."""
        states = datasets.check()
        for name in self.sources:
            if not datasets.card(name).files:  # of a package
                try:
                    datasets.load(name)
                except datasets.DataError:
                    return False
        return bool((states.loc[states["name"].isin(self.sources), "state"] == "here").all())

    def origin(self) -> str:
        """What the table that ships was made of: its first line."""
        return " ".join(self.path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ").split())

    def write(self) -> Path:
        """Make the table anew and write it, with what it was made of in the first line."""
        about = [datasets.card(name) for name in self.sources]
        origin = []
        for card in about:
            revision = f" @ {card.revision[:12]}" if card.revision else ""
            origin.append(f"{card.title}; {card.source}{revision}")
        origin += [f"{f.path} SHA-256 {f.sha256[:16]}" for card in about for f in card.files]
        text = self.make().round(4).to_csv(index=False, lineterminator="\n")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, f"# {'; '.join(origin)}; simkit {__version__}\n{text}")
        return self.path


def twins() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Twin-2K-500: people's outcomes, their twins' (a row per person, alike), and the scales.

    Raises `DataError` without the data.
    """
    both, scales = datasets.load("twin2k"), datasets.load("twin2k_scales")
    people, of_people = (
        both[both["population"] == who].set_index("person").drop(columns="population")
        for who in ("human", "twin")
    )
    return people, of_people, scales
