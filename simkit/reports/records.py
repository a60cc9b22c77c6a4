"""Headline numbers with their provenance, and captions: what a notebook says to its report."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from simkit.files import write_text
from simkit.reports.numbers import LEAST_MASS, Numbers, judged, number, row
from simkit.reports.study import Study
from simkit.resources import checkout
from simkit.result import Result
from simkit.store import key
from simkit.types import invalid, typed

if TYPE_CHECKING:
    from simkit.audit import Works

__all__ = ["Caption", "caption", "go_on", "named", "read", "record", "write"]

PACKAGES = ("simkit", "numpy", "pandas", "scipy", "statsmodels", "torch", "transformers")


def record(
    study: str,
    numbers: Sequence[Mapping[str, Any]],
    *,
    model: Any = None,
    parameters: Mapping[str, Any] | None = None,
    valid_mass: npt.ArrayLike | None = None,
) -> Numbers:
    """Record the headline numbers of a study, the most important one first.

    Make it the last expression of its cell: the numbers are shown rounded to three significant
    digits, and the whole record is in the metadata of the output, from where `simkit run` takes it
    into `<study>.json`.

    Parameters
    ----------
    study : str
        The study's name.
    numbers : sequence of mapping
        Each with `name` and `value`, and if wanted `low` and `high` (the ends of its 95 %
        interval), `over` (what that generalises to: "products", "people"), `unit`, `claim` (what
        the reference says, in words) and `verdict`: True, False, None, or one of "holds", "does
        not hold", "not judged". A value that is None or not finite is null in the file and its
        verdict is "undefined"; so is a missing end of an interval.
        `about` says whom a number is about: "model" if not given, "recorded people" or "recorded
        models" (answers that somebody else collected). Those do not depend on the model: they are
        labelled, come last, and stay judged whatever the model does.
        A number that depends on some of the beliefs only may have a `valid_mass`, their mean.
    model : optional
        A name, or an object with `name` (and `revision`, and `identity`, of which the first 12
        digits of the hash are written).
    parameters : mapping, optional
        `globals()`, of which those with an annotation are written as they are now (a profile may
        have changed them since they were given), or a mapping of settings; `simkit run` adds those
        of the parameters cell that are not in it.
    valid_mass : array_like, optional
        That of the beliefs that the study depends on: a column of what `believe` returns (NaN
        where there was none to read), or one number. Its mean and its smallest value become
        headline numbers, and where the mean is below LEAST_MASS every verdict about the model
        becomes "not judged".

    Returns
    -------
    DataFrame
        The numbers, one row each, indexed by name.

    Raises
    ------
    ValueError
        For a missing, unknown or repeated name, for a value that is not a number, for low > high,
        an unknown verdict or `about`, and a mass outside 0–1.
    """
    if not isinstance(study, str) or not study:
        raise invalid("study", study, "the study's name")
    if not isinstance(numbers, Iterable) or isinstance(numbers, str | bytes):
        raise invalid("numbers", numbers, "a list of mappings")
    namespace = typed(parameters or {}, "parameters", Mapping, "globals() or a mapping")
    rows = judged([row(number) for number in numbers], valid_mass)
    names = list(namespace.get("__annotations__", namespace))
    settings = {name: namespace[name] for name in names if name in namespace}
    provenance = {**_model(model), "parameters": settings}
    content = {"study": study, "numbers": rows, "provenance": provenance}
    return Numbers.of(rows, json.loads(json.dumps(content, default=_plain)))


class Caption:
    """A figure's caption (Markdown): shown under it, and its alternative text in the report."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        return {"text/plain": self.text, "text/markdown": self.text}, {"simkit": {"caption": True}}


def caption(text: str | Result, *more: str | Result) -> Caption:
    """A caption for the figure just drawn; the last expression of the cell that draws it.

    The figure is displayed first, so that it stands above its caption in the notebook too.

    Parameters
    ----------
    text, *more : str or Result
        Sentences in Markdown, and results, which make theirs (see :meth:`simkit.Result.caption`).

    Returns
    -------
    Caption
        Shown under the figure; its alternative text in the report.
    """
    inline = sys.modules.get("matplotlib_inline.backend_inline")
    if inline is not None:
        inline.flush_figures()
    texts = [part.caption() if isinstance(part, Result) else part for part in (text, *more)]
    return Caption(" ".join(typed(part, "a caption", str, "text, or a Result") for part in texts))


def go_on(works: Works, study: str, *, more: bool = False) -> None:
    """End the study here if its main question does not work: the page says why, and what would.

    Where an interface hides the valid mass, the page says that it is not judged, and goes on.

    The run is no failure then: its record has the status "stopped", and its page, headed by the
    reason, has no more than was run.

    Parameters
    ----------
    works : Works
        Of :func:`simkit.audit.measure`; the first question is the one that the study rests on.
    study : str
        The study's name, under which each question's valid mass is recorded.
    more : bool
        Whether the study also needs one of the questions after the first.

    Raises
    ------
    SystemExit
        Where the first question's mean valid mass is below 0.5, and with `more` where all others
        fail. papermill takes it as an end, not
        as an error.
    """
    unjudged, end = works.unjudged, works.end
    if more and not end and set(list(works.pilots)[1:]) <= set(works.failing):
        end = (
            f"**This study ends here.** {works.model.name} answers the main question, and none of "
            f"the others that the study needs ({', '.join(works.failing)}): their options hold "
            f"less than {LEAST_MASS:g} of the probability, or are other tokens behind the prompt. "
            "Ask a model that was trained to answer questions, in its chat template."
        )
    if not unjudged and not end:
        return
    show: Any = import_module("IPython.display").display
    if unjudged:
        show({"text/markdown": unjudged, "text/plain": unjudged}, raw=True)
    if not end:
        return
    claim = f"at least {LEAST_MASS:g} of the probability is on the options"
    masses = [
        number(f"Valid mass, {asked}", mass, claim, bool(mass["estimate"] >= LEAST_MASS),
               unit="probability", over="prompts")
        for asked, mass in ((a, p["valid mass"]) for a, p in works.pilots.items())
    ]  # fmt: skip
    warnings.filterwarnings("ignore", message="To exit")  # IPython's word on SystemExit
    text = {"text/markdown": end, "text/plain": end}
    show(text, raw=True, metadata={"simkit": {"stopped": end}})
    show(record(study, masses, model=works.model))
    raise SystemExit(0)


def read(path: Path) -> dict[str, Any] | None:
    """The record in a file, whole and of the right types; None for JSON that is none of a study.

    Raises ValueError, in words, for a file that cannot be read as JSON and for a record that lacks
    something or holds what no record does.
    """
    if not path.is_file():  # a pipe would be waited for
        raise ValueError("it is no file")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"it cannot be read as JSON ({error})") from error
    if not isinstance(content, dict) or "study" not in content:
        return None
    for name, kinds in _KINDS.items():
        if name not in content:
            raise ValueError(f"it has no {name}: the run did not end, or it is no record of simkit")
        if not isinstance(content[name], kinds):
            raise ValueError(f"its {name} is {str(content[name])[:40]!r}")
    provenance = content["provenance"]
    if missing := [n for n in ("parameters", "versions") if type(provenance.get(n)) is not dict]:
        raise ValueError(f"its provenance has no {missing[0]}")
    if Path(content["page"]).name != content["page"]:
        raise ValueError(f"its page is {content['page']!r}, which is no name of a file")
    provenance = {**_model(None), "revision": None, **provenance}
    return {**content, "numbers": list(map(row, content["numbers"])), "provenance": provenance}


# What `write` leaves in a record, beside what `row` looks at.
_KINDS: dict[str, Any] = {
    **dict.fromkeys(("study", "title", "page", "status", "error"), str),
    "seconds": float | int | None, "finished": str | None, "numbers": list, "provenance": dict,
}  # fmt: skip


def write(
    page: Path, source: Study, values: Mapping[str, Any], done: Study | None, failure: str
) -> None:
    """Write `<study>.json` beside `page`: what the notebook recorded, and how it was run.

    `source` is the notebook as it is, `values` the parameters that it was given, and `done`
    what came of it, if anything; values that the notebook recorded itself win. Raises ValueError
    for the record of another study, unless there is a `failure` to write down.
    """
    record, run = (None, {}) if done is None else (done.record, done.run)
    if record is not None and record["study"] != source.name:
        if not failure:
            raise ValueError(
                f"record({record['study']!r}) in the notebook of {source.name!r}: use its own name"
            )
        record = None
    record = record or {"numbers": [], "provenance": {**_model(None), "parameters": {}}}
    cell = {p.name: values.get(p.name, p.default) for p in source.parameters.values()}
    noted = record["provenance"]
    parameters = {**cell, **noted["parameters"]}
    content = {
        "study": source.name,
        "title": source.title,
        "page": page.name,
        "status": "failed" if failure else "stopped" if done and done.stopped else "complete",
        "error": failure,
        "seconds": run.get("duration"),
        "finished": run.get("end_time"),
        "numbers": [row(number) for number in record["numbers"]],  # fields in their order again
        "provenance": {
            **noted,
            "model": noted["model"] or named(cell.get("model")),
            "parameters": parameters,
            **_origin(),
            "seed": parameters.get("seed"),
        },
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, default=_plain)
    write_text(page.with_name(f"{source.name}.json"), text + "\n")


def named(value: Any) -> Any:
    """`value` as pages show it: a folder by its last part, which is the same on every machine."""
    if isinstance(value, str) and value.strip():
        path = Path(value).expanduser()
        if path.is_absolute() or value.startswith(".") or path.is_dir():
            return path.resolve().name or value
    return value


def _model(model: Any) -> dict[str, Any]:
    if model is None or isinstance(model, str):
        return {"model": named(model), "model_revision": None, "model_hash": None}
    if not hasattr(model, "name"):
        raise invalid("model", model, "a name, or a model with a name")
    return {
        "model": str(model.name),
        "model_revision": getattr(model, "revision", None),
        "model_hash": _hash(model),
    }


def _hash(model: Any) -> str | None:
    """Of what the scores depend on: weights, adapters, configuration and tokenizer."""
    try:
        identity = dict(getattr(model, "identity", None) or {})
    except Exception:  # weights that are not in memory, say: no reason to lose the numbers
        return None
    for name in ("path", "revision"):  # how it was scored, and what its folder was called
        identity.pop(name, None)
    return key(**identity).hex()[:12] if identity else None


def _origin() -> dict[str, Any]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return {"versions": versions, "revision": _revision()}


def _revision() -> str | None:
    """The git revision of the checkout simkit is imported from, "-dirty" where the code differs."""
    folder = checkout()

    def git(*words: str) -> str:
        command = ["git", *words]
        return subprocess.check_output(
            command, cwd=folder, text=True, stderr=subprocess.DEVNULL
        ).strip()

    if folder is None:
        return None
    try:  # reports/ is left out: every run rewrites it
        changed = git("status", "--porcelain", "--", "simkit", "notebooks", "data")
        return git("rev-parse", "--short=12", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _plain(value: Any) -> Any:
    """Arrays and numbers of numpy as JSON has them; anything else in words."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
