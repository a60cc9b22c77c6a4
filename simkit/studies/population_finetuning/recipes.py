"""The adapters of the study on targeted populations: trained by one call, shipped, found again.

Every adapter is a recipe: which survey, how many of its respondents, which settings. The shipped
ones lie in data/adapters/population, made by `simkit train-adapters population`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from simkit.files import as_path
from simkit.resources import adapters
from simkit.scoring import LocalModel, bundled, load
from simkit.studies.population_finetuning.evaluation import examples
from simkit.studies.population_finetuning.surveys import anes_survey, car_survey, ev_survey
from simkit.survey import Survey
from simkit.training.adapters import RECORD, load_adapter, read_record
from simkit.training.base import fingerprint
from simkit.training.finetuning import finetune
from simkit.training.loop import OtherCallError
from simkit.training.loss import NumericLoss
from simkit.types import one_of

__all__ = ["METHODS", "PENALTY", "SIZES", "SLOPES", "SURVEYS", "WIDTHS", "Recipe", "cell",
           "check_folder", "loaded", "recipes", "train_adapters", "tuned"]  # fmt: skip

METHODS = {"lora": "LoRA", "qlora": "QLoRA", "numeric": "LoRA + numeric loss"}
# The numeric loss with distances as shares of the scale: its headline, and the grid around it.
PENALTY = NumericLoss(1.0, slope=2.0, width=0.1, relative=True)
SLOPES, WIDTHS = (1.0, 2.0, 4.0), (0.0, 0.1, 0.2)
SIZES = (50, 200)  # respondents in the learning curve, beside none and all
LARGE = "glassbox-large"  # trained on where it ships
BIG = 20e6  # parameters above which the small models' learning rate is too fast
PROFILES = ("fast", "full")
SURVEYS: dict[str, Callable[..., Survey]] = {
    "ev": ev_survey,
    "anes96": anes_survey,
    "car": car_survey,
}


@dataclass(frozen=True)
class Recipe:
    """One adapter: its folder's name, the survey, the settings of `finetune` and how many learn.

    base : a bundled model to train on instead of the one asked for ("" for that one).
    """

    name: str
    survey: str
    settings: dict[str, Any] = field(default_factory=dict)
    respondents: int | None = None
    base: str = ""


def recipes(profile: str = "full") -> tuple[Recipe, ...]:
    """The adapters of a profile: "full" all that ship, "fast" few steps of the main six.

    Raises ValueError for another profile.
    """
    one_of(profile, "profile", PROFILES)
    kinds: dict[str, dict[str, Any]] = {
        "lora": {},
        "qlora": {"method": "qlora"},
        "numeric": {"numeric": PENALTY},
    }
    # The voters' questions and words are new to the glass box: it has to learn to answer at all.
    longer: dict[str, dict[str, Any]] = {"ev": {}, "anes96": {"steps": 200, "every": 50}}
    main = [
        Recipe(f"{s}-{k}", s, {**more, **how})
        for s, more in longer.items()
        for k, how in kinds.items()
    ]
    if profile == "fast":
        return tuple(Recipe(r.name, r.survey, {**r.settings, "steps": 10}) for r in main)
    curve = [Recipe(f"ev-lora-n{n}", "ev", respondents=n) for n in SIZES]
    grid = [
        Recipe(cell(slope, width), "ev", {"numeric": replace(PENALTY, slope=slope, width=width)})
        for slope in SLOPES
        for width in WIDTHS
        if (slope, width) != (PENALTY.slope, PENALTY.width)
    ]
    large = [Recipe("ev-lora-large", "ev", base=LARGE)] if LARGE in bundled() else []
    return (*main, *curve, *grid, *large)


def cell(slope: float, width: float) -> str:
    """Name of the adapter of a cell of the numeric loss's grid."""
    if (slope, width) == (PENALTY.slope, PENALTY.width):
        return "ev-numeric"
    return f"ev-slope{slope:g}-width{width:g}"


def train_adapters(
    out: Path | str,
    *,
    model: str | LocalModel = "glassbox",
    seed: int = 1,
    profile: str = "full",
    progress: bool = True,
) -> list[Path]:
    """Train the study's adapters into folders below `out`; returns the folders.

    Parameters
    ----------
    out : one folder per adapter is made in it. A finished one is kept if it is of this very call,
        an unfinished one taken up, and one of another call (other weights of the base, say)
        trained anew.
    model : bundled name, folder, hub id, or a loaded model.
    seed : of samples, splits and training.
    profile : "full" for all adapters that ship, "fast" for few steps of the main six.
    progress : whether to say on stderr which adapter is being trained, and how far it is.

    Raises ValueError for an unknown profile, and what `finetune` raises.
    """
    wanted = recipes(profile)
    lm = load(model) if isinstance(model, str) else model
    if lm.name not in bundled():
        wanted = tuple(r for r in wanted if not r.base)
    surveys = {name: SURVEYS[name](seed=seed) for name in dict.fromkeys(r.survey for r in wanted)}
    made = []
    for recipe in wanted:
        if progress:
            print(f"{recipe.name} …", file=sys.stderr, flush=True)
        base = load(recipe.base) if recipe.base else lm
        made.append(_train(base, surveys[recipe.survey], recipe, Path(out), seed, progress))
    return made


def _train(
    base: LocalModel, survey: Survey, recipe: Recipe, out: Path, seed: int, progress: bool
) -> Path:
    folder = out / recipe.name
    rate = 5e-3 if base.network.num_parameters() < BIG else 2e-4
    settings: dict[str, Any] = {
        "rank": 4, "alpha": 8.0, "learning_rate": rate, "steps": 60, "batch": 16, "every": 30,
        "patience": None, **recipe.settings,
    }  # fmt: skip
    table = examples(survey, "train", recipe.respondents, seed)
    people = table["respondent"].nunique()
    words = f"{people} respondents of the survey {survey.name!r} of the population study"
    train = partial(
        finetune, base, table, folder, validation=examples(survey, "validation"), seed=seed,
        data=words, progress=progress, **settings,
    )  # fmt: skip
    try:
        train()
    except OtherCallError:
        shutil.rmtree(folder)
        train()
    return folder


def check_folder(folder: Path | str) -> Path:
    """The folder of adapters as a path; ValueError for a file. "" stands for none."""
    place = as_path(folder, "folder").expanduser()
    if folder and place.exists() and not place.is_dir():
        raise ValueError(f"folder is {str(folder)!r}, which is a file; it must be a folder")
    return place


def tuned(
    model: LocalModel,
    folder: Path | str = "",
    *,
    profile: str = "fast",
    seed: int = 1,
) -> tuple[dict[str, LocalModel], str]:
    """The study's fine-tuned models by name, and a sentence that says where they come from.

    Profile "full" trains all of them (into `folder`, else a temporary one). "fast" takes those in
    `folder` (else the shipped ones) if they were trained on these weights and with this seed, which
    also decides who is held out; where there are none it trains the main six for a few steps, so
    that the study runs on any model. Raises ValueError for a folder that is a file.
    """
    place = check_folder(folder)
    if profile == "fast":
        ready = loaded(model, seed=seed, folder=place if folder else None)
        if ready:
            return ready, f"{len(ready)} adapters, trained before on this model"
    place = place if folder else Path(tempfile.mkdtemp(prefix="simkit-adapters-"))
    train_adapters(place, model=model, seed=seed, profile=profile, progress=False)
    trained = loaded(model, seed=seed, folder=place)
    short = "" if profile == "full" else ", a few steps each"
    return trained, f"{len(trained)} adapters, trained in this run{short}"


def loaded(
    model: LocalModel, *names: str, seed: int, folder: Path | None = None
) -> dict[str, LocalModel]:
    """The adapters of this seed and model (or of the larger glass box, if it ships), by name.

    names : patterns of the names of those wanted; all if none is given. seed : also decides who is
    held out, so that nobody of another seed's held-out people has taught an adapter. folder : None
    for the adapters that ship.
    """
    weights, models = fingerprint(model.network), {}
    place = adapters("population") if folder is None else folder
    for path in (p.parent for n in names or ["*"] for p in sorted(place.glob(f"{n}/{RECORD}"))):
        record = read_record(path) or {}
        if record["settings"]["seed"] != seed:
            continue
        large = record["base"] == LARGE and LARGE in bundled()
        base = load(LARGE) if large else model
        if record["fingerprint"] in (weights, fingerprint(base.network)):
            models[path.name] = load_adapter(base, path)
    return models
