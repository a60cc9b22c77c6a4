"""One method on the workloads of one model, in a process of its own; prints a line of JSON."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.methods import METHODS, applies, quiet
from benchmarks.workloads import MODELS, Workload, build, unique_nodes, workloads
from simkit.scoring.engine import kernels

REPEATS, SHORT = 3, 3.0  # a run of under SHORT seconds is repeated; the best counts


def peak_memory(reset: bool = False) -> float:
    """Peak resident memory in MB, since the last reset where Linux can do that."""
    clear = Path("/proc/self/clear_refs")
    if not clear.exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
    if reset:
        clear.write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1e3


def timed(run: Callable[[], Any]) -> tuple[Any, float, int]:
    """What it returns, the seconds of the best run, and the number of runs."""
    seconds: list[float] = []
    while not seconds or (len(seconds) < REPEATS and seconds[0] < SHORT):
        start = time.perf_counter()
        out = run()
        seconds.append(time.perf_counter() - start)
    return out, min(seconds), len(seconds)


def measure(
    method: str, model: str, prompts: int | None, batch: int, out: Path
) -> list[dict[str, Any]]:
    """Score the workloads; the scores go to `<out>-<number>.npy`."""
    dtype = torch.bfloat16 if method == "simkit, bf16" else torch.float32
    network, tokenizer = build(model, dtype)
    counted = [0]
    network.get_input_embeddings().register_forward_pre_hook(
        lambda module, args: counted.__setitem__(0, counted[0] + args[0].numel())
    )
    ours = method.startswith("simkit")

    def run(some: Workload) -> Any:
        return METHODS[method](network, tokenizer, some, batch)

    results = []
    for number, workload in enumerate(workloads(model)):
        if not applies(method, model, workload):
            continue
        few = prompts if model != "glassbox" or prompts is None else 10 * prompts
        part = workload.head(None if ours or not workload.sampled else few)
        run(workload.head(2))  # warm up
        peak_memory(reset=True)
        counted[0] = 0
        scores, seconds, runs = timed(partial(run, part))
        np.save(f"{out}-{number}.npy", scores)
        scale = len(workload.prompts) / len(part.prompts)
        results.append({
            "model": model, "workload": number, "name": workload.name, "says": workload.says,
            "method": method, "measured": len(part.prompts), "prompts": len(workload.prompts),
            "scores": len(workload.prompts) * scores.shape[1], "scale": scale,
            "seconds": seconds * scale, "positions": round(counted[0] / runs * scale),
            "peak_mb": peak_memory(),
        })  # fmt: skip
    if method == "simkit":  # last, for it takes memory of its own
        for row, workload in zip(results, workloads(model), strict=True):
            row["nodes"] = unique_nodes(tokenizer, workload)
            row["limits"] = limits(network, run, workload.head(4_000))
    return results


def limits(network: Any, run: Callable[[Workload], Any], part: Workload) -> dict[str, float]:
    """Where the time goes: shares of a profile, and what matrix products could reach here."""
    from torch.profiler import ProfilerActivity, profile

    start = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU]) as found:
        run(part)
    whole = time.perf_counter() - start
    spent = {"products": 0.0, "attention": 0.0, "other operators": 0.0}
    for event in found.key_averages():
        name = event.key.rsplit("::", 1)[-1]
        products = name in ("mm", "addmm", "bmm", "linear", "_linear_pointwise", "mkl_linear")
        kind = "products" if products else "other operators"
        kind = "attention" if "scaled_dot_product" in name else kind
        spent[kind] += event.self_cpu_time_total / 1e6
    shares = {kind: seconds / whole for kind, seconds in spent.items()}
    shares["Python and NumPy"] = max(0.0, 1 - sum(shares.values()))
    return {**shares, "flop_per_node": flop_per_node(network), "peak_gflops": peak(network)}


def body_weights(network: Any) -> int:
    """Weights that multiply every position: all but embeddings and the vocabulary head."""
    tables = [m.weight for m in network.modules() if isinstance(m, torch.nn.Embedding)]
    apart = {id(table) for table in [*tables, network.get_output_embeddings().weight]}
    return sum(p.numel() for p in network.parameters() if p.ndim == 2 and id(p) not in apart)


def flop_per_node(network: Any) -> float:
    """Of the products that run at every node: all but the vocabulary head."""
    return 2.0 * body_weights(network)


@torch.inference_mode()
def peak(network: Any) -> float:
    """Rate of a matrix product of this network's width, in GFLOP/s: the best of twenty."""
    hidden: int = network.config.hidden_size
    layer = torch.nn.Linear(hidden, 3 * hidden, bias=False)
    x = torch.randn(2_048, hidden)
    best = float("inf")
    with kernels.fast_products(_Bare(layer)):
        for _ in range(20):
            start = time.perf_counter()
            layer(x)
            best = min(best, time.perf_counter() - start)
    return 2 * 2_048 * hidden * 3 * hidden / best / 1e9


class _Bare(torch.nn.ModuleList):
    """Layers that say where they are, as a network does."""

    device = torch.device("cpu")

    def __init__(self, *layers: torch.nn.Module) -> None:
        super().__init__(layers)


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", choices=tuple(METHODS), required=True)
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--prompts", type=int, help="of a workload that is sampled; else all")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    quiet()
    if given.threads:
        torch.set_num_threads(given.threads)
    results = measure(given.method, given.model, given.prompts, given.batch, given.out)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
