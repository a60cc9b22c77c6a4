"""Peak memory of `simkit score` on 10,000 and on 1,000,000 prompts: it should be about the same.

    python benchmarks/memory.py [--sizes 10000 1000000] [--store] [--threads 1]

Writes designs of synthetic prompts (each with a word of its own, so that no cache can hold them
all) to a temporary folder and scores each in a process of its own, with a two-layer Llama of random
weights and the glass box's tokenizer. Prints a table in Markdown. With --store the scores go
through a store as well, which adds its own work.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

PER_GROUP = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--store", action="store_true", help="keep the scores in a store too")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(measure(asked.child, asked.threads, asked.store)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in asked.sizes:
            make_design(Path(folder) / "design.parquet", size)
            words = [sys.executable, __file__, "--child", folder, "--threads", str(asked.threads)]
            words += ["--store"] if asked.store else []
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            for leftover in Path(folder).iterdir():
                leftover.unlink()
    print(table(rows))


def make_design(path: Path, size: int) -> None:
    """Customers × prices, two prices to a customer; every customer has a name of their own."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("prompt", pa.string()), ("customer", pa.int64()), ("price", pa.float64())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, size, PER_GROUP):
            ids = range(start, min(size, start + PER_GROUP))
            customers = [i // 2 for i in ids]
            prices = [1 + i * 7_919 % 1_900 / 100 for i in ids]
            prompts = [
                f"The store sells groceries. Customer N{c} is {18 + c % 70} years old, with an "
                f"income of ${20_000 + c % 8_001 * 10}. The price is ${p:.2f}.\n"
                "Question: Does the customer buy it?\nAnswer:"
                for c, p in zip(customers, prices, strict=True)
            ]
            writer.write_table(pa.table([prompts, customers, prices], schema=schema))


def measure(folder: Path, threads: int, store: bool) -> dict[str, float]:
    """Score the design in `folder` in this process."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from simkit.scoring import Cached, LocalModel, bundled, score_parquet

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(bundled()["glassbox"])
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=256,
    )  # fmt: skip
    network = LlamaForCausalLM(config).eval()
    model = LocalModel("micro", network, tokenizer)
    _ = model.path  # the self-check is not part of the run
    asked = Cached(model, folder / "scores.sqlite") if store else model
    before = peak_memory()
    design, out = folder / "design.parquet", folder / "out.parquet"
    done = score_parquet(asked, design, out, ["yes", "no"])
    return {
        "prompts": done.prompts,
        "seconds": done.seconds,
        "saved": done.saved,
        "before": before,
        "peak": peak_memory(),
        "in": design.stat().st_size / 2**20,
        "out": out.stat().st_size / 2**20,
    }


def peak_memory() -> float:
    """Of this process, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count the parent's memory at the fork
        (line,) = [x for x in status.read_text().splitlines() if x.startswith("VmHWM")]
        return int(line.split()[1]) / 2**10
    import resource

    unit = 1 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def table(rows: list[dict[str, float]]) -> str:
    """Markdown; the ratio is to the first row."""
    lines = [
        "| prompts | seconds | prompts/s | tokens saved | in MiB | out MiB | model loaded MiB "
        "| peak MiB | ratio |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {r['prompts']:,} | {r['seconds']:,.0f} | {r['prompts'] / r['seconds']:,.0f} "
        f"| {r['saved']:.0%} | {r['in']:,.1f} | {r['out']:,.1f} | {r['before']:,.0f} "
        f"| {r['peak']:,.0f} | {r['peak'] / rows[0]['peak']:.2f} |"
        for r in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
