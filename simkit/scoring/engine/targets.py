"""Where each option's tokens are predicted in the prefix tree of prompts and options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simkit.scoring.engine.tokens import WIDTH, Ids, unpack
from simkit.scoring.engine.trie import IntArray, Trie, build, ranges

__all__ = ["Targets", "lay_out"]


@dataclass(frozen=True)
class Targets:
    """Tokens to predict, (m,) each: after which node, which token, for which score.

    Ordered by node; those of node j are the `count[j]` from `first[j]` on.
    """

    node: IntArray
    token: IntArray
    cell: IntArray
    first: IntArray
    count: IntArray


def lay_out(contexts: Sequence[Ids], answers: Sequence[tuple[Ids, ...]]) -> tuple[Trie, Targets]:
    """The tree of a block, and where each option's tokens are predicted in it."""
    forms: dict[tuple[Ids, ...], int] = {}
    form = np.array([forms.setdefault(options, len(forms)) for options in answers])
    stems, steps = zip(*map(_spread, forms), strict=True)
    trie, row = build(
        [context + stem for context, f in zip(contexts, form, strict=True) for stem in stems[f]]
    )
    rows = np.array([len(some) for some in stems])[form]
    size = np.array([len(some) for some in steps])
    table = np.concatenate(steps)  # columns: stem, depth below the context, token, option
    prompt = np.repeat(np.arange(len(contexts)), size[form])
    stem, below, token, option = table[ranges((size.cumsum() - size)[form], size[form])].T
    length = np.array([len(context) // WIDTH for context in contexts])
    node = trie.at(row[(rows.cumsum() - rows)[prompt] + stem], length[prompt] - 1 + below)
    order = np.argsort(node, kind="stable")
    count = np.bincount(node, minlength=len(trie))
    cell = prompt * len(answers[0]) + option
    return trie, Targets(node[order], token[order], cell[order], count.cumsum() - count, count)


def _spread(options: tuple[Ids, ...]) -> tuple[list[Ids], IntArray]:
    """What must be read after a context to predict every token of the options, and where.

    An option's last token is never read, so options of one token need nothing but the context:
    a, abc, abd  ->  stem ab; a and its own b once each per option, c and d.
    """
    leads = sorted({option[:-WIDTH] for option in options})
    # In sorted order a lead that begins another is followed by one that it begins.
    stems = [
        lead
        for lead, following in zip(leads, [*leads[1:], None], strict=True)
        if following is None or not following.startswith(lead)
    ]
    steps = [
        (next(i for i, s in enumerate(stems) if s.startswith(option[: t * WIDTH])), t, token, k)
        for k, option in enumerate(options)
        for t, token in enumerate(unpack(option).tolist())
    ]
    return stems, np.array(steps)
