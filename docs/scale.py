"""What many scores of a large model cost, from what was measured: the tables of docs/scale.md.

`python -m docs.scale --price 4 --days 7` prints them for other assumptions; `python -m docs.tables`
writes the page's own.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.parent
CASES = {
    ("glassbox", "market grid, 'buyers'"): "study 01, 11 options of 1 token",
    ("glassbox", "market grid, 'buys'"): "study 01, 2 options of 1 token",
    ("llama", "canonical, 1-token options"): "150 of 170 tokens shared, 5 options of 1 token",
    ("llama", "canonical, 3-token options"): "150 of 170 tokens shared, 5 options of 3 tokens",
    ("llama", "nothing shared"): "nothing shared, 1 option of 3 tokens",
}


@dataclass(frozen=True)
class Assumed:
    """What is not measured here, but assumed."""

    scores: float = 1e9  # option scores
    size: float = 70e9  # parameters of the model
    peak: float = 989e12  # FLOP/s of a device: H100 SXM, dense bf16, by its data sheet
    product: float = 0.7  # share of it that a large matrix product reaches by itself
    price: float = 2.5  # dollars an hour and device
    days: float = 1.0  # in which it is to be done
    tensor: int = 4  # devices that hold one copy of the model: 140 GB in bf16, and room to work


def measured(folder: str = "benchmarks") -> dict[tuple[str, str], dict[str, dict[str, Any]]]:
    """Rows of a benchmark: model and workload -> method -> row."""
    text = (HERE / folder / "results.json").read_text(encoding="utf-8")
    found: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in json.loads(text)["rows"]:
        found.setdefault((row["model"], row["name"]), {})[row["method"]] = row
    return found


def share_of_product(row: dict[str, Any]) -> float:
    """Of the speed of a matrix product by itself, what scoring reached over all."""
    done = row["positions"] * row["limits"]["flop_per_node"] / row["seconds"]
    return float(done / (row["limits"]["peak_gflops"] * 1e9))


def costs(key: tuple[str, str], assumed: Assumed) -> dict[str, float]:
    """Tokens, device hours and money of one workload, by the tree and by vLLM."""
    rows = measured()[key]
    ours, plain = rows["simkit"], rows["padded loop"]
    prompts = assumed.scores * ours["prompts"] / ours["scores"]
    each = {name: row["positions"] / row["prompts"] for name, row in rows.items()}
    share = share_of_product(ours)
    tokens = prompts * each["simkit"]
    hours = tokens * 2 * assumed.size / (assumed.peak * assumed.product * share) / 3600
    vllm = measured("benchmarks/vllm").get(key, {}).get("vllm", {}).get("times", math.nan)
    return {
        "prompts": prompts, "plain": prompts * each["padded loop"], "each": each["simkit"],
        "tokens": tokens, "saved": 1 - ours["positions"] / plain["positions"], "share": share,
        "hours": hours, "vllm": hours * vllm, "times": vllm,
    }  # fmt: skip


def tables(assumed: Assumed | None = None) -> str:
    """Tokens; and hours and money."""
    assumed = assumed or Assumed()
    found = {words: costs(key, assumed) for key, words in CASES.items()}
    tokens = [
        [words, _big(c["prompts"]), _big(c["plain"]), f"{c['each']:.1f}", _big(c["tokens"]),
         f"{c['saved']:.0%}"]
        for words, c in found.items()
    ]  # fmt: skip
    head = ["workload", "prompts", "tokens, one by one", "tokens a prompt", "tokens", "saved"]
    parts = [_table(head, tokens)]
    head = ["workload", "share of a product's speed", "device hours, tree", "dollars",
            "× by vLLM", "device hours, vLLM", "dollars", "devices", "nodes of 8"]  # fmt: skip
    lines = []
    for words, c in found.items():
        # Where vLLM was not measured, what the tree would need.
        hours = c["hours"] if math.isnan(c["vllm"]) else c["vllm"]
        devices = assumed.tensor * math.ceil(hours / (24 * assumed.days) / assumed.tensor)
        lines.append([
            words, f"{c['share']:.2f}", _big(c["hours"]), _big(c["hours"] * assumed.price),
            _big(c["times"]), _big(c["vllm"]), _big(c["vllm"] * assumed.price), f"{devices:,}",
            f"{math.ceil(devices / 8):,}",
        ])  # fmt: skip
    parts.append(_table(head, lines))
    return "\n\n".join(parts)


def _big(number: float) -> str:
    """Three digits; large numbers in thousands (k), millions (M), billions (G), trillions (T)."""
    if math.isnan(number):
        return "–"
    for power, sign in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if number >= 10**power:
            return f"{number / 10**power:.3g} {sign}"
    return f"{number:.3g}"


def _table(head: list[str], body: Iterable[list[str]]) -> str:
    rule = "|".join(["---", *["---:"] * (len(head) - 1)])
    return "\n".join(
        [f"| {' | '.join(head)} |", f"|{rule}|", *(f"| {' | '.join(r)} |" for r in body)]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for field in fields(Assumed):
        parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default)
    print(tables(Assumed(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
