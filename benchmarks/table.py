"""Results as a small table, and what they must show."""

from __future__ import annotations

from typing import Any

__all__ = ["checks", "markdown", "summary"]

Row = dict[str, Any]

# Model, start of the workload's name, method, and the least ratio of its time to simkit's.
FASTER = [
    (model, f"canonical, {tokens}-token", method, least)
    for model in ("llama", "gpt2")
    for tokens, method, least in (
        (3, "lm-eval", 20.0),
        (3, "minicons", 20.0),
        (1, "lm-eval", 6.0),
        (1, "minicons", 20.0),
    )
]
WASTE, SLOWER, RATE = 1.10, 1.1, 20_000.0
AGREE = {"padded loop": 1e-4, "lm-eval": 1e-4, "minicons": 1e-3, "decision pipeline": 1e-3,
         "simkit, torch's products": 1e-4, "vllm": 1e-4}  # fmt: skip


def checks(rows: list[Row]) -> list[dict[str, Any]]:
    """What must hold, what was found, and whether it holds; nothing for what was not measured."""
    found: list[dict[str, Any]] = []

    def add(says: str, value: float, holds: bool) -> None:
        found.append({"says": says, "value": value, "holds": holds})

    for row in rows:
        name = f"{row['model']}, {row['name']}"
        if row["method"] == "simkit":
            waste = row["positions"] / row["nodes"]
            add(f"{name}: positions / unique nodes ≤ {WASTE:.2f}", waste, waste <= WASTE)
            if row["model"] == "glassbox":
                rate = row["scores"] / row["seconds"]
                add(f"{name}: scores per second ≥ {RATE:,.0f}", rate, rate >= RATE)
        if row["method"] in AGREE and "difference" in row:
            most = AGREE[row["method"]]
            says = f"{name}: {row['method']} agrees within {most:g}"
            add(says, row["difference"], row["difference"] <= most)
        for model, start, method, least in FASTER:
            same = model == row["model"] and row["name"].startswith(start)
            if same and method == row["method"] and "times" in row:
                says = f"{name}: simkit is ≥ {least:.0f} × as fast as {method}"
                add(says, row["times"], row["times"] >= least)
        if row["name"] == "nothing shared" and row["method"] == "padded loop" and "times" in row:
            slower = 1 / row["times"]
            says = f"{name}: simkit's time / the padded loop's ≤ {SLOWER}"
            add(says, slower, slower <= SLOWER)
    return found


def markdown(about: dict[str, Any], rows: list[Row]) -> str:
    """All of it as a page."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    parts = [
        "# Scoring: results",
        "",
        f"{about['processor']} ({about['vector_units']}), {about['threads']} threads; {versions}. "
        "Written by `python -m benchmarks.scoring`.",
    ]
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["model"], row["name"]), []).append(row)
    parts += ["", "## In short", "", *summary(groups)]
    for (model, name), group in groups.items():
        parts += ["", f"## {model}: {name}", "", *_section(group)]
    parts += ["", "## What must hold", "", "| | found | |", "|---|---:|---|"]
    parts += [
        f"| {c['says']} | {_number(c['value'])} | {'holds' if c['holds'] else 'does not hold'} |"
        for c in checks(rows)
    ]
    return "\n".join(parts) + "\n"


def summary(groups: dict[tuple[str, str], list[Row]]) -> list[str]:
    """One line per workload: simkit's time, and how many times longer the others took."""
    peers = ("padded loop", "lm-eval", "minicons", "decision pipeline", "vllm")
    there = {row["method"] for group in groups.values() for row in group}
    others = [name for name in peers if name in there]
    lines = [
        "| model | workload | positions / nodes | simkit, s | scores/s | "
        + " | ".join(f"{name}, ×" for name in others)
        + " |",
        "|---|---|---:|---:|---:|" + "---:|" * len(others),
    ]
    for (model, name), group in groups.items():
        by = {row["method"]: row for row in group}
        ours = by.get("simkit")
        if ours is None:
            continue
        times = [f"{by[m]['times']:.1f}" if m in by else "–" for m in others]
        lines.append(
            f"| {model} | {name} | {ours['positions'] / ours['nodes']:.2f} | {ours['seconds']:.1f} "
            f"| {ours['scores'] / ours['seconds']:,.0f} | {' | '.join(times)} |"
        )
    return lines


def _section(group: list[Row]) -> list[str]:
    lines = [group[0]["says"] + "."]
    ours = next((row for row in group if "nodes" in row), None)
    if ours:
        lines[0] += f" Unique tree nodes: {ours['nodes']:,}."
        lines += ["", _limits(ours)]
    lines += [
        "",
        "| method | prompts | positions | seconds | × simkit | scores/s | peak MB | difference |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in group:
        scaled = "" if row["scale"] == 1 else " of which measured"
        prompts = f"{row['prompts']:,}" if not scaled else f"{row['measured']:,} scaled up"
        times = f"{row['times']:.2f}" if "times" in row else ""
        positions = f"{row['positions']:,}" if row["positions"] else "–"  # not seen in vLLM
        difference = f"{row['difference']:.0e}" if "difference" in row else ""
        lines.append(
            f"| {row['method']} | {prompts} | {positions} | {row['seconds']:.2f} "
            f"| {times} | {row['scores'] / row['seconds']:,.0f} | {row['peak_mb']:,.0f} "
            f"| {difference} |"
        )
    return lines


def _limits(row: Row) -> str:
    told = row["limits"]
    kinds = ("products", "attention", "other operators", "Python and NumPy")
    shares = ", ".join(f"{kind} {told[kind]:.0%}" for kind in kinds)
    rate = told["flop_per_node"] * row["nodes"] / row["seconds"] / 1e9
    return (
        f"simkit: {row['nodes'] / row['prompts']:.1f} nodes per prompt of "
        f"{told['flop_per_node'] / 1e6:.1f} MFLOP each in products; {rate:.0f} GFLOP/s over all, "
        f"where a matrix product of this width by itself reaches {told['peak_gflops']:.0f}. "
        f"Time by profile: {shares}."
    )


def _number(value: float) -> str:
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 0.01 else f"{value:.0e}"
