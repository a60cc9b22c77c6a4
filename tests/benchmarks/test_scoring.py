"""The benchmark measures what it says: exact lengths, an honest floor, methods that agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import measure, methods, workloads
from benchmarks.table import checks, markdown
from benchmarks.workloads import Workload, apart, canonical, grid, unique_nodes, word_tokenizer
from simkit.scoring.engine.targets import lay_out
from simkit.scoring.engine.tokens import Reader
from tests.scoring.conftest import make_network

FEW = 6


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return word_tokenizer()


@pytest.fixture(scope="module")
def network() -> Any:
    return make_network("llama", workloads.VOCABULARY, positions=256).eval()


@pytest.mark.parametrize("tokens", [1, 3])
def test_the_canonical_lengths_are_exact(tokenizer: Any, tokens: int) -> None:
    work = canonical(tokens)
    ids = np.array(tokenizer(work.prompts)["input_ids"])
    assert ids.shape == (1_000, 170)
    assert (ids[:, :150] == ids[0, :150]).all()
    assert len(np.unique(ids[:, 150])) > 900  # own from the first on
    assert ids.min() >= len(workloads.SPECIAL)  # no unknown words
    assert all(len(tokenizer(o)["input_ids"]) == tokens for o in work.options[0])
    # prompts whole + 1,000 × 5 options × all their tokens but the last; few own tokens coincide
    floor = 150 + 1_000 * (20 + 5 * (tokens - 1))
    assert unique_nodes(tokenizer, work) == pytest.approx(floor, rel=0.005)


def test_nothing_is_shared(tokenizer: Any) -> None:
    work = apart()
    assert unique_nodes(tokenizer, work) == 100 * (170 + 2)


def test_the_floor_is_counted_right(tokenizer: Any) -> None:
    work = canonical(3).head(40)
    reader = Reader(tokenizer)
    assert reader.by_pieces  # the peers' tokenizer is one that simkit reads quickly
    trie, _ = lay_out(*reader.read(work.prompts, work.options, range(40)))
    assert unique_nodes(tokenizer, work) == len(trie)
    # By hand: a b c, a b d with options x and y z → a, ab, abc, abd, abcy, abdy
    small = Workload("", "", [" aaaa aaab aaac", " aaaa aaab aaad"], [(" aaae", " aaaf aaag")] * 2)
    assert unique_nodes(tokenizer, small) == 6


def test_the_grid_is_whole_and_shuffled() -> None:
    work = grid("buys")
    assert len(set(work.prompts)) == len(work.prompts) >= 10_000
    assert work.prompts[:50] != sorted(work.prompts)[:50]
    assert work.options[0] == (" yes", " no")
    assert len(grid("buyers").options[0]) == 11


@pytest.mark.parametrize("method", ["simkit, torch's products", "padded loop", "decision pipeline"])
def test_methods_agree(
    tokenizer: Any, network: Any, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(methods.kernels, "_amd", methods.kernels._amd)  # put back afterwards
    work = canonical(1 if method == "decision pipeline" else 3).head(FEW)
    ours = methods.METHODS["simkit"](network, tokenizer, work, 2)
    theirs = methods.METHODS[method](network, tokenizer, work, 2)
    if method == "decision pipeline":
        ours = ours - np.logaddexp.reduce(ours, axis=1, keepdims=True)
    np.testing.assert_allclose(theirs, ours, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("method", "package"), [("lm-eval", "lm_eval"), ("minicons", "minicons")])
def test_peers_agree(tokenizer: Any, network: Any, method: str, package: str) -> None:
    pytest.importorskip(package)
    work = canonical(3).head(FEW)
    ours = methods.METHODS["simkit"](network, tokenizer, work, 2)
    theirs = methods.METHODS[method](network, tokenizer, work, 2)
    np.testing.assert_allclose(theirs, ours, atol=1e-3, rtol=0)


def test_measuring_counts_positions_and_scales(
    network: Any, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "build", lambda model, dtype: (network, tokenizer))
    monkeypatch.setattr(measure, "workloads", lambda model: [canonical(1).head(20)])
    monkeypatch.setattr(measure, "REPEATS", 2)
    (row,) = measure.measure("padded loop", "llama", 4, 16, tmp_path / "x")
    # 4 of 20 prompts, 5 options each, 170 tokens: the last one of option is not read.
    assert row["measured"] == 4 and row["scale"] == 5
    assert row["positions"] == 20 * 5 * 170 and row["scores"] == 20 * 5
    assert np.load(tmp_path / "x-0.npy").shape == (4, 5)
    assert row["peak_mb"] > 50


def row(method: str, seconds: float, **more: Any) -> dict[str, Any]:
    return {
        "model": "llama", "workload": 0, "name": "canonical, 3-token options", "says": "s",
        "method": method, "measured": 10, "prompts": 100, "scores": 500, "scale": 10.0,
        "seconds": seconds, "positions": 110, "peak_mb": 1.0, "difference": 1e-6,
        "times": seconds / 2, **more,
    }  # fmt: skip


def test_the_table_says_what_holds_and_what_does_not() -> None:
    limits = {"products": 0.5, "attention": 0.2, "other operators": 0.2, "Python and NumPy": 0.1,
              "flop_per_node": 2e6, "peak_gflops": 100.0}  # fmt: skip
    rows = [
        row("simkit", 2.0, nodes=105, limits=limits, scale=1.0),
        row("lm-eval", 39.0),
        row("minicons", 41.0, difference=0.1),
    ]
    found = {c["says"].split(": ")[1]: c["holds"] for c in checks(rows)}
    assert found == {
        "positions / unique nodes ≤ 1.10": True,  # 110 / 105 = 1.048
        "simkit is ≥ 20 × as fast as lm-eval": False,  # 39 / 2
        "simkit is ≥ 20 × as fast as minicons": True,  # 41 / 2
        "lm-eval agrees within 0.0001": True,
        "minicons agrees within 0.001": False,
    }
    about = {"processor": "p", "vector_units": "v", "threads": 2, "versions": {"torch": "1"}}
    page = markdown(about, rows)
    assert "| lm-eval | 10 scaled up | 110 | 39.00 | 19.50 | 13 | 1 | 1e-06 |" in page
    assert "1.1 nodes per prompt" in page and page.count("does not hold") == 2
