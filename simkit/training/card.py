"""The model card: what the weights are, how they were made, how far they can be trusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from simkit.files import write_text
from simkit.scoring import load
from simkit.training.calibration import LIMITS, UNUSED, calibrate, joint_correlation
from simkit.worlds import survey

__all__ = ["page", "write_card"]


def page(template: str, **values: Any) -> str:
    """A card by one of the templates."""
    pages = Environment(
        loader=PackageLoader("simkit.training"), undefined=StrictUndefined, autoescape=False,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return pages.get_template(template).render(**values)


def write_card(folder: Path | str) -> pd.DataFrame:
    """Calibrate the model in a folder, and write its card.

    Parameters
    ----------
    folder : of a model that `pretrain` made; calibration.csv and README.md are written into it.

    Returns
    -------
    DataFrame
        The table of :func:`calibrate`.
    """
    folder = Path(folder)
    model = load(folder)
    table = calibrate(model)
    gap = joint_correlation(model).to_numpy()[~np.eye(len(survey.ITEMS), dtype=bool)]
    write_text(folder / "calibration.csv", table.round(4).to_csv())
    training = json.loads((folder / "training.json").read_text())
    card = page(
        "glassbox.md.j2",
        name=folder.name,
        training=training,
        table=table,
        used=table.drop(index=list(UNUSED)),
        limits=LIMITS,
        unused=UNUSED,
        correlation={"rmsd": float(np.sqrt((gap**2).mean())), "largest": float(abs(gap).max())},
    )
    write_text(folder / "README.md", card + "\n")
    return table
