"""The arithmetic of docs/scale.md, by hand."""

from __future__ import annotations

import pytest

from docs import scale

KEY = ("glassbox", "market grid, 'buyers'")
ONE = ("llama", "canonical, 1-token options")


def test_the_cost_of_one_workload_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 prompts of 2 options took 50 tokens where 200 go one by one.

    1 s at 4 FLOP a token is 200 FLOP a second, half of the product's 400 × 10⁻⁹ GFLOP/s.
    1,000 scores: 500 prompts, 2,500 tokens of 2 × 7 FLOP, so 35,000; a device does 100 × 0.5 × 0.5
    = 25 a second: 1,400 s.
    """
    limits = {"flop_per_node": 4.0, "peak_gflops": 400e-9}
    ours = {"prompts": 10, "scores": 20, "positions": 50, "seconds": 1.0, "limits": limits}
    rows = {KEY: {"simkit": ours, "padded loop": {"prompts": 10, "positions": 200}}}
    slow = {KEY: {"vllm": {"times": 3.0}}}
    monkeypatch.setattr(scale, "measured", lambda folder="": slow if folder else rows)
    found = scale.costs(KEY, scale.Assumed(scores=1000, size=7, peak=100, product=0.5))
    assert found["prompts"] == 500 and found["tokens"] == 2500 and found["plain"] == 10_000
    assert found["saved"] == 0.75 and found["share"] == 0.5
    assert found["hours"] == pytest.approx(1400 / 3600)
    assert found["vllm"] == pytest.approx(4200 / 3600)


def test_each_assumption_moves_the_table() -> None:
    usual = scale.tables()
    for other in ({"scores": 1e8}, {"size": 8e9}, {"peak": 1e14}, {"product": 0.5}, {"price": 9.0},
                  {"days": 9.0}, {"tensor": 8}):  # fmt: skip
        assert scale.tables(scale.Assumed(**other)) != usual
    assert scale._big(float("nan")) == "–" and scale._big(51_000.0) == "51 k"


def test_the_steps_on_the_page_are_those_of_the_table() -> None:
    found, assumed = scale.costs(KEY, scale.Assumed()), scale.Assumed()
    text = (scale.HERE / "docs" / "scale.md").read_text(encoding="utf-8")
    seconds = found["hours"] * 3600
    for said in (
        f"= {found['prompts'] / 1e6:.1f} M.",
        f"{found['plain'] / 1e9:.1f} G. As a tree: {found['each']:.1f} tokens a prompt",
        f"= {found['tokens'] / 1e9:.2f} G; {found['saved'] * 100:.0f} % are saved",
        f"0.7 × {found['share']:.2f} =",
        f"{round(seconds, -3):,.0f} s = {found['hours']:.0f} device hours",
        f"= ${found['hours'] * assumed.price:.0f}.",
    ):
        assert said in text, said
