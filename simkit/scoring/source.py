"""Where a model comes from: bundled names, folders and hub ids, read whole or refused."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from simkit.resources import root

__all__ = ["bundled", "name_of", "quiet", "read", "resolve"]

SHOWN = 4  # names of weights in an error
_HUB = re.compile(r"[\w.-]+(/[\w.-]+)?")
# Buffers that older releases saved and newer ones compute: masks, positions, frequencies.
_COMPUTED = re.compile(
    r"(rotary_emb\.inv_freq|position_ids|(attn|attention)\.(masked_)?bias|\.rope\.freqs)$"
)


def bundled() -> dict[str, Path]:
    """The models that ship with simkit, by name.

    Returns
    -------
    dict
        {name: folder}; "glassbox" is the small one.

    Examples
    --------
    >>> import simkit as sk
    >>> sk.bundled()["glassbox"].name
    'glassbox-small'
    """
    configs = sorted((root("data") / "models").glob("*/config.json"))
    names = {file.parent.name: file.parent for file in configs}
    if "glassbox-small" in names:
        names = {"glassbox": names["glassbox-small"], **names}
    return names


def resolve(name_or_path: str | Path) -> str:
    """The folder of a bundled name or path, or the hub id as it is.

    Raises ValueError, saying what to do, for what holds no model that can be read.
    """
    name, models, path = str(name_or_path), bundled(), Path(os.path.expanduser(name_or_path))
    if not name:
        raise ValueError(f"{name!r} is no model; it must be a name, a folder or a hub id")
    if name in models:
        return str(models[name])
    if path.exists():
        _check(path)
        return str(path)
    if not _HUB.fullmatch(name) or name.startswith((".", "glassbox")):
        raise ValueError(
            f"no model folder {name!r}, and no bundled model of that name "
            f"(bundled: {', '.join(models) or 'none'})"
        )
    return name


def name_of(name_or_path: str | Path) -> str:
    """Hub ids as they are; folders by their last part, so that no machine's path is reported."""
    path = Path(os.path.expanduser(name_or_path))
    return path.resolve().name if path.is_dir() else str(name_or_path)


def _check(path: Path) -> None:
    """ValueError for a file, and for a folder without a whole model."""
    names = {file.name for file in path.iterdir()} if path.is_dir() else {path.name}

    def has(*endings: str) -> bool:
        return any(name.endswith(endings) for name in names)

    if has(".gguf") and not has(".safetensors"):
        raise ValueError(
            f"{path} holds weights in the GGUF format; give the file itself: "
            f"simkit.load({str(next(iter(sorted(path.glob('*.gguf'))), path))!r})"
        )
    if not path.is_dir():
        raise ValueError(f"{path} is a file; give the folder that holds it and its config.json")
    if "adapter_config.json" in names:
        base = _json(path / "adapter_config.json").get("base_model_name_or_path")
        raise ValueError(
            f"{path} holds an adapter (PEFT) beside a model, so that it is not clear which is "
            f"meant. Load its base, which it calls {base!r}, and put the adapter on it: "
            f"simkit.training.load_adapter(simkit.load(base), {str(path)!r})"
        )
    if "config.json" not in names:
        what = "a folder without config.json" if names else "an empty folder, without config.json"
        raise ValueError(f"{path} is {what}: no model was saved there")
    _json(path / "config.json")
    if has(".bin", ".pt", ".pth", ".ckpt", ".h5") and not has(".safetensors"):
        raise ValueError(
            f"{path} holds no safetensors weights; others are not read, for they may run code. "
            "Where you trust them, load them with transformers and write them anew with "
            "save_pretrained"
        )
    if not has(".safetensors"):
        raise ValueError(
            f"{path} holds no weights (*.safetensors). Write network and tokenizer there with "
            "save_pretrained, or copy the files that are missing"
        )
    for index in path.glob("*.safetensors.index.json"):
        lost = sorted(set(_json(index).get("weight_map", {}).values()) - names)
        if lost:
            raise ValueError(f"{path} lacks weights that its index names: {_some(lost)}")


def _json(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")).items())
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{file} cannot be read: {error}") from error


def read(source: str, dtype: str, **settings: Any) -> tuple[Any, Any]:
    """Tokenizer and network of a folder or hub id, with exactly the weights of the network.

    settings : for both, as transformers takes them. Raises ValueError for weights that are
    missing, unexpected or of another shape, which transformers would fill at random or leave out;
    and for a folder that cannot be read.
    """
    loaded: Any
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(source, **settings)
            loaded = AutoModelForCausalLM.from_pretrained(
                source,
                dtype=dtype,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # named below
                **settings,
            )
    except Exception as error:
        if "Unrecognized configuration class" in str(error):
            raise ValueError(f"{source} is no causal language model, which scores need") from error
        if Path(source).is_dir() or isinstance(error, SafetensorError):
            reason = str(error).strip() or type(error).__name__
            raise ValueError(f"{source} cannot be loaded: {reason.splitlines()[0]}") from error
        if isinstance(error, OSError):
            raise OSError(
                f"{source} is neither a bundled model ({', '.join(bundled())}) nor a folder, and "
                f"the hub does not give it: {str(error).strip().splitlines()[0]}"
            ) from error
        raise
    network, report = loaded
    wrong = {
        "are missing": report["missing_keys"],
        "are not the model's": {k for k in report["unexpected_keys"] if not _COMPUTED.search(k)},
        "have another shape": {
            f"{name} {tuple(have)}, not {tuple(needed)}"
            for name, have, needed in report["mismatched_keys"]
        },
    }
    faults = [f"{len(n)} weights {how} ({_some(n)})" for how, n in wrong.items() if n]
    if faults:
        raise ValueError(
            f"{source} does not hold the weights of a {type(network).__name__} "
            f"({'; '.join(faults)}), so some would be random; save the whole model anew with "
            "save_pretrained, from the class that its config.json names"
        )
    return tokenizer, network


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:SHOWN]) + (", …" if len(listed) > SHOWN else "")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars and notices out of notebooks, then restore them."""
    notices: Any = transformers_logging  # its functions have no types
    level, bar = notices.get_verbosity(), notices.is_progress_bar_enabled()
    notices.set_verbosity_error()
    notices.disable_progress_bar()
    try:
        yield
    finally:
        notices.set_verbosity(level)
        if bar:
            notices.enable_progress_bar()
