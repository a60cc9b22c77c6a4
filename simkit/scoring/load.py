"""`load`: a model from whatever it may come from, by one table of backends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from simkit.scoring.cache.cached import Cached
from simkit.scoring.local import load_local
from simkit.scoring.mock import MockModel
from simkit.store import Store
from simkit.types import shown

__all__ = ["BACKENDS", "load"]


class Backend(NamedTuple):
    """One line of the table.

    what : the source, for the error that lists them.
    takes : whether a source is one of these.
    opens : (source, **settings) -> the model.
    """

    what: str
    takes: Callable[[Any], bool]
    opens: Callable[..., Any]


def is_model(source: Any) -> bool:
    """Whether it scores already."""
    return not isinstance(source, type) and callable(getattr(source, "scores", None))


def is_name(source: Any) -> bool:
    """Whether it is text or a path."""
    return isinstance(source, str | Path)


# The first that takes a source opens it. To add a backend, add its line, above the last.
BACKENDS = [
    Backend("a loaded model", is_model, lambda source: source),
    Backend("a rule, prompt -> {option: probability}", callable, MockModel),
    Backend("a bundled name, a folder or a hub id", is_name, load_local),
]


def load(source: Any = "glassbox", *, cache: str | Path | None = None, **settings: Any) -> Any:
    """A model, ready to score.

    Parameters
    ----------
    source : str, path, callable or Model
        "glassbox" (the model that ships) or another bundled name (`bundled()`), a folder that
        `save_pretrained` wrote, or a hub id; a rule, for a `MockModel`; or a model, which is given
        back as it is. `BACKENDS` in scoring/load.py is the table.
    cache : str or path, optional
        A file (SQLite, made if it is not there) where scores, and the runs of `sample_runs`, are
        kept as they are computed and looked up before they are; None for no such file. It may
        hold many models, whose rows never mix, and be shared by processes. See `Cached`.
    **settings
        What the backend takes. Of names, folders and hub ids: `device`, `dtype`, `revision`,
        `trust_remote_code` and `path`, see `load_local`; of a rule: `name`, `card`, `identity`.

    Returns
    -------
    Model
        A `LocalModel`, a `MockModel` or the model given; with a cache, a `Cached`.

    Raises
    ------
    ValueError
        For a source that no backend takes, and what the backend raises.

    Examples
    --------
    >>> import simkit as sk
    >>> sk.load("glassbox").name
    'glassbox'
    >>> sk.load(lambda prompt: {"yes": 0.6, "no": 0.3}, name="rule").name
    'rule'
    """
    store = None if cache is None else Store(cache)  # before a large model is read
    for backend in BACKENDS:
        if backend.takes(source):
            model = backend.opens(source, **settings)
            return model if store is None else Cached(model, store)
    kinds = "; or ".join(backend.what for backend in BACKENDS)
    raise ValueError(f"{shown(source)} is no model; it must be {kinds}")
