"""Adapters as small folders (weights, configuration, record, card): saved and loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from simkit.files import as_path, write_text
from simkit.scoring import LocalModel, load
from simkit.scoring.local import check_local
from simkit.training.base import fingerprint, for_training, shared_copy
from simkit.training.card import page
from simkit.training.extras import hushed, need
from simkit.training.quantise import is_quantised, quantise, trainable

__all__ = ["RECORD", "STORED", "adapter_weights", "load_adapter", "load_with_base", "read_record",
           "save_adapter", "with_stored"]  # fmt: skip

RECORD = "training.json"
STORED = "float16"  # the type of an adapter's weights on disk


def adapter_weights(network: Any) -> dict[str, torch.Tensor]:
    """A copy of the adapter's weights, as peft names them."""
    # Left to itself, peft asks disk or hub for the base's configuration, to guess whether its
    # embeddings were trained too.
    state = need("peft").get_peft_model_state_dict(network, save_embedding_layers=False)
    return {name: weight.detach().cpu().clone() for name, weight in state.items()}


def with_stored(base: LocalModel, folder: Path, *, trained: bool = False) -> Any:
    """A copy of the base's network, its weights shared, with the adapter of a folder.

    trained : for training on, in float32 where the base is in float64.
    """
    network = trainable(shared_copy(for_training(base.network) if trained else base.network))
    with hushed():
        return need("peft").PeftModel.from_pretrained(
            network, folder, is_trainable=trained, torch_device=str(base.device)
        )


def save_adapter(
    folder: Path,
    network: Any,
    weights: Mapping[str, torch.Tensor],
    record: dict[str, Any],
    template: str = "adapter.md.j2",
    **card: Any,
) -> None:
    """Write an adapter that peft, transformers and `load_adapter` can read.

    network : the peft model, for its configuration. weights : of the adapter, as peft names them.
    record : what `training.json` and the card say; its `base`, `stored` and so on.
    template, card : of the card, and what it says beside the record.

    The record is written last, so a folder that has one is whole. Raises ValueError for weights
    that the stored type cannot hold.
    """
    dtype = getattr(torch, record["stored"])
    small = {name: w.detach().to(dtype).cpu().contiguous() for name, w in weights.items()}
    bad = [name for name, w in small.items() if not torch.isfinite(w).all()]
    if bad:
        raise ValueError(f"{bad[0]} is not finite in {record['stored']}; weights must be finite")
    folder.mkdir(parents=True, exist_ok=True)
    save_file(small, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = network.peft_config["default"].to_dict()
    # The base by its name: a path would be this machine's.
    config |= {"base_model_name_or_path": record["base"], "inference_mode": True}
    # Sets have no order of their own, and the same adapter should be the same file.
    plain = {k: sorted(v) if isinstance(v, set) else v for k, v in config.items()}
    text = json.dumps(plain, indent=1, sort_keys=True)
    write_text(folder / "adapter_config.json", text + "\n")
    record = {**record, "parameters": sum(w.numel() for w in small.values())}
    write_text(folder / "README.md", page(template, name=folder.name, **record, **card) + "\n")
    write_text(folder / RECORD, json.dumps(record, indent=1) + "\n")


def read_record(folder: Path | str) -> dict[str, Any] | None:
    """What `training.json` in the folder says, None if there is none."""
    path = Path(folder) / RECORD
    return json.loads(path.read_text()) if path.exists() else None


def load_adapter(base: LocalModel, folder: Path | str, *, check: bool = True) -> LocalModel:
    """The base model with an adapter that `finetune` saved, ready to score.

    Parameters
    ----------
    base : from `simkit.load`. It stays as it is; the weights are shared, not copied.
    folder : with adapter_model.safetensors and adapter_config.json.
    check : compare the base with the fingerprint that the adapter's record holds.

    Returns
    -------
    LocalModel
        Named "base + folder", scored along the base's path and store.

    Raises
    ------
    ValueError
        If the folder holds no adapter or no record of its base (check=False loads an adapter from
        elsewhere), if weights of it are missing, spare or not finite, or if it was trained on
        another base, naming both.

    Examples
    --------
    >>> import simkit as sk
    >>> from simkit.resources import root
    >>> folder = root("data") / "adapters" / "alignment" / "sft"
    >>> load_adapter(sk.load("glassbox"), folder).name
    'glassbox + sft'
    """
    check_local(base)
    folder = as_path(folder, "folder").expanduser()
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / file).exists():
            raise ValueError(
                f"{folder.name} holds no adapter: there is no {file} in it (weights in formats "
                "other than safetensors are not read, for they may run code)"
            )
    record = read_record(folder)
    if check:
        _check_base(base, folder.name, record)
    if record and record["method"] == "qlora" and not is_quantised(base.network):
        base = quantise(base)
    try:
        network = with_stored(base, folder)
    except (RuntimeError, OSError, SafetensorError) as error:  # other shapes, files lost or cut
        lines = str(error).strip().splitlines() or [""]
        raise ValueError(
            f"{folder.name} does not fit {base.name}: {lines[0]} {lines[-1]}"
        ) from error
    _check_whole(adapter_weights(network), network.state_dict(), folder)
    if base.network.dtype is torch.float64:  # or the adapter's share would be as in float32
        network = network.double()
    return replace(base, network=network.eval(), name=f"{base.name} + {folder.name}")


def load_with_base(folder: Path | str, **settings: Any) -> LocalModel:
    """The model that an adapter was made for, with the adapter.

    Parameters
    ----------
    folder : with adapter_model.safetensors and adapter_config.json, which names the base.
    **settings
        Of the base, as :func:`simkit.load` takes them.

    Returns
    -------
    LocalModel
        As of :func:`load_adapter`. A base is compared with the adapter's record where it has one.

    Raises
    ------
    ValueError
        If the adapter names no base, and as :func:`load_adapter` and :func:`simkit.load`.

    Examples
    --------
    >>> from simkit.resources import root
    >>> load_with_base(root("data") / "adapters" / "alignment" / "sft").name
    'glassbox + sft'
    """
    folder = as_path(folder, "folder").expanduser()
    name = json.loads((folder / "adapter_config.json").read_text()).get("base_model_name_or_path")
    if not name:
        raise ValueError(
            f"{folder.name} does not name its base; load that and put the adapter on it: "
            f"simkit.training.load_adapter(base, {str(folder)!r})"
        )
    return load_adapter(load(name, **settings), folder, check=read_record(folder) is not None)


def _check_whole(expected: Mapping[str, Any], base: Mapping[str, Any], folder: Path) -> None:
    """ValueError for an adapter some of whose weights would be left as they are made.

    expected : the adapter's weights. base : all weights, of which it may bring some anew.
    """
    stored = load_file(folder / "adapter_model.safetensors")
    problems = {
        "lacks": expected.keys() - stored.keys(),
        "does not use": stored.keys() - expected.keys() - base.keys(),
        "is not finite in": {n for n, weight in stored.items() if not torch.isfinite(weight).all()},
    }
    for problem, names in problems.items():
        if names:
            raise ValueError(
                f"{folder.name} {problem} {len(names)} weights ({', '.join(sorted(names)[:3])}); "
                "it was cut short, or made for another base: save it anew"
            )


def _check_base(base: LocalModel, name: str, record: Mapping[str, Any] | None) -> None:
    if record is None:
        raise ValueError(
            f"{name} has no {RECORD}, so its base cannot be checked: give an adapter that "
            "finetune saved, or check=False"
        )
    weights = fingerprint(base.network)
    if weights != record["fingerprint"]:
        raise ValueError(
            f"{name} was trained on {record['base']} with weights {record['fingerprint'][:12]}; "
            f"the base given is {base.name} with weights {weights[:12]}. Give the base it was "
            "trained on, train it again, or pass check=False"
        )
