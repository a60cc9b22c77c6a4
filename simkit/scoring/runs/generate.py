"""Text sampled on a growing prefix tree: each distinct text is computed once, whoever writes it.

Runs that have written the same so far share the distribution of what comes next. So the network
reads each distinct prefix once; the runs that stand there draw their own token and part company:

    prompt ─┬─ It ── has ─┬─ to …      runs 0 3 4
            │             └─ been …    run  2
            └─ Every ── cent …         runs 1 5

Runs that coincide often (small models, short answers, low temperatures) cost what their distinct
texts cost. Runs that never do are an ordinary batch, refilled as runs end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from simkit.scoring.engine.choice import NOT_NUMBERS
from simkit.scoring.engine.padded import Together, border_of, parameters_of
from simkit.scoring.engine.precision import SLACK, Exact, fine
from simkit.scoring.engine.tokens import WIDTH, Ids, pack, unpack
from simkit.scoring.engine.tree import Limits, Work
from simkit.scoring.runs.frontier import AgainReader, KeptReader, Node, PlainReader, plain_logits
from simkit.types import FloatArray, IntArray

__all__ = ["NotNumbers", "Written", "draw", "end_ids", "grow"]


class NotNumbers(ValueError):
    """Some logits are no numbers: those of a row, in `grow` those after a context."""

    def __init__(self, place: int) -> None:
        super().__init__(f"{place}: {NOT_NUMBERS}")
        self.place = place


def draw(
    logits: torch.Tensor, row: IntArray, u: FloatArray, temperature: float
) -> tuple[IntArray, torch.Tensor]:
    """Tokens (m,) drawn from rows of logits (n, vocabulary) by uniforms (m,) in [0, 1).

    Of softmax(logits / temperature), the likeliest for 0. Also the distance (m,) of each draw to
    the nearest border of its token, in units of the rounding of its row's largest logit.
    """
    if logits.device.type == "mps":  # has no float64
        logits = logits.cpu()
    logits = logits.double()
    bad = (logits.isnan() | logits.isposinf()).any(-1)
    if bad.any():
        raise NotNumbers(int(bad.nonzero()[0]))
    where = torch.from_numpy(row).to(logits.device)
    largest = logits.abs().nan_to_num(posinf=0.0).amax(-1)
    unit = torch.finfo(torch.float32).eps * largest[where]
    if temperature == 0:
        top = logits.topk(2).values
        gap = (top[:, 0] - top[:, 1])[where]
        return logits.argmax(-1)[where].cpu().numpy(), gap / unit
    below = torch.softmax(logits / temperature, -1).cumsum(-1)
    # Rows laid end to end, row i from i to i + 1, are one sorted list. What is added to a
    # uniform must not round it up into the next row.
    start = torch.arange(len(logits), device=logits.device)[:, None]
    borders = (below / below[:, -1:] + start).flatten()
    target = torch.from_numpy(np.minimum(u, 1 - 2.0**-32)).to(logits.device) + where
    cell = torch.searchsorted(borders, target, right=True)
    lower = torch.where(cell > 0, borders[cell - 1], 0.0)
    near = torch.minimum(target - lower, borders[cell] - target)
    token = cell - where * logits.shape[-1]
    return token.cpu().numpy(), near / unit * temperature


@dataclass(frozen=True)
class Written:
    """A distinct text that some runs wrote after a context.

    context : its number. runs : (k,) who wrote it. ids : the tokens written, an end token
    included. text : what they say, an end token left out. found : where the marker begins in
    `text`, -1 if it is not there.
    """

    context: int
    runs: IntArray
    ids: Ids
    text: str
    found: int


def end_ids(network: Any, tokenizer: Any) -> frozenset[Ids]:
    """The tokens after which a model writes no more, as tokenizer and generation settings say."""
    settings = getattr(getattr(network, "generation_config", None), "eos_token_id", None)
    listed = settings if isinstance(settings, list) else [settings]
    return frozenset(pack([i]) for i in [*listed, tokenizer.eos_token_id] if i is not None)


def grow(
    network: Any,
    tokenizer: Any,
    contexts: Sequence[Ids],
    runs: Sequence[IntArray],
    uniforms: FloatArray,
    *,
    marker: str,
    kept: bool = True,
    together: Together = "any",
    temperature: float = 1.0,
    limits: Limits | None = None,
    work: Work | None = None,
) -> list[Written]:
    """Let runs write on from contexts until `marker` stands in what they wrote.

    contexts : distinct sequences of ids. runs : for each, the rows of `uniforms` that start there.
    uniforms : (runs, steps) in [0, 1): row r, column t draws the token t of run r, so a run's text
    depends on its context and its row alone (see `_Growth.children` on rounding). A run ends at
    the marker, at an end token or after `steps` tokens.
    kept : True to keep keys and values of what was read, for networks that take the tree path;
    False to read texts in full, for any other; `together` then says which share a pass.
    limits : what is held at once, as in scoring. work : added to, if given.

    Returns each distinct text once, in no particular order. Raises `NotNumbers`.
    """
    limits = limits or Limits()
    longest = max(map(len, contexts)) // WIDTH + uniforms.shape[1]
    # What was kept of a text is of no use once it grows over a border: see `border_of`.
    kept = kept and longest <= (border_of(network) or longest)
    plain = PlainReader(network, work, together)
    reader = KeptReader(network, limits, longest, work) if kept else plain
    growth = _Growth(network, tokenizer, contexts, uniforms, marker, temperature, reader.work, kept)
    live: list[Node] = []
    # Taken from the end: nodes put off last come first, near those with the same beginning.
    waiting = [Node(i, c, r) for i, (c, r) in enumerate(zip(contexts, runs, strict=True))][::-1]
    written: list[Written] = []
    while live or waiting:
        live = reader.admit(live, waiting)
        following: list[Node] = []
        for nodes, logits in reader.read(live):
            ended, open_ones = growth.step(nodes, logits)
            written += ended
            following += open_ones
        live = following
    return written


class _Growth:
    """What becomes of nodes, given the logits after them."""

    def __init__(
        self, network: Any, tokenizer: Any, contexts: Sequence[Ids], uniforms: FloatArray,
        marker: str, temperature: float, work: Work, kept: bool,
    ) -> None:  # fmt: skip
        self.network, self.tokenizer, self.temperature = network, tokenizer, temperature
        self.contexts, self.uniforms, self.marker = contexts, uniforms, marker
        self.end, self.work, self.kept = end_ids(network, tokenizer), work, kept
        self.anchors = [self._anchor(unpack(context).tolist()) for context in contexts]
        self.accepted = parameters_of(network)
        # In half precision rounding is coarser than most borders lie apart.
        self.slack = SLACK if fine(network) else 0

    def step(self, nodes: list[Node], logits: torch.Tensor) -> tuple[list[Written], list[Node]]:
        """Let the runs at each node draw a token: those that end there, and where others go on."""
        children = list(self.children(nodes, logits))
        ended, following = [], []
        for child, text, ids in zip(children, *self._read(children), strict=True):
            place = text.find(self.marker)
            over = len(ids) == self.uniforms.shape[1] * WIDTH or ids[-WIDTH:] in self.end
            if place >= 0 or over:
                ended.append(Written(child.context, child.runs, ids, text, place))
            else:
                following.append(child)
        return ended, following

    def children(self, nodes: list[Node], logits: torch.Tensor) -> Iterator[Node]:
        """The nodes that the runs go on to.

        Rounding depends on the processor and on what goes through the network together. Where a
        draw falls so near a border between two tokens that rounding could decide, the text is read
        once more, in float64: neither then makes a difference. (Only for weights of float32 or
        finer.)
        """
        size = [len(node.runs) for node in nodes]
        runs = np.concatenate([node.runs for node in nodes])
        row = np.repeat(np.arange(len(nodes)), size)
        u = self.uniforms[runs, np.repeat([len(self._own(n)) // WIDTH for n in nodes], size)]
        try:
            token, distance = draw(logits, row, u, self.temperature)
        except NotNumbers as error:
            place = error.place  # or another text of the batch is at fault: read each alone
            for i, node in enumerate(nodes):
                alone = plain_logits(self.network, self.accepted, [node.ids])
                if alone.isnan().any():
                    place = i
                    break
            raise NotNumbers(nodes[place].context) from error
        near = np.flatnonzero((distance < self.slack).cpu().numpy())
        alike: dict[tuple[int, int], list[int]] = {}
        for i in np.unique(row[near]):
            alike.setdefault((nodes[i].context, len(nodes[i].ids)), []).append(i)
        for (context, _), places in alike.items():
            logits_again = self.again.logits(context, [nodes[i].ids for i in places])
            of = near[np.isin(row[near], places)]
            token[of], _ = draw(
                logits_again, np.searchsorted(places, row[of]), u[of], self.temperature
            )
        cell = row * logits.shape[-1] + token
        order = np.argsort(cell, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(cell[order])) + 1):
            node = nodes[row[part[0]]]
            ids = node.ids + int(token[part[0]]).to_bytes(WIDTH, "big")
            yield Node(node.context, ids, runs[part], node.path)

    @cached_property
    def again(self) -> AgainReader:
        """Made when it is first needed: it copies the network."""
        exact = Exact(self.network).network
        return AgainReader(exact, self.contexts, self.work, kept=self.kept)

    def _own(self, node: Node) -> Ids:
        return node.ids[len(self.contexts[node.context]) :]

    def _read(self, nodes: list[Node]) -> tuple[list[str], list[Ids]]:
        """What was written on the way to each node, as text and as ids."""
        ids = [self._own(node) for node in nodes]
        spoken = [tokens[:-WIDTH] if tokens[-WIDTH:] in self.end else tokens for tokens in ids]
        anchors = [self.anchors[node.context] for node in nodes]
        texts = self._decode(
            [a + unpack(s).tolist() for (a, _), s in zip(anchors, spoken, strict=True)]
        )
        return [text[cut:] for text, (_, cut) in zip(texts, anchors, strict=True)], ids

    def _anchor(self, context: list[int]) -> tuple[list[int], int]:
        """Last ids of a context, decoded with what follows them, and how many characters they are.

        A text's first token may be decoded otherwise than the same token later (its blank goes),
        and a character may be spread over tokens: so the anchor begins with a whole one.
        """
        for length in range(1, 9):
            (text,) = self._decode([context[-length:]])
            if "\ufffd" not in text:
                break
        return context[-length:], len(text)

    def _decode(self, ids: list[list[int]]) -> list[str]:
        texts: list[str] = self.tokenizer.batch_decode(
            ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return texts
