"""One reader per data set: files in, one tidy frame out."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd

from simkit.datasets.files import DataError

__all__ = ["READERS", "read_wvs7"]


def _statsmodels(name: str) -> Callable[[], pd.DataFrame]:
    def read() -> pd.DataFrame:
        frame: pd.DataFrame = import_module(f"statsmodels.datasets.{name}").load_pandas().data
        return frame

    return read


def _twin2k(human: Path, twin: Path) -> pd.DataFrame:
    people, twins = pd.read_csv(human), pd.read_csv(twin)
    both = pd.concat([people, twins], ignore_index=True)
    population = pd.Series(["human"] * len(people) + ["twin"] * len(twins), name="population")
    person = both.pop("TWIN_ID").astype(int).rename("person")
    return pd.concat([population, person, both], axis=1)


def _twin2k_scales(path: Path) -> pd.DataFrame:
    return pd.read_csv(path).set_axis(["study", "outcome", "low", "high"], axis=1)


_MODELS = ("gpt4turbo", "gpt4o", "gpt35turbo0125")
# A scenario has two rows that mirror each other: a group and whoever is saved in its place. Kept is
# the row of these groups; scenarios whose groups differ in nothing have none.
_LEVELS = ("Hoomans", "Young", "More", "Fit", "High", "Female")


def _moralmachine(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path, low_memory=False)
    frame["person"] = pd.factorize(frame["UserID"])[0] + 1  # whatever the edition calls people
    names = {"person": "person", "ScenarioType": "attribute", "AttributeLevel": "level",
             "Saved": "saved", "Intervention": "intervention"}  # fmt: skip
    told = ("gender", "age", "education", "income", "political", "religious")
    names |= {f"Review_{name}": name for name in told}
    names |= {f"{m}_wp_Saved{draw}": f"{m}{draw}" for draw in ("", "_2", "_3") for m in _MODELS}
    names |= {f"{m}_np_Saved": f"{m}_blank" for m in _MODELS}
    frame = frame[frame["AttributeLevel"].isin(_LEVELS)].rename(columns=names)
    return frame[list(names.values())].reset_index(drop=True)


def _onefish_colors(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path)
    block = frame["condition"].str.extract(r"block(\d)", expand=False).astype(int)
    names = {"participantID": "person", "response_munsell": "chip", "response_r": "red",
             "response_g": "green", "response_b": "blue"}  # fmt: skip
    frame = frame.assign(block=block).rename(columns=names)
    return frame[["person", "word", "block", "chip", "red", "green", "blue"]]


def _onefish_concepts(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path, dtype=str).astype({"subject": int})
    text = frame.pop("choices36").to_numpy(dtype="S36")
    letters = text.view("S1").reshape(len(frame), 36)
    answers = np.where(letters == b".", np.nan, (letters == b"1").astype(np.float32))
    columns = [f"q{i:02d}" for i in range(1, 37)]
    return pd.concat([frame, pd.DataFrame(answers, columns=columns)], axis=1)


def _wvs7_items(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path).rename(columns={"number": "item"})
    stem = frame["item_stem"].str.split().str.join(" ")
    answers = [_codes(ast.literal_eval(text)) for text in frame["responses"]]
    frame = frame[["item", "name", "group", "subtopic"]]
    return frame.assign(stem=stem, answers=answers)


def _codes(answers: list[str]) -> dict[int, str]:
    """["1.- Very important", "-2-.- No answer"] -> {1: "Very important", -2: "No answer"}."""
    matches = (re.match(r"\s*(-?\d+)-?\.?-?\s*(.*)", a, re.DOTALL) for a in answers)
    return {int(m[1]): m[2].strip() for m in matches if m}


_WVS_NEEDED = ("B_COUNTRY_ALPHA", "W_WEIGHT", "Q240", "Q260", "Q262")


def read_wvs7(path: Path) -> pd.DataFrame:
    """Wave 7 answers from the survey's own CSV; codes below 0 become NaN."""
    try:
        with path.open(encoding="utf-8-sig") as stream:
            separator = ";" if ";" in stream.readline() else ","
        frame = pd.read_csv(path, sep=separator, encoding="utf-8-sig", low_memory=False)
    except ValueError as error:  # no UTF-8, no table, nothing at all
        raise DataError(f"wvs7: {path} cannot be read as a CSV in UTF-8 ({error})") from error
    missing = [c for c in _WVS_NEEDED if c not in frame]
    if missing:
        raise DataError(
            f"wvs7: {path} has no column {missing[0]!r}; the WVS Cross-National Wave 7 CSV has "
            f"{', '.join(_WVS_NEEDED)} and the items Q1 … Q290. Is it another wave or format?"
        )
    items = [c for c in frame if re.fullmatch(r"Q\d+[A-Z]?", str(c))]
    numbers = frame[items].apply(pd.to_numeric, errors="coerce")
    return frame.assign(**numbers.where(numbers >= 0))


def _ces24() -> pd.DataFrame:
    try:
        folder = import_module("popfidelity.examples").path("ces")
    except ImportError as error:
        raise DataError(
            "ces24: the cells come with the package popfidelity, which is not installed; "
            "`pip install popfidelity==0.1.2` brings them"
        ) from error
    survey, model = (pd.read_csv(folder / f"{of}_cells.csv") for of in ("survey", "model"))
    frame = pd.concat([survey.assign(mode="survey"), model], ignore_index=True)
    names = ["gender", "age", "race", "education"]
    people = frame["cell_id"].str.split("|", expand=True).set_axis(names, axis=1)
    order = frame.groupby("question")["option"].transform(lambda o: pd.factorize(o)[0])
    frame = frame.rename(columns={"mode": "population", "cell_id": "cell"})
    frame = frame.assign(**people, option_id=order.astype(int))
    return frame[["population", "question", "cell", *names, "option", "option_id", "share", "n"]]


# A data set that is not here is one CSV file, read as it is.
READERS: dict[str, Callable[..., pd.DataFrame]] = {
    "ces24": _ces24,
    "anes96": _statsmodels("anes96"),
    "modechoice": _statsmodels("modechoice"),
    "twin2k": _twin2k,
    "twin2k_scales": _twin2k_scales,
    "moralmachine": _moralmachine,
    "onefish_colors": _onefish_colors,
    "onefish_concepts": _onefish_concepts,
    "wvs7_items": _wvs7_items,
}
