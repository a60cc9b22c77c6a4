"""`load`: a model from whatever it may come from, by one table of backends."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from simkit.scoring.cache.cached import Cached
from simkit.scoring.catalogue import CATALOGUE, folder_of
from simkit.scoring.gguf import converted
from simkit.scoring.local import LocalModel, load_local
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


def is_listed(source: Any) -> bool:
    """Whether it is the name of a model that `simkit models` lists."""
    return isinstance(source, str) and source in CATALOGUE


def is_gguf(source: Any) -> bool:
    """Whether it is a GGUF file that is there."""
    return is_name(source) and str(source).endswith(".gguf") and _path(source).is_file()


def is_adapter(source: Any) -> bool:
    """Whether it is a folder with an adapter (PEFT) and no whole model."""
    if not is_name(source):
        return False
    folder = _path(source)
    return (folder / "adapter_config.json").is_file() and not (folder / "config.json").exists()


def is_address(source: Any) -> bool:
    """Whether it is the address of a server."""
    return isinstance(source, str) and source.startswith(("http://", "https://"))


def is_recorded(source: Any) -> bool:
    """Whether it is a file of recorded answers."""
    return is_name(source) and str(source).endswith((".jsonl", ".jsonl.gz"))


def is_openai(source: Any) -> bool:
    """Whether it names a model of OpenAI's interface."""
    return isinstance(source, str) and source.startswith("openai:")


def is_served(source: Any) -> bool:
    """Whether the model behind it is not on this machine."""
    return is_address(source) or is_openai(source)


def load_listed(source: str, **settings: Any) -> LocalModel:
    """A model of the catalogue, under its name there."""
    return replace(load_local(folder_of(source), **settings), name=source)


def load_gguf(source: str | Path, **settings: Any) -> LocalModel:
    """A GGUF file's model, converted when it is first met, under the file's name."""
    file = _path(source)
    return replace(load_local(converted(file), **settings), name=file.stem)


def later(module: str, function: str) -> Callable[..., Any]:
    """A function of a module that is imported when it is called: of a higher floor, or heavy."""

    def opens(source: Any, **settings: Any) -> Any:
        return getattr(import_module(module), function)(source, **settings)

    return opens


def _path(source: str | Path) -> Path:
    return Path(os.path.expanduser(source))


# The first that takes a source opens it. To add a backend, add its line, above the last.
BACKENDS = [
    Backend("a loaded model", is_model, lambda source: source),
    Backend("a rule, prompt -> {option: probability}", callable, MockModel),
    Backend("a model that `simkit models` lists", is_listed, load_listed),
    Backend("a GGUF file", is_gguf, load_gguf),
    Backend("a folder with an adapter", is_adapter, later("simkit.training", "load_with_base")),
    Backend(
        "a file of recorded decisions (.jsonl)",
        is_recorded,
        later("simkit.scoring.remote", "load_recorded"),
    ),
    Backend("the address of a server", is_address, later("simkit.scoring.remote", "load_remote")),
    Backend("openai:MODEL", is_openai, later("simkit.scoring.remote", "load_openai")),
    Backend("a bundled name, a folder or a hub id", is_name, load_local),
]


def load(source: Any = "glassbox", *, cache: str | Path | None = None, **settings: Any) -> Any:
    """A model, ready to score.

    Parameters
    ----------
    source : str, path, callable or Model
        "glassbox" (the model that ships) or another bundled name (`bundled()`); "smollm2" or
        another model that `simkit models` lists; a folder that `save_pretrained` wrote, or one of
        an adapter (PEFT), whose base is loaded too; a GGUF file; a hub id; the address of a
        server ("http://127.0.0.1:8000/v1") or a model of OpenAI's ("openai:gpt-4.1-mini", its key
        in OPENAI_API_KEY); a file of decisions that were recorded ("answers.jsonl"), see
        `simkit.scoring.remote.load_recorded`; a rule, for a `MockModel`; or a model, which is
        given back as it is. `BACKENDS` in scoring/load.py is the table.
    cache : str or path, optional
        A file (SQLite, made if it is not there) where scores, and the runs of `sample_runs`, are
        kept as they are computed and looked up before they are; None for no such file. It may
        hold many models, whose rows never mix, and be shared by processes. See `Cached`.
    **settings
        What the backend takes. Of names, folders and hub ids: `device`, `dtype`, `revision`,
        `trust_remote_code` and `path`, see `load_local`; of an address: `model`, `answers`,
        `repeats` and more, see `load_remote`; of a rule: `name`, `card`, `identity`.

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
            if store is not None and is_served(source):
                return backend.opens(source, cache=store, **settings)  # kept by request
            model = backend.opens(source, **settings)
            return model if store is None else Cached(model, store)
    kinds = "; or ".join(backend.what for backend in BACKENDS)
    raise ValueError(f"{shown(source)} is no model; it must be {kinds}")
