"""Many trainings, one tidy table: sweeps over settings, and learning curves over data.

Every cell keeps its adapter and its numbers in a folder of its own, so that a call which was
broken off goes on where it stood, and one that was finished only reads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from simkit.files import as_path, write_text
from simkit.result import Result
from simkit.scoring import LocalModel
from simkit.training.data import check_examples, subset
from simkit.training.finetuning import Adapted, finetune
from simkit.training.loss import NumericLoss
from simkit.types import integer, listed, shown

__all__ = ["Metrics", "learning_curve", "sweep"]

# What a study measures of a model: {name: number}, or a table or Result of quantities.
Metrics = Callable[[LocalModel], Mapping[str, float] | pd.DataFrame | Result]
CELL = "metrics.json"
# Names in a grid that belong to the numeric loss.
_NUMERIC = {"penalty": "weight", "slope": "slope", "width": "width"}


def sweep(
    model: LocalModel,
    examples: pd.DataFrame,
    out: Path | str,
    grid: Mapping[str, Sequence[Any]],
    metrics: Metrics,
    **fixed: Any,
) -> pd.DataFrame:
    """Fine-tune and measure at every combination of the settings in a grid.

    Parameters
    ----------
    model, examples : as in `finetune`.
    out : folder of the sweep: in it one folder per cell, with the adapter and `metrics.json`.
    grid : setting -> its values: any keyword of `finetune` that takes numbers, texts or None, and
        `penalty`, `slope`, `width` for the numeric loss (λ and the two of its distance; what the
        grid does not name is taken from `numeric`, else the defaults of `NumericLoss`).
    metrics : called with each fine-tuned model, gives {name: number}, or a Result or a DataFrame
        with one row per quantity. Its numbers are kept: after a change of it, use another folder.
    fixed : further keywords of `finetune`, the same in all cells.

    Returns
    -------
    One row per cell × quantity: the grid's settings, `steps`, `best_step`, `validation_loss`,
    `quantity`, `estimate` (and the other columns that `metrics` gives). Cells that are done are
    read, an unfinished one is taken up. Raises ValueError for an empty grid, a name in both grid
    and fixed, and what `finetune` raises.
    """
    _checked(metrics, out)
    if not isinstance(grid, Mapping) or not all(isinstance(name, str) for name in grid):
        raise ValueError(f"grid is {shown(grid)}; it must be {{setting: values}}")
    grid = {name: listed(values, f"grid: {name}") for name, values in grid.items()}
    if not grid or not all(grid.values()):
        raise ValueError(f"the grid {shown(grid)} has no cells")
    twice = sorted(grid.keys() & fixed.keys())
    if twice:
        raise ValueError(f"{twice[0]} is both in the grid and fixed; legal is one of them")
    cells = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    tables = []
    for cell in cells:
        settings = _settings(cell, fixed)
        fit = _fit(model, examples, settings)
        tables.append(_cell(Path(out), cell, fit, metrics))
    return pd.concat(tables, ignore_index=True)


def learning_curve(
    model: LocalModel,
    examples: pd.DataFrame,
    out: Path | str,
    sizes: Sequence[int],
    metrics: Metrics,
    *,
    seeds: Sequence[int] = (0,),
    **fixed: Any,
) -> pd.DataFrame:
    """Fine-tune and measure on growing numbers of respondents.

    Parameters
    ----------
    sizes : numbers of respondents; a larger sample holds every smaller one of the same seed.
    seeds : each draws samples of its own and seeds the training, for the spread between them.
    model, examples, out, metrics, fixed : as in `sweep`. Fix `steps` to give every size the same
        number of steps; `epochs` gives each as many passes over its data.

    Returns
    -------
    As `sweep`, with columns `respondents`, `seed` and `examples` in front. Raises ValueError for
    a size below 1 or above the respondents that there are.
    """
    check_examples(examples, "examples")
    _checked(metrics, out)
    seeds, sizes = listed(seeds, "seeds"), listed(sizes, "sizes")
    if not seeds or not sizes:
        raise ValueError(f"{len(seeds)} seeds, {len(sizes)} sizes; each must be one or more")
    for seed in seeds:
        integer(seed, "a seed", 0, 2**63)
    if "seed" in fixed:
        raise ValueError("seed is fixed; legal is seeds=(...), which draw the samples too")
    tables = []
    for seed, size in product(seeds, sizes):
        some = subset(examples, size, seed)
        cell = {"respondents": int(size), "seed": int(seed), "examples": len(some)}
        fit = _fit(model, some, {**fixed, "seed": seed})
        tables.append(_cell(Path(out), cell, fit, metrics))
    return pd.concat(tables, ignore_index=True)


def _checked(metrics: Metrics, out: Path | str) -> None:
    as_path(out, "out")
    if not callable(metrics):
        raise ValueError(f"metrics is {shown(metrics)}; it must be a function of a model")


def _settings(cell: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of `finetune` for a cell."""
    given = {_NUMERIC[name]: value for name, value in cell.items() if name in _NUMERIC}
    rest = {name: value for name, value in cell.items() if name not in _NUMERIC}
    settings = {**fixed, **rest}
    if given:
        base = settings.get("numeric")
        if base is None and "weight" not in given:
            raise ValueError("the grid has no penalty (λ), and no numeric is fixed: no effect")
        base = base or NumericLoss(0.0)
        settings["numeric"] = replace(base, **given)
    return settings


def _fit(
    model: LocalModel, examples: pd.DataFrame, settings: dict[str, Any]
) -> Callable[[Path], Adapted]:
    return lambda folder: finetune(model, examples, folder, **settings)


def _cell(
    out: Path, cell: dict[str, Any], fit: Callable[[Path], Adapted], metrics: Metrics
) -> pd.DataFrame:
    """The rows of one cell. `fit` checks that what lies in its folder is of this call."""
    folder = out / _name(cell)
    adapted = fit(folder)
    path = folder / CELL
    if not path.exists():
        write_text(path, json.dumps(_records(metrics(adapted.model)), indent=1) + "\n")
    found = {
        "steps": adapted.steps,
        "best_step": adapted.best_step,
        "validation_loss": adapted.validation_loss,
    }
    table = pd.DataFrame(json.loads(path.read_text()))
    numbers = [name for name in table if name != "quantity"]
    table[numbers] = table[numbers].astype(float)  # null is NaN
    for at, (name, value) in enumerate({**cell, **found}.items()):
        table.insert(at, name, [value] * len(table))
    return table


def _records(found: Mapping[str, float] | pd.DataFrame | Result) -> list[dict[str, Any]]:
    if isinstance(found, Result):
        found = found.to_frame()
    if isinstance(found, pd.DataFrame):
        numbers = found.select_dtypes("number")
        table = numbers.rename_axis("quantity").reset_index()
    else:
        table = pd.DataFrame({"quantity": list(found), "estimate": list(found.values())})
    if table.empty:
        raise ValueError("metrics gave no numbers; at least one is needed")
    records: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
    return records


def _name(cell: Mapping[str, Any]) -> str:
    """A folder's name: readable, and different for different cells."""
    said = "-".join(f"{name}={value}" for name, value in cell.items())
    plain = "".join(c if c.isalnum() or c in "=-." else "_" for c in said)
    if plain == said and len(plain) <= 100:
        return plain
    digest = hashlib.sha256(json.dumps(cell, sort_keys=True, default=str).encode()).hexdigest()
    return f"{plain[:80]}-{digest[:8]}"
