"""Where a run settles its choice: the pivot.

A run is a text that names its choice somewhere: "It is soft. I would choose Pampers." The *pivot*
is the character at which the chosen alternative begins. The *belief* is read there: the
probability of every alternative's whole string, given the prompt and the text before it
(`belief_at_pivot` on a local model, `belief_recorded` on an interface's log-probabilities).

When to read belief, when to sample, what to report
---------------------------------------------------
- Read belief where the alternatives are a closed set, nearly all runs have a pivot, and valid
  mass is high. Without reasoning before the choice one run holds the whole belief. With
  reasoning, average over runs: belief leaves only the variance that lies between runs.
- Sample choices where there are no log-probabilities, where many runs have no pivot, several, or
  a choice outside the set, and for open answers. Where the reasoning settles the answer (beliefs
  near 0 or 1) belief gains nothing over choice; it costs nothing either.
- The rules "first" and "after first anchor" look back only: over the runs in which they find a
  pivot, mean belief and mean choice have the same expectation. "last" and "after last anchor" use
  what was written later, and so does leaving out runs with several: this can part the two means.
- Belief is given that one of the alternatives begins at the pivot. To compare with shares of
  *all* runs, use exp(logprob), which does not leave out the mass outside.
- Report model and revision, the temperature of the runs, the alternatives with all forms, rule
  and anchors, `count_pivots`, valid mass (mean and smallest), bounds where log-probabilities were
  censored, and the number of runs.

Source: Sun & Zhang, arXiv 2512.23184 (pivot, belief); rules and statuses are our formulation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from simkit.scoring.pivot.mentions import Alternatives, Mention, Wanted
from simkit.types import check_labels, framed, listed, one_of, shown

__all__ = ["RULES", "STATUSES", "Pivot", "Status", "count_pivots", "find_pivots", "pivot_frame"]

Anchors = str | re.Pattern[str] | Sequence[str | re.Pattern[str]]
Status = Literal["found", "several", "outside", "none"]

STATUSES: tuple[Status, ...] = ("found", "several", "outside", "none")
RULES = ("after last anchor", "after first anchor", "first", "last")


@dataclass(frozen=True)
class Pivot:
    """Where one text settles its choice.

    status : "found"; "several" where the rule had more than one alternative to pick from (the
        other fields say what it picked); "outside" where the choice is none of the alternatives;
        "none" where there is no place to read.
    start, end : characters [start, end) of the text in which the choice is written; `end` is None
        where something unknown follows the anchor.
    alternative : its name. written : the surface form, as the text has it.
    gap : characters between the anchor and the pivot; None without anchors.
    """

    status: Status
    start: int | None = None
    end: int | None = None
    alternative: str | None = None
    written: str | None = None
    gap: int | None = None


def find_pivots(
    texts: Sequence[str],
    alternatives: Alternatives,
    *,
    anchors: Anchors = (),
    rule: str | None = None,
    whole_words: bool = True,
) -> pd.DataFrame:
    """Where each run's text settles its choice.

    Parameters
    ----------
    texts : N runs, what the model wrote, as it wrote it (not stripped).
    alternatives : see `surface_forms`. At one place the longest form wins ("Pampers Pure" over
        "Pampers"), and what lies within it is not another mention.
    anchors : strings or compiled patterns that announce the choice ("I would choose", "Answer:").
    rule : "after last anchor" (the default with anchors) or "after first anchor": the first
        alternative that begins behind it; "first" (the default without anchors) or "last"
        alternative of the text. Status "several": the places that the rule picks from (what
        follows each anchor, or every mention) name more than one alternative. "outside": text
        follows the anchor, but no alternative.
    whole_words : no "Luvs" in "Luvsome". Set False for scripts that put no blanks between words.

    Rules read no grammar: "not Pampers", or "Pampers? No, Huggies", need a judge.

    Returns one row per run, in order: `run` (0 … N-1), and the fields of `Pivot`. No
    run is left out; `count_pivots` counts the statuses.

    Raises ValueError for what `surface_forms` refuses, an unknown rule or one that does not fit
    the anchors, and a text that is no string, naming the run.
    """
    if isinstance(texts, str):
        raise ValueError("texts must be a list of strings, not one string")
    texts = listed(texts, "texts")
    for run, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"run {run}: text is {shown(text)}; it must be a string")
    wanted, place = Wanted.of(alternatives, whole_words), _Rule.of(anchors, rule)
    return pivot_frame([place.place(text, wanted.mentions(text)) for text in texts])


def count_pivots(table: pd.DataFrame) -> pd.DataFrame:
    """How many runs have which status.

    table : from `find_pivots`, `belief_at_pivot` or `belief_recorded`; runs are told apart by
    `run`.

    Returns one row per status, zeros included: `status`, `runs`, `share` (of all runs). Raises
    ValueError for a missing column.
    """
    missing = [c for c in ("run", "status") if c not in framed(table, "the table")]
    if missing:
        raise ValueError(f"no column {missing[0]!r}; the table has {list(table.columns)}")
    check_labels(table[["run", "status"]], "the table")
    status = table.drop_duplicates("run")["status"]
    runs = status.value_counts().reindex(STATUSES, fill_value=0).astype(int)
    share = runs / len(status) if len(status) else np.nan
    return pd.DataFrame({"runs": runs, "share": share}).rename_axis("status").reset_index()


def pivot_frame(pivots: Sequence[Pivot]) -> pd.DataFrame:
    """One row per pivot: `run` and its fields."""
    fields = list(Pivot.__dataclass_fields__)
    frame = pd.DataFrame([[getattr(p, f) for f in fields] for p in pivots], columns=fields)
    types: dict[str, Any] = dict.fromkeys(fields, object)
    frame = frame.astype(types | dict.fromkeys(("start", "end", "gap"), "Int64"))
    frame.insert(0, "run", np.arange(len(pivots)))
    return frame


@dataclass(frozen=True)
class _Rule:
    anchors: tuple[re.Pattern[str], ...]
    rule: str

    @classmethod
    def of(cls, anchors: Anchors, rule: str | None) -> _Rule:
        some = [anchors] if isinstance(anchors, str | re.Pattern) else listed(anchors, "anchors")
        for anchor in some:
            text = anchor.pattern if isinstance(anchor, re.Pattern) else anchor
            if not isinstance(text, str) or (text is anchor and not text.strip()):
                raise ValueError(f"an anchor of {shown(some)} is empty, or neither text nor a "
                                 "compiled pattern of text")  # fmt: skip
        used = ("after last anchor" if some else "first") if rule is None else rule
        one_of(used, "rule", RULES)
        if used.startswith("after") != bool(some):
            raise ValueError(f"rule {used!r} {'takes no' if some else 'needs'} anchors")
        return cls(tuple(re.compile(re.escape(a)) if isinstance(a, str) else a for a in some), used)

    def place(self, text: str, mentions: list[Mention]) -> Pivot:
        """The pivot among the mentions."""
        if not self.anchors:
            if not mentions:
                return Pivot("none")
            return _pivot(text, mentions[0 if self.rule == "first" else -1], mentions)
        ends = sorted({match.end() for anchor in self.anchors for match in anchor.finditer(text)})
        if not ends:
            return Pivot("none")
        follow = [next((m for m in mentions if e <= m.start), None) for e in ends]
        at = 0 if self.rule == "after first anchor" else -1
        picked = follow[at]
        if picked is not None:
            rivals = [m for m in follow if m is not None]
            return _pivot(text, picked, rivals, gap=picked.start - ends[at])
        rest = text[ends[at] :]
        if not rest.strip():
            return Pivot("none")
        blanks = len(rest) - len(rest.lstrip())
        return Pivot("outside", start=ends[at] + blanks, gap=blanks)


def _pivot(text: str, picked: Mention, rivals: list[Mention], gap: int | None = None) -> Pivot:
    status: Status = "several" if len({m.alternative for m in rivals}) > 1 else "found"
    written = text[picked.start : picked.end]
    return Pivot(status, picked.start, picked.end, picked.alternative, written, gap)
