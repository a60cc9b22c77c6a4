"""Where the files that travel with simkit lie: the folders data/ and notebooks/."""

from __future__ import annotations

from pathlib import Path

__all__ = ["adapters", "checkout", "root"]

NAMES = ("data", "notebooks")


def checkout() -> Path | None:
    """The source checkout this package is imported from, or None for an installed wheel."""
    above = Path(__file__).resolve().parent.parent
    return above if (above / "pyproject.toml").is_file() else None


def root(name: str) -> Path:
    """The folder `name` ("data" or "notebooks"): inside the installed package, else the checkout's.

    Raises ValueError for another name, and FileNotFoundError where the folder is missing.
    """
    if name not in NAMES:
        raise ValueError(f"no resource folder {name!r}; it must be one of {', '.join(NAMES)}")
    places = [Path(__file__).resolve().parent / name]
    if (above := checkout()) is not None:
        places.append(above / name)
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(
        f"simkit's folder {name!r} is missing (looked for {', '.join(map(str, places))}); "
        "install simkit again, or work in a complete checkout"
    )


def adapters(study: str) -> Path:
    """Where the adapters that ship for a study lie, or would lie: data/adapters/<study>."""
    return root("data") / "adapters" / study
