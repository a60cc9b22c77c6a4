"""Beliefs of which options people check.

Asked *apart*, each option is a yes-or-no question of its own, and given what is told of a person
the options are independent of each other. Asked *jointly*, each option is asked after the answers
to the others so far, and the probability of every set follows by the chain rule. In both the belief
is P(checked) of each option; over the options it does not sum to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from simkit.personas.answers import Believe, belief_table, question_texts
from simkit.personas.battery import transcript
from simkit.personas.checks import CheckAll
from simkit.personas.interview import checked_people, stream_name
from simkit.questions import Question
from simkit.templates import records_of
from simkit.types import FloatArray, integer, one_of, typed

__all__ = ["Selections", "selections"]

MOST_JOINT = 10  # options asked jointly: 2^10 - 1 prompts a person and order


@dataclass(frozen=True, eq=False)
class Selections:
    """What a model believes that people check.

    Attributes
    ----------
    beliefs : DataFrame
        One row per person × option: `prompt_id`, `person`, `item` ("name: option"), `option`,
        `option_id`, `belief` (P(checked); NaN where an answer of the person has no probability),
        `valid_mass` (mean over the person's prompts for this option; NaN for the exclusive one),
        `acquiescence` (P(yes) in one wording + P(yes) in the reverse - 1: 0 for a model that means
        what it says, 1 for one that always says yes, -1 for one that always says no; NaN without a
        reverse wording) and `order_range` (highest less lowest belief over the orders; NaN for
        one order).
    rows : DataFrame
        What estimators take: `person`, `weight`, and a column "name: option" each. Apart, one row
        per person, with P(checked), and weight 1. Jointly, a row of 0 and 1 per person × set, with
        P(set) as weight.
    ask : str
        "apart" or "jointly".
    """

    beliefs: pd.DataFrame
    rows: pd.DataFrame
    ask: str


def selections(
    believe: Believe,
    check: CheckAll,
    people: pd.DataFrame,
    *,
    ask: str = "apart",
    orders: int = 1,
    seed: int = 0,
) -> Selections:
    """Beliefs of which options people check; exact, nothing is drawn.

    Parameters
    ----------
    believe : callable
        (question, design) -> the table of `simkit.believe`, as for :func:`interview`.
    check : CheckAll
        The question.
    people : DataFrame
        One row per person, with `context` and `person`, as for :func:`interview`.
    ask : {"apart", "jointly"}
        "apart": each option by itself, K prompts a person. Given the person, checks are then
        independent, and the exclusive option has the product of 1 - P(checked) over the others.
        "jointly": each option after the answers to those before it, for both answers to each:
        2^K - 1 prompts a person and order, up to 10 options. For more, draw answers by
        :func:`interview`.
    orders : int
        Jointly: over so many orders of the options each person's belief is the mean. They are
        rotations of one random order, drawn by seed and person; with as many as there are options
        each of them comes once at every place.
    seed : int
        Of the orders.

    Returns
    -------
    Selections

    Raises
    ------
    ValueError
        For people as :func:`interview`, for a limit (`most`) where options are asked apart, which
        cannot keep it, for more than 10 options jointly, and more orders than there are options
        (or than 1, in a fixed order or apart).

    Examples
    --------
    >>> from functools import partial
    >>> import simkit as sk
    >>> model = sk.MockModel(lambda prompt: {"yes": 0.8, "no": 0.2})
    >>> from simkit import personas
    >>> listed = ["a car", "a bicycle", "none of these"]
    >>> owns = personas.check_all("What do you own?", listed, none="none of these")
    >>> people = pd.DataFrame({"person": [1], "context": ["You live in a city."]})
    >>> found = selections(partial(sk.believe, model), owns, people)
    >>> found.beliefs[["option", "belief"]].round(2).values.tolist()
    [['a car', 0.8], ['a bicycle', 0.8], ['none of these', 0.04]]
    """
    check = typed(check, "check", CheckAll, "made by check_all")
    typed(believe, "believe", Callable, "a function")
    one_of(ask, "ask", ("apart", "jointly"))
    frame, names = checked_people(people, check.questions), [*check.questions]
    joint = ask == "jointly"
    if not joint and check.most is not None:
        raise ValueError(f"options asked apart cannot keep a limit (most is {check.most}); ask "
                         'them "jointly"')  # fmt: skip
    if joint and len(names) > MOST_JOINT:
        raise ValueError(f"{len(names)} options are too many to ask jointly ({MOST_JOINT} may be); "
                         "draw answers by personas.interview, or ask apart")  # fmt: skip
    turns = len(names) if joint and check.order == "random" else 1
    integer(orders, "orders", 1, turns)
    drawn = check.orders([stream_name(person) for person in frame["person"]], seed)
    first = [tuple(names.index(name) for name in order) for order in drawn]
    asked = _Asked(believe, check, frame, names)
    if joint:
        sets = np.zeros((len(frame), orders, 2 ** len(names)))
        for o in range(orders):
            sets[:, o] = asked.chain([order[o:] + order[:o] for order in first])
        each = sets @ _members(len(names))
        rows = _set_rows(check, frame, names, sets.mean(axis=1))
        alone = sets[:, :, 0]
    else:
        each = asked.apart()[:, None]
        alone = (1 - each).prod(axis=2)
        rows = _person_rows(check, frame, names, each[:, 0], alone[:, 0])
    return Selections(asked.table(each, alone), rows, ask)


class _Node(NamedTuple):
    """A person (row), the answers so far, the set that they make (bits), and its probability."""

    row: int
    answers: dict[str, str]
    lines: dict[str, str | None]
    bits: int
    p: float


class _Asked:
    """Puts the options to people, and keeps what the prompts' answers were like."""

    def __init__(
        self, believe: Believe, check: CheckAll, frame: pd.DataFrame, names: list[str]
    ) -> None:
        self.believe, self.check, self.frame, self.names = believe, check, frame, names
        self.people = records_of(frame)
        # Sums over prompts of weight, weight × valid mass and weight × acquiescence.
        self.sums = np.zeros((3, len(frame), len(names)))

    def apart(self) -> FloatArray:
        """P(checked) (n, K)."""
        everybody, one = np.arange(len(self.frame)), np.ones(len(self.frame))
        return np.column_stack([self._ask(k, self.frame, everybody, one)
                                for k in range(len(self.names))])  # fmt: skip

    def chain(self, orders: Sequence[Sequence[int]]) -> FloatArray:
        """P(set) (n, 2^K), each person's options in the person's order; NaN rows if undefined."""
        nodes = [_Node(row, {}, {}, 0, 1.0) for row in range(len(self.frame))]
        for turn in range(len(self.names)):
            groups: dict[int, list[_Node]] = {}
            for node in nodes:
                groups.setdefault(orders[node.row][turn], []).append(node)
            nodes = [child for k, group in groups.items()
                     for child in self._told(k, group, orders)]  # fmt: skip
        sets = np.zeros((len(self.frame), 2 ** len(self.names)))
        np.add.at(sets, ([node.row for node in nodes], [node.bits for node in nodes]),
                  [node.p for node in nodes])  # fmt: skip
        sets[np.isnan(sets).any(axis=1)] = np.nan
        return sets

    def _told(self, k: int, nodes: list[_Node], orders: Sequence[Sequence[int]]) -> Iterator[_Node]:
        """The nodes after option k: one if it is not asked, else one for each answer."""
        item = self.check[self.names[k]]
        assert item.question is not None
        asked = []
        for node in nodes:
            if node.p == node.p and item.asks({**self.people[node.row], **node.answers}):
                asked.append(node)
            else:  # as many as may be are checked, or nothing is known of this person
                yield node
        if not asked:
            return
        design = self._design(item.name, asked, orders)
        rows, reached = np.array([n.row for n in asked]), np.array([n.p for n in asked])
        checked = self._ask(k, design, rows, reached)
        texts = question_texts(item.question, design)
        yes, no = item.question.options
        for n, p, text in zip(asked, checked, texts, strict=True):
            known = {**self.people[n.row], **n.answers}
            for answer, bits, part in ((yes, n.bits | 1 << k, p), (no, n.bits, 1 - p)):
                if part == 0:
                    continue
                line = item.line(known, question=text, answer=answer, value=None)
                answers, lines = {**n.answers, item.name: answer}, {**n.lines, item.name: line}
                yield _Node(n.row, answers, lines, bits, n.p * part)

    def _design(
        self, name: str, nodes: list[_Node], orders: Sequence[Sequence[int]]
    ) -> pd.DataFrame:
        """As in an interview: the people, their context with what they answered, their answers."""
        design = self.frame.iloc[[n.row for n in nodes]].reset_index(drop=True)
        told = [(n, [self.names[j] for j in orders[n.row]]) for n in nodes]
        design["context"] = [
            transcript(self.check, name, self.people[n.row], n.answers, n.lines, order)
            for n, order in told
        ]
        for other in self.names:
            if any(other in n.answers for n in nodes):
                design[other] = pd.Series([n.answers.get(other) for n in nodes], dtype=object)
        return design

    def _ask(self, k: int, design: pd.DataFrame, rows: Any, weight: FloatArray) -> FloatArray:
        """P(checked) of option k in each row of the design, which is of the person `rows`."""
        name = self.names[k]

        def first(question: Question) -> tuple[FloatArray, FloatArray]:
            table = belief_table(self.believe, question, name, design)
            part = table[table["option_id"] == 0].reindex(columns=["belief", "valid_mass"])
            p, mass = part.to_numpy(dtype=float).T
            return p, mass

        p, mass = first(self.check.questions[name])
        agreed = np.full(len(p), np.nan)
        if name in self.check.reverse:
            against, other = first(self.check.reverse[name])
            agreed, mass = p + against - 1, (mass + other) / 2
            p = (p + 1 - against) / 2
        for total, value in zip(self.sums, (np.ones(len(p)), mass, agreed), strict=True):
            np.add.at(total[:, k], rows, weight * value)
        return p

    def table(self, each: FloatArray, alone: FloatArray) -> pd.DataFrame:
        """A row per person and option. each : (n, orders, K); alone : (n, orders), P(none)."""
        options, n = self.check.options, len(self.frame)
        place = [(*self.names, self.check.none).index(item) for item in options]
        belief = np.concatenate([each, alone[:, :, None]], axis=2)[:, :, place]
        with np.errstate(invalid="ignore", divide="ignore"):
            quality = self.sums[1:] / self.sums[0]
        mass, agreed = np.pad(quality, [(0, 0), (0, 0), (0, 1)], constant_values=np.nan)[..., place]
        moved = np.ptp(belief, axis=1) if belief.shape[1] > 1 else np.full(mass.shape, np.nan)
        return pd.DataFrame({
            "prompt_id": np.arange(mass.size),
            "person": self.frame["person"].repeat(len(options)).reset_index(drop=True),
            "item": [*options] * n, "option": [*options.values()] * n,
            "option_id": np.tile(np.arange(len(options)), n),
            "belief": belief.mean(axis=1).ravel(), "valid_mass": mass.ravel(),
            "acquiescence": agreed.ravel(), "order_range": moved.ravel(),
        })  # fmt: skip


def _members(k: int) -> FloatArray:
    """(2^K, K): whether each set, as bits, has each option."""
    return (np.arange(2**k)[:, None] >> np.arange(k) & 1).astype(np.float64)


def _person_rows(
    check: CheckAll, frame: pd.DataFrame, names: list[str], p: FloatArray, alone: FloatArray
) -> pd.DataFrame:
    columns = dict(zip(names, p.T, strict=True)) | {check.none: alone}
    rows = pd.DataFrame({"person": frame["person"], "weight": 1.0})
    return rows.assign(**{item: columns[item] for item in check.options})


def _set_rows(
    check: CheckAll, frame: pd.DataFrame, names: list[str], sets: FloatArray
) -> pd.DataFrame:
    """The sets that can be, a row each; one row of NaN for a person whose belief is undefined."""
    lost = np.isnan(sets[:, 0])
    person, which = np.nonzero(np.where(lost[:, None], np.eye(1, sets.shape[1]), sets))
    members = _members(len(names))[which]
    rows = _person_rows(check, frame.iloc[person].reset_index(drop=True), names, members,
                        (which == 0).astype(float))  # fmt: skip
    rows["weight"] = np.where(lost[person], 1.0, sets[person, which])
    rows.loc[lost[person], [*check.options]] = np.nan
    return rows
