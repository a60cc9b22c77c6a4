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
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from simkit.scoring.pivot.mentions import Alternatives, Mention, mentions_of, surface_forms
from simkit.scoring.types import check_columns
from simkit.types import check_labels, listed, one_of, shown

__all__ = ["RULES", "STATUSES", "Pivot", "Status", "count_pivots", "find_pivots", "pivot_frame"]

Anchors = str | re.Pattern[str] | Sequence[str | re.Pattern[str]]
Status = Literal["found", "several", "outside", "none"]

STATUSES: tuple[Status, ...] = get_args(Status)
RULES = ("after last anchor", "after first anchor", "first", "last")


class Pivot(NamedTuple):
    """Where one text settles its choice.

    Attributes
    ----------
    status : "found"; "several" where the rule had more than one alternative to pick from (the
        other fields say what it picked); "outside" where the choice is none of the alternatives;
        "none" where there is no place to read.
    start, end : characters [start, end) of the text in which the choice is written; `end` is None
        where something unknown follows the anchor.
    alternative : its name.
    written : the surface form, as the text has it.
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
    texts : sequence of str
        N runs, what the model wrote, as it wrote it (not stripped).
    alternatives : list of str, or dict
        As in :func:`surface_forms`. At one place the longest form wins ("Pampers Pure" over
        "Pampers"), and what lies within it is not another mention.
    anchors : str, compiled pattern, or a sequence of these
        What announces the choice ("I would choose", "Answer:").
    rule : str, optional
        "after last anchor" (the default with anchors) or "after first anchor": the first
        alternative that begins behind it; "first" (the default without anchors) or "last"
        alternative of the text.
    whole_words : bool
        True finds no "Luvs" in "Luvsome". Set False for scripts without blanks between words.

    Returns
    -------
    pandas.DataFrame
        One row per run, in order: `run` (0 … N-1); `status`; `start` and `end`, the characters of
        the text in which the choice is written; `alternative`, its name; `written`, its form in
        the text; and `gap`, the characters between anchor and pivot. The status is "found",
        "several" (the places that the rule picks from, which are what follows each anchor or
        every mention, name more than one alternative), "outside" (text follows the anchor, but no
        alternative) or "none" (there is no place to read). No run is left out.

    Raises
    ------
    ValueError
        For what `surface_forms` refuses, an unknown rule or one that does not fit the anchors,
        and a text that is no string, naming the run.

    See Also
    --------
    count_pivots : how many runs have which status.

    Notes
    -----
    Rules read no grammar: "not Pampers", or "Pampers? No, Huggies", need a judge.

    References
    ----------
    Sun & Zhang, arXiv 2512.23184, for pivot and belief; rules and statuses are ours.

    Examples
    --------
    >>> import simkit as sk
    >>> texts = ["It is soft. I would choose Pampers.", "Either is fine."]
    >>> pivots = sk.find_pivots(texts, ["Pampers", "Huggies"], anchors="I would choose")
    >>> pivots[["run", "status", "start", "alternative"]]
       run status  start alternative
    0    0  found     27     Pampers
    1    1   none   <NA>        None
    """
    if isinstance(texts, str):
        raise ValueError("texts must be a list of strings, not one string")
    texts = listed(texts, "texts")
    for run, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"run {run}: text is {shown(text)}; it must be a string")
    mentions = mentions_of(surface_forms(alternatives), texts, whole_words)
    patterns, rule = _rule(anchors, rule)
    runs = zip(texts, mentions, strict=True)
    return pivot_frame([_pivot(text, named, patterns, rule) for text, named in runs])


def count_pivots(table: pd.DataFrame) -> pd.DataFrame:
    """How many runs have which status.

    Parameters
    ----------
    table : pandas.DataFrame
        From `find_pivots`, `belief_at_pivot` or `belief_recorded`, with the columns `run`, by
        which runs are told apart, and `status`.

    Returns
    -------
    pandas.DataFrame
        One row per status, zeros included: `status`, `runs`, `share` (of all runs; NaN if there
        are none).

    Raises
    ------
    ValueError
        For a missing column.

    Examples
    --------
    >>> import simkit as sk
    >>> sk.count_pivots(sk.find_pivots(["I take Pampers.", "Hm."], ["Pampers", "Huggies"]))
        status  runs  share
    0    found     1    0.5
    1  several     0    0.0
    2  outside     0    0.0
    3     none     1    0.5
    """
    check_columns(table, ("run", "status"), "the table", "see find_pivots")
    check_labels(table[["run", "status"]], "the table")
    status = table.drop_duplicates("run")["status"]
    runs = status.value_counts().reindex(STATUSES, fill_value=0).astype(int)
    share = runs / len(status) if len(status) else np.nan
    return pd.DataFrame({"runs": runs, "share": share}).rename_axis("status").reset_index()


def pivot_frame(pivots: Sequence[Pivot]) -> pd.DataFrame:
    """One row per pivot: `run` and its fields."""
    frame = pd.DataFrame(pivots, columns=list(Pivot._fields), dtype=object)
    frame = frame.astype({"start": "Int64", "end": "Int64", "gap": "Int64"})
    frame.insert(0, "run", np.arange(len(pivots)))
    return frame


def _rule(anchors: Anchors, rule: str | None) -> tuple[list[re.Pattern[str]], str]:
    """The anchors as patterns and the rule, checked."""
    items = [anchors] if isinstance(anchors, str | re.Pattern) else listed(anchors, "anchors")
    for anchor in items:
        text = anchor.pattern if isinstance(anchor, re.Pattern) else anchor
        if not isinstance(text, str) or (text is anchor and not text.strip()):
            raise ValueError(f"an anchor of {shown(items)} is empty, or neither text nor a "
                             "compiled pattern of text")  # fmt: skip
    default = "after last anchor" if items else "first"
    rule = one_of(default if rule is None else rule, "rule", RULES)
    if rule.startswith("after") != bool(items):
        raise ValueError(f"rule {rule!r} {'takes no' if items else 'needs'} anchors")
    return [re.compile(re.escape(a)) if isinstance(a, str) else a for a in items], rule


def _pivot(text: str, mentions: list[Mention], anchors: list[re.Pattern[str]], rule: str) -> Pivot:
    """The pivot among the mentions of a text."""
    place, gap = (0 if "first" in rule else -1), None
    candidates: Sequence[Mention | None] = mentions
    if anchors:
        ends = sorted({match.end() for anchor in anchors for match in anchor.finditer(text)})
        candidates = [next((m for m in mentions if end <= m.start), None) for end in ends]
    if not candidates:
        return Pivot("none")
    pick = candidates[place]
    if pick is None:  # the text behind the anchor names no alternative
        rest = text[ends[place] :]
        blanks = len(rest) - len(rest.lstrip())
        known = bool(rest.strip())
        return Pivot("outside", start=ends[place] + blanks, gap=blanks) if known else Pivot("none")
    if anchors:
        gap = pick.start - ends[place]
    several = len({m.alternative for m in candidates if m is not None}) > 1
    written = text[pick.start : pick.end]
    return Pivot("several" if several else "found", *pick, written, gap)
