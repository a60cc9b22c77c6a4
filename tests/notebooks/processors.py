"""Whether notebooks show the same text with the arithmetic of other processors.

`python -m tests.notebooks.processors notebooks/*.ipynb` runs every notebook with nbval once per
setting and prints, setting by notebook, how many cells show another text than the one saved; the
exit code is 1 if any does. What a processor cannot do, the libraries replace by what it can, so
the widest settings are of use only on a machine that has such units.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd

SANITIZE = Path(__file__).parent / "sanitize.cfg"

# Who makes the products of matrices depends on processor and shape: torch's own kernels, oneDNN
# or MKL; so each is held back by itself, and all together, with one thread and with two.
SETTINGS: dict[str, dict[str, str]] = {
    "as it comes, 1 thread": {"OMP_NUM_THREADS": "1"},
    "as it comes, 2 threads": {"OMP_NUM_THREADS": "2"},
    "torch without vectors": {"ATEN_CPU_CAPABILITY": "default"},
    "torch AVX2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "torch AVX-512": {"ATEN_CPU_CAPABILITY": "avx512"},
    "oneDNN SSE4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "oneDNN AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "oneDNN AVX-512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    "MKL reproducible": {"MKL_CBWR": "COMPATIBLE"},
    "MKL reproducible, AVX2": {"MKL_CBWR": "AVX2,STRICT"},
    "MKL SSE4.2": {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "MKL AVX2": {"MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "MKL AVX-512": {"MKL_ENABLE_INSTRUCTIONS": "AVX512"},
    "all AVX2, 2 threads": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_CBWR": "COMPATIBLE",
        "OMP_NUM_THREADS": "2",
    },
    "all narrow": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
}
NAMES = sorted({name for setting in SETTINGS.values() for name in setting})


def differing(notebook: Path, setting: Mapping[str, str], timeout: int = 1_200) -> str:
    """Numbers of the code cells that show another text, as "0" or "3: 4, 7, 12" or an error."""
    kept = {name: value for name, value in os.environ.items() if name not in NAMES}
    env = {**kept, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", **setting}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        call = [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
            "--nbval", "--nbval-kernel-name", "python3", "--nbval-cell-timeout", str(timeout),
            "--nbval-sanitize-with", str(SANITIZE), f"--junitxml={report}", str(notebook),
        ]  # fmt: skip
        done = subprocess.run(call, env=env, capture_output=True, text=True)
        cells = ElementTree.parse(report).findall(".//testcase") if report.is_file() else []
    bad = [cell.get("name", "").rpartition(" ")[2] for cell in cells if len(cell)]
    if not cells or done.returncode not in (0, 1):
        return f"error: {(done.stdout + done.stderr).strip()[-200:]}"
    return f"{len(bad)}: {', '.join(bad)}" if bad else "0"


def compare(
    notebooks: Sequence[Path], settings: Mapping[str, Mapping[str, str]], jobs: int
) -> pd.DataFrame:
    """A row per setting, a column per notebook, as `differing` says it."""
    pairs = [(name, notebook) for name in settings for notebook in notebooks]

    def one(pair: tuple[str, Path]) -> str:
        begun = time.perf_counter()
        found = differing(pair[1], settings[pair[0]])
        seconds = time.perf_counter() - begun
        print(f"{pair[0]}, {pair[1].stem}: {found} ({seconds:.0f} s)", file=sys.stderr, flush=True)
        return found

    with ThreadPoolExecutor(jobs) as pool:
        found = list(pool.map(one, pairs))
    table = pd.Series(found, index=pd.MultiIndex.from_tuples(pairs)).unstack(sort=False)
    return table.rename(columns=lambda notebook: notebook.stem)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--jobs", type=int, default=1, help="notebooks that run side by side")
    parser.add_argument("--only", nargs="+", choices=SETTINGS, metavar="SETTING")
    asked = parser.parse_args()
    import torch

    settings = {name: SETTINGS[name] for name in asked.only or SETTINGS}
    table = compare(asked.notebooks, settings, asked.jobs)
    print(f"{platform.machine()}, torch {torch.__version__}", end=", ")
    print(f"as it comes {torch.backends.cpu.get_cpu_capability()}; cells that show another text:")
    print(table.to_string())
    return int((table != "0").to_numpy().any())


if __name__ == "__main__":
    sys.exit(main())
