"""Headline numbers with their provenance, and captions: what a notebook says to its report."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from simkit.resources import checkout

__all__ = ["VERDICTS", "Caption", "Numbers", "caption", "finish", "record", "rounded"]

VERDICTS = ("holds", "does not hold", "not judged", "undefined")
FIELDS = ("name", "value", "low", "high", "unit", "claim", "verdict")
PACKAGES = ("simkit", "numpy", "pandas", "scipy", "statsmodels", "torch", "transformers")


def record(
    study: str,
    numbers: Sequence[Mapping[str, Any]],
    *,
    model: Any = None,
    parameters: Mapping[str, Any] | None = None,
) -> Numbers:
    """Record the headline numbers of a study, the most important one first.

    Each number is a mapping with `name` and `value`, and if wanted `low`, `high` (the ends of its
    95 % interval), `unit`, `claim` (what the source says, in words) and `verdict`: True, False,
    None, or one of "holds", "does not hold", "not judged". A value that is None or not finite is
    null in the file and its verdict is "undefined"; so is a missing end of an interval.
    `model` is a name, or an object with `name` (and `revision`); `parameters` are settings of the
    run beyond those of the parameters cell (which `simkit run` adds itself).

    Under `simkit run` (SIMKIT_REPORTS names the output folder) `<study>.json` is written there;
    anywhere else nothing is written. Returns the numbers, one row each, indexed by name; shown,
    they are rounded to three significant digits.

    Raises ValueError for a missing, unknown or repeated name, for low > high, an unknown verdict,
    and for another study than the one that is being run.
    """
    rows = [_row(number) for number in numbers]
    names = [row["name"] for row in rows]
    if not rows or len(set(names)) < len(names):
        raise ValueError(f"numbers need at least one row and distinct names, got {names}")
    running = os.environ.get("SIMKIT_STUDY", study)
    if study != running:
        raise ValueError(f"record({study!r}) in the notebook of {running!r}: use its own name")
    if folder := os.environ.get("SIMKIT_REPORTS"):
        provenance = {**_model(model), "parameters": dict(parameters or {}), **_origin()}
        _write(Path(folder), study, {"numbers": rows, "provenance": provenance})
    frame = Numbers(rows, columns=list(FIELDS)).set_index("name")
    return Numbers(frame.astype({"value": float, "low": float, "high": float}))


class Numbers(pd.DataFrame):  # type: ignore[misc]  # pandas carries no types
    """The frame that `record` returns: shown with each number rounded and the claims whole."""

    def __repr__(self) -> str:
        return str(self.to_string(float_format=_short, na_rep="-", index_names=False))

    def _repr_html_(self) -> str:
        with pd.option_context("display.max_colwidth", None):
            return str(self.to_html(float_format=_short, na_rep="-", index_names=False))


def _short(value: float) -> str:
    return f"{rounded(value):.12g}"


def rounded(value: float) -> float:
    """`value` to three significant digits, but never coarser than a whole number."""
    if not math.isfinite(value) or value == 0:
        return value
    return round(value, max(0, 2 - math.floor(math.log10(abs(value)))))


class Caption:
    """A figure's caption (Markdown): shown under it, and its alternative text in the report."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        return {"text/plain": self.text, "text/markdown": self.text}, {"simkit": {"caption": True}}


def caption(text: str) -> Caption:
    """A caption for the figure just drawn; the last expression of the cell that draws it.

    The figure is displayed first, so that it stands above its caption in the notebook too.
    """
    inline = sys.modules.get("matplotlib_inline.backend_inline")
    if inline is not None:
        inline.flush_figures()
    return Caption(text)


def finish(folder: Path, study: str, *, parameters: Mapping[str, Any], **run: Any) -> None:
    """Add to `<study>.json` what only the runner knows; without a record, write it with no numbers.

    `parameters` are the effective values of the parameters cell; `run` holds title, page, status,
    seconds and the like. Values the notebook recorded itself win.
    """
    path = folder / f"{study}.json"
    empty: dict[str, Any] = {"numbers": [], "provenance": {"parameters": {}, **_origin()}}
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else empty
    provenance = content["provenance"]
    provenance["parameters"] = {**parameters, **provenance["parameters"]}
    provenance["model"] = provenance.get("model") or parameters.get("model")
    provenance["seed"] = provenance["parameters"].get("seed")
    _write(folder, study, {**run, **content})


def _row(number: Mapping[str, Any]) -> dict[str, Any]:
    extra = sorted(set(number) - set(FIELDS))
    if extra or "name" not in number or "value" not in number:
        raise ValueError(
            f"a number needs name and value, and may have {', '.join(FIELDS[2:])}; "
            f"got {', '.join(map(repr, number))}"
        )
    value, low, high = (_finite(number.get(key)) for key in ("value", "low", "high"))
    if low is not None and high is not None and low > high:
        raise ValueError(f"{number['name']}: low {low} is above high {high}")
    words = {"unit": str(number.get("unit", "")), "claim": str(number.get("claim", ""))}
    verdict = "undefined" if value is None else _verdict(number.get("verdict"))
    name = str(number["name"])
    return {"name": name, "value": value, "low": low, "high": high, **words, "verdict": verdict}


def _finite(value: Any) -> float | None:
    if value is None or not math.isfinite(float(value)):
        return None
    return float(value)


def _verdict(verdict: Any) -> str:
    if verdict is None:
        return "not judged"
    if isinstance(verdict, str):
        if verdict not in VERDICTS:
            raise ValueError(f"no verdict {verdict!r}; legal are {', '.join(VERDICTS)}, or a bool")
        return verdict
    return "holds" if bool(verdict) else "does not hold"


def _model(model: Any) -> dict[str, Any]:
    if model is None or isinstance(model, str):
        return {"model": model}
    return {"model": str(model.name), "model_revision": getattr(model, "revision", None)}


def _origin() -> dict[str, Any]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {"versions": versions, "revision": _revision()}


def _revision() -> str | None:
    """The git revision of the checkout simkit is imported from, "-dirty" where the code differs."""
    above = checkout()
    if above is None:
        return None

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=above, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:  # reports/ is left out: every run rewrites it
        changed = git("status", "--porcelain", "--", "simkit", "notebooks", "data")
        return git("rev-parse", "--short=12", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _write(folder: Path, study: str, content: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"study": study, **content}, indent=1, ensure_ascii=False, default=str)
    (folder / f"{study}.json").write_text(text + "\n", encoding="utf-8")
