"""GGUF files, as llama.cpp's world keeps models: read once, kept as a folder of safetensors.

transformers reads such a file by computing float32 weights from its quantised ones, and spends most
of its time on the tokenizer. So the result is kept below simkit's cache folder, under the file's
SHA-256: the same file, wherever it lies, is converted once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from copy import deepcopy
from pathlib import Path

import torch
from tqdm import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer

from simkit.datasets.files import cache_folder
from simkit.scoring.source import quiet

__all__ = ["converted", "digest", "place_of"]


def digest(file: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def place_of(sha256: str) -> Path:
    """Where the model of a GGUF file with that hash is kept, or would be."""
    return cache_folder() / "models" / sha256[:16]


def converted(file: Path) -> Path:
    """The folder of safetensors weights made from a GGUF file; made now if it is not there.

    The folder takes its place only when it is whole, so a stop in between leaves nothing behind
    that could be taken for a model, and two processes may convert at once.

    Raises ValueError for a file that transformers cannot read, OSError where the cache folder
    cannot be written.
    """
    out = place_of(digest(file))
    if out.is_dir():
        return out
    out.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".making-", dir=out.parent))
    try:
        _convert(file, made)
        try:
            os.replace(made, out)
        except OSError:
            if not out.is_dir():  # else another process was first, with the same bytes
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return out


def _convert(file: Path, out: Path) -> None:
    """Write weights, configuration and tokenizer of a GGUF file into a folder."""
    with tqdm(total=4, desc=f"converting {file.name}", leave=False) as bar, quiet():
        try:
            read = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
            network = AutoModelForCausalLM.from_pretrained(**read, dtype=torch.float32)
            bar.update()
            tokenizer = AutoTokenizer.from_pretrained(**read)
            bar.update()
        except Exception as error:  # whatever transformers and gguf raise
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise ValueError(
                f"{file} cannot be read as a GGUF model: {said[0]}. Take the model's folder of "
                "safetensors weights, from which GGUF files are made"
            ) from error
        config = deepcopy(network.config)
        if hasattr(config, "quantization_config"):  # the weights are plain numbers now
            del config.quantization_config
        plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        plain.load_state_dict(network.state_dict())
        plain.save_pretrained(out)
        bar.update()
        tokenizer.save_pretrained(out)
        bar.update()
