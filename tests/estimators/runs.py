"""Runs whose truth is known: from the brand market's exact thoughts, or Dirichlet beliefs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from simkit.worlds.market import brands

OPTIONS = list(brands.BRANDS)
PRICED = ["cuddles_price", "snugly_price"]


@dataclass(frozen=True)
class Market:
    """Exact facts of some price conditions: thought (C, T), belief (C, T, K), share (C, K)."""

    thought: np.ndarray
    belief: np.ndarray
    share: np.ndarray
    variance: np.ndarray  # of belief between runs, (C, K)
    prices: pd.DataFrame

    @property
    def factor(self) -> float:
        return float((self.share * (1 - self.share)).sum() / self.variance.sum())


def market(style: str = brands.STYLES[0], every: int = 5) -> Market:
    """Every so-many-th of the 36 price pairs."""
    frame = brands.design(style=style).iloc[::every].reset_index(drop=True)
    thought = np.nan_to_num(brands.exact(frame, "thought"))
    asked = [brands.exact(frame.assign(thought=t), "choice") for t in brands.THOUGHTS]
    belief = np.nan_to_num(np.stack(asked, axis=1))  # thoughts of the other style: never drawn
    share = brands.exact(frame, "share")
    variance = np.einsum("ct,ctk->ck", thought, belief**2) - share**2
    return Market(thought, belief, share, variance, frame[PRICED])


def draw(
    world: Market, n: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """choice, belief (C n rows, in order of conditions) and the condition's number."""
    sizes = range(len(world.share))
    drawn = [rng.choice(world.thought.shape[1], n, p=world.thought[c]) for c in sizes]
    belief = np.concatenate([world.belief[c, t] for c, t in zip(sizes, drawn, strict=True)])
    frame = pd.DataFrame(belief, columns=OPTIONS)
    return choices(frame, rng), frame, np.repeat(sizes, n)


def choices(belief: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """One choice drawn from each belief, one-hot."""
    edges = belief.to_numpy().cumsum(axis=1)
    u = rng.random((len(belief), 1)) * edges[:, -1:]
    at = np.minimum((u >= edges).sum(axis=1), belief.shape[1] - 1)
    return pd.DataFrame(np.eye(belief.shape[1])[at], columns=belief.columns)


def dirichlet(alpha, n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """choice and belief; every option has Var(choice) / Var(belief) = sum(alpha) + 1."""
    names = [f"o{k}" for k in range(len(alpha))]
    belief = pd.DataFrame(rng.dirichlet(alpha, n), columns=names)
    return choices(belief, rng), belief


def binomial_bounds(share: float, repetitions: int, z: float = 3.5) -> tuple[float, float]:
    """Where the coverage found by simulation lies, up to one case in 2,000."""
    half = z * np.sqrt(share * (1 - share) / repetitions)
    return share - half, share + half
