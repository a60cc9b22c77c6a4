"""Faster ways to the same numbers: what they change, and that nothing of them stays behind."""

from __future__ import annotations

import platform
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from simkit.scoring.engine import kernels
from simkit.scoring.engine.kernels import fast_products
from tests.scoring.conftest import ARCHITECTURES, make_network
from tests.scoring.test_tree import VOCABULARY

IDS = torch.arange(4 * 40).view(4, 40) % VOCABULARY


@pytest.fixture(params=ARCHITECTURES)
def network(request: pytest.FixtureRequest) -> Any:
    return make_network(request.param, VOCABULARY).eval()


@pytest.fixture
def on_amd(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """As on an AMD processor; the rows of every product that oneDNN computes."""
    if not kernels._works():
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(kernels, "_amd", lambda: True)
    monkeypatch.setattr(kernels, "LEAST", 100 * 48 * 48)
    rows: list[int] = []
    plain = kernels._product

    def counted(x: torch.Tensor, *more: Any) -> torch.Tensor:
        rows.append(x.numel() // x.shape[-1])
        return plain(x, *more)

    monkeypatch.setattr(kernels, "_product", counted)
    return rows


def test_products_are_the_same_to_rounding(network: Any, on_amd: list[int]) -> None:
    kinds = [type(m) for m in network.modules()]
    with torch.inference_mode():
        expected = network(IDS).logits
        assert not on_amd
        with fast_products(network):
            found = network(IDS).logits
    assert set(on_amd) == {160}
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert [type(m) for m in network.modules()] == kinds


def test_products_of_odd_sizes_are_filled_up_to_few(on_amd: list[int]) -> None:
    x, weight = torch.rand(3, 59, 8), torch.rand(5, 8)
    with torch.inference_mode():
        found = kernels._product(x, weight, torch.ones(5))
    torch.testing.assert_close(found, nn.functional.linear(x, weight, torch.ones(5)))
    sizes = {rows: kernels._filled(rows) for rows in range(1, 4_097)}
    assert all(rows <= size <= rows * 9 / 8 for rows, size in sizes.items())
    # Every new size costs memory for good: eight from 65 to 128, and so on.
    assert len({size for rows, size in sizes.items() if rows > 64}) == 6 * 8


def test_small_products_other_dtypes_and_gradients_stay_as_they_were(on_amd: list[int]) -> None:
    network = make_network("llama", VOCABULARY).eval()
    with fast_products(network):
        with torch.inference_mode():
            network.model(IDS[:1])  # 40 rows: preparing for the shape would not pay
        network(IDS).logits.sum().backward()
    assert network.lm_head.weight.grad.abs().sum() > 0
    low = make_network("llama", VOCABULARY).eval().to(torch.bfloat16)
    with fast_products(low), torch.inference_mode():
        low(IDS)
    assert not on_amd


def test_other_processors_and_torches_run_as_they_are(
    on_amd: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make_network("llama", VOCABULARY).eval()
    for name in ("_amd", "_works"):
        with monkeypatch.context() as changed:
            changed.setattr(kernels, name, lambda: False)
            with fast_products(network), torch.inference_mode():
                assert type(network.lm_head) is nn.Linear
                network(IDS)
    assert not on_amd


def test_an_operator_that_is_gone_or_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*args: Any) -> torch.Tensor:
        raise AttributeError("no such operator")

    def wrong(x: torch.Tensor, weight: torch.Tensor, bias: Any) -> torch.Tensor:
        return nn.functional.linear(x, weight, bias) * 1.001

    for broken in (gone, wrong):
        monkeypatch.setattr(kernels, "_product", broken)
        assert not kernels._works.__wrapped__()


def test_modules_are_restored_after_an_error(on_amd: list[int]) -> None:
    network = make_network("llama", VOCABULARY).eval()
    with pytest.raises(KeyError), fast_products(network):
        assert type(network.lm_head) is not nn.Linear
        raise KeyError
    assert type(network.lm_head) is nn.Linear


FAULTS = """
import resource
import torch
from simkit.scoring.engine.kernels import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        some = [torch.zeros(2**21) for _ in range(4)]  # 32 MB, all given back at once
        del some
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
keep_freed_memory()
faults()
print(before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc's own behaviour")
def test_freed_memory_is_kept() -> None:
    command = [sys.executable, "-c", FAULTS]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    before, after = map(int, out.split())
    if before < 10_000:
        pytest.skip("another allocator, or other settings of this one")
    assert after < before / 20  # 32 MB are 8,192 pages; ten times as many are touched
