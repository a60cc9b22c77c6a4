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

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from typing import Any, Literal, cast

import numpy as np
import pandas as pd

from simkit.questions import Question
from simkit.scoring.belief import believe
from simkit.scoring.pivot.mentions import Alternatives, Mention, Wanted, wanted
from simkit.scoring.types import Model
from simkit.types import check_labels, framed, hashable, listed, shown

__all__ = ["RULES", "STATUSES", "Pivot", "Status", "count_pivots", "find_pivot", "find_pivots"]

Anchors = str | re.Pattern[str] | Sequence[str | re.Pattern[str]]
Custom = Callable[[str], int | None]
Judge = Callable[[str, tuple[str, ...]], str | None] | Model
Tokens = Sequence[str] | Sequence[tuple[int, int]]
Status = Literal["found", "several", "outside", "none"]

STATUSES: tuple[Status, ...] = ("found", "several", "outside", "none")
RULES = ("after last anchor", "after first anchor", "first", "last")
JUDGE_PROMPT = "{text}\n\nQuestion: {question}\nAnswer:"
_NO_CHOICE = "none of them"


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
    token : index of the token in which the pivot begins. lead : what that token holds before the
        pivot, "" or a blank as a rule. Both None where no tokens were given.
    """

    status: Status
    start: int | None = None
    end: int | None = None
    alternative: str | None = None
    written: str | None = None
    gap: int | None = None
    token: int | None = None
    lead: str | None = None

    @property
    def inside(self) -> bool:
        """Whether the pivot begins inside a token, behind more than blanks (`"Pam`)."""
        return bool(self.lead and self.lead.strip())


def find_pivot(
    text: str,
    alternatives: Alternatives,
    *,
    anchors: Anchors = (),
    rule: str | None = None,
    outside: Sequence[str] = (),
    reach: int | None = None,
    ignore_case: bool = False,
    whole_words: bool = True,
    custom: Custom | None = None,
    judge: Judge | None = None,
    judge_prompt: str = JUDGE_PROMPT,
    tokens: Tokens | None = None,
) -> Pivot:
    """Where a text settles its choice.

    Parameters
    ----------
    text : what the model wrote, as it wrote it (not stripped).
    alternatives : see `surface_forms`. At one place the longest form wins ("Pampers Pure" over
        "Pampers"), and what lies within it is not another mention.
    anchors : strings or compiled patterns that announce the choice ("I would choose", "Answer:").
    rule : "after last anchor" (the default with anchors) or "after first anchor": the first
        alternative that begins behind it; "first" (the default without anchors) or "last"
        alternative of the text. Status "several": the places that the rule picks from (what
        follows each anchor, or every mention) name more than one alternative.
    outside : forms of choices that are none of the alternatives; one in the pivot's place makes
        the status "outside". So does an anchor that text follows, but no alternative.
    reach : most characters between anchor and pivot; None for any number.
    ignore_case : for forms and for anchors that are strings.
    whole_words : no "Luvs" in "Luvsome". Set False for scripts that put no blanks between words.
    custom : (text) -> offset at which the choice begins, or None; takes the rule's place. An
        offset at which no alternative begins makes the status "outside".
    judge : (text, names) -> the alternative that the text settles on, or None; or a model, which
        is asked that with `judge_prompt` (fields `{text}`, `{question}`). The rule then places
        the pivot among the mentions of that alternative.
    tokens : the text's tokens, as strings that spell it or as character spans [start, end).

    Rules read no grammar: "not Pampers", or "Pampers? No, Huggies", need a judge or `custom`.

    Raises ValueError for what `surface_forms` refuses, an unknown rule or one that does not fit
    the anchors, `custom` beside a judge or a rule, an offset outside the text, a judgement that
    is no alternative, and tokens that do not spell the text.
    """
    want = wanted(alternatives, outside, ignore_case, whole_words)
    place = _Rule.of(anchors, rule, reach, ignore_case)
    pivot = _find(want, place, [text], custom, judge, judge_prompt)[0]
    return pivot if tokens is None else _at_token(text, pivot, tokens, 0)


def find_pivots(
    texts: Sequence[str],
    alternatives: Alternatives,
    *,
    anchors: Anchors = (),
    rule: str | None = None,
    outside: Sequence[str] = (),
    reach: int | None = None,
    ignore_case: bool = False,
    whole_words: bool = True,
    custom: Custom | None = None,
    judge: Judge | None = None,
    judge_prompt: str = JUDGE_PROMPT,
    tokens: Sequence[Tokens] | None = None,
) -> pd.DataFrame:
    """`find_pivot` for many runs; a judge that is a model is asked in one call.

    texts : N runs. tokens : N lists of tokens. The other arguments: see `find_pivot`.

    Returns one row per run, in order: `run` (0 … N-1), the fields of `Pivot`, and `inside`. No
    run is left out; `count_pivots` counts the statuses. Raises what `find_pivot` raises, naming
    the run.
    """
    if isinstance(texts, str):
        raise ValueError("texts must be a list of strings, not one string")
    texts = listed(texts, "texts")
    tokens = None if tokens is None else listed(tokens, "tokens")
    if tokens is not None and len(tokens) != len(texts):
        raise ValueError(f"{len(tokens)} lists of tokens for {len(texts)} texts")
    want = wanted(alternatives, outside, ignore_case, whole_words)
    place = _Rule.of(anchors, rule, reach, ignore_case)
    pivots = _find(want, place, texts, custom, judge, judge_prompt)
    if tokens is not None:
        found = zip(texts, pivots, tokens, strict=True)
        pivots = [_at_token(t, p, some, run) for run, (t, p, some) in enumerate(found)]
    return pivot_frame(pivots)


def count_pivots(table: pd.DataFrame, by: str | Sequence[str] = ()) -> pd.DataFrame:
    """How many runs have which status.

    table : from `find_pivots`, `belief_at_pivot` or `belief_recorded`; runs are told apart by
    `run` within `by`. by : columns to count within.

    Returns one row per group × status, zeros included: `by`, `status`, `runs`, `share` (of the
    group's runs). Raises ValueError for a missing column.
    """
    framed(table, "the table")
    keys = [by] if isinstance(by, str) else listed(by, "by")
    missing = [c for c in (*keys, "run", "status") if not (hashable(c) and c in table.columns)]
    if missing:
        raise ValueError(f"no column {missing[0]!r}; the table has {list(table.columns)}")
    check_labels(table[[*keys, "run", "status"]], "the table")
    runs = table.drop_duplicates([*keys, "run"])
    groups = runs.groupby(keys, sort=False, dropna=False) if keys else [((), runs)]
    rows = []
    for key, group in groups:
        count = group["status"].value_counts()
        for status in STATUSES:
            n = int(count.get(status, 0))
            share = n / len(group) if len(group) else np.nan
            rows.append((*cast(tuple[Any, ...], key), status, n, share))
    return pd.DataFrame(rows, columns=[*keys, "status", "runs", "share"])


def pivot_frame(pivots: Sequence[Pivot]) -> pd.DataFrame:
    """One row per pivot: `run`, its fields, and `inside`."""
    fields = list(Pivot.__dataclass_fields__)
    frame = pd.DataFrame([[getattr(p, f) for f in fields] for p in pivots], columns=fields)
    types: dict[str, Any] = dict.fromkeys(fields, object)
    frame = frame.astype(types | dict.fromkeys(("start", "end", "gap", "token"), "Int64"))
    frame.insert(0, "run", np.arange(len(pivots)))
    return frame.assign(inside=[p.inside for p in pivots])


@dataclass(frozen=True)
class _Rule:
    anchors: tuple[re.Pattern[str], ...]
    rule: str
    reach: int | None

    @classmethod
    def of(cls, anchors: Anchors, rule: str | None, reach: int | None, ignore_case: bool) -> _Rule:
        flags = re.IGNORECASE if ignore_case else re.NOFLAG
        some = [anchors] if isinstance(anchors, str | re.Pattern) else listed(anchors, "anchors")
        for anchor in some:
            text = anchor.pattern if isinstance(anchor, re.Pattern) else anchor
            if not isinstance(text, str) or (text is anchor and not text.strip()):
                raise ValueError(f"an anchor of {shown(some)} is empty, or neither text nor a "
                                 "compiled pattern of text")  # fmt: skip
        used = ("after last anchor" if some else "first") if rule is None else rule
        if not isinstance(used, str) or used not in RULES:
            raise ValueError(f"no rule {shown(rule)}; there are: {', '.join(RULES)}")
        if used.startswith("after") != bool(some):
            raise ValueError(f"rule {used!r} {'takes no' if some else 'needs'} anchors")
        if reach is not None:
            whole = isinstance(reach, int | np.integer) and not isinstance(reach, bool)
            if not whole or reach < 0 or not some:
                raise ValueError(
                    f"reach is {shown(reach)}; legal is a number from 0, beside anchors"
                )
        marks = [re.compile(re.escape(a), flags) if isinstance(a, str) else a for a in some]
        return cls(tuple(marks), used, reach)

    def place(self, text: str, mentions: list[Mention]) -> Pivot:
        """The pivot among the mentions."""
        if not self.anchors:
            if not mentions:
                return Pivot("none")
            return _pivot(text, mentions[0 if self.rule == "first" else -1], mentions)
        ends = sorted({match.end() for anchor in self.anchors for match in anchor.finditer(text)})
        if not ends:
            return Pivot("none")
        reach = len(text) if self.reach is None else self.reach
        follow = [next((m for m in mentions if e <= m.start <= e + reach), None) for e in ends]
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


def _find(
    want: Wanted,
    place: _Rule,
    texts: Sequence[str],
    custom: Custom | None,
    judge: Judge | None,
    judge_prompt: str,
) -> list[Pivot]:
    for run, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"run {run}: text is {shown(text)}; legal is a string")
    if not (custom is None or callable(custom)):
        raise ValueError(f"custom is {shown(custom)}; it must be a function of a text")
    if not (judge is None or callable(judge) or hasattr(judge, "scores")):
        raise ValueError(f"judge is {shown(judge)}; it must be a model, or a function of text and "
                         "alternatives")  # fmt: skip
    if custom is not None:
        if judge is not None or place != _Rule.of((), None, None, False):
            raise ValueError("custom places the pivot alone: no judge, rule or anchors beside it")
        return [_by_hand(want, text, custom(text), run) for run, text in enumerate(texts)]
    if judge is None:
        return [place.place(text, want.mentions(text)) for text in texts]
    pivots = []
    for text, name in zip(texts, _judge(want.names, texts, judge, judge_prompt), strict=True):
        mentions = [m for m in want.mentions(text) if m.alternative == name]
        pivots.append(Pivot("none") if name is None else place.place(text, mentions))
    return pivots


def _pivot(text: str, picked: Mention, rivals: list[Mention], gap: int | None = None) -> Pivot:
    status: Status = "found" if picked.alternative is not None else "outside"
    if len({m.alternative for m in rivals}) > 1:
        status = "several"
    written = text[picked.start : picked.end]
    return Pivot(status, picked.start, picked.end, picked.alternative, written, gap)


def _by_hand(want: Wanted, text: str, offset: int | None, run: int) -> Pivot:
    if offset is None:
        return Pivot("none")
    whole = isinstance(offset, int | np.integer) and not isinstance(offset, bool)
    if not whole or not 0 <= offset < len(text):
        raise ValueError(
            f"run {run}: custom gave {shown(offset)}; legal is None or 0 … {len(text) - 1}"
        )
    mention = want.at(text, offset)
    return Pivot("outside", int(offset)) if mention is None else _pivot(text, mention, [mention])


def _judge(
    names: tuple[str, ...], texts: Sequence[str], judge: Judge, prompt: str
) -> list[str | None]:
    if not hasattr(judge, "scores"):
        verdicts = [judge(text, names) for text in texts]
        for run, name in enumerate(verdicts):
            if name is not None and not (isinstance(name, str) and name in names):
                raise ValueError(
                    f"run {run}: the judge gave {shown(name)}; legal are None and {names}"
                )
        return verdicts
    if not isinstance(prompt, str) or "{text}" not in prompt or "{question}" not in prompt:
        raise ValueError(
            f"judge_prompt {shown(prompt)} needs both fields, {{text}} and {{question}}"
        )
    if not len(texts):
        return []
    asked = f"Which of these does the text settle on: {', '.join(names)}?"
    question = Question(asked, (*names, _NO_CHOICE), template=prompt)
    table = believe(cast(Model, judge), question, pd.DataFrame({"text": list(texts)}))
    belief = table["belief"].to_numpy().reshape(len(texts), -1)
    best = np.nan_to_num(belief, nan=-1.0).argmax(1)
    undecided = np.isnan(belief).any(1) | (best == len(names))
    return [None if no else names[k] for k, no in zip(best, undecided, strict=True)]


def _at_token(text: str, pivot: Pivot, tokens: Tokens, run: int) -> Pivot:
    """The pivot with the first token that holds its character, and what precedes it there."""
    spans = _spans(text, tokens, run)
    if pivot.start is None:
        return pivot
    for i, (start, end) in enumerate(spans):
        if start <= pivot.start < end:
            return Pivot(**{**asdict(pivot), "token": i, "lead": text[start : pivot.start]})
    raise ValueError(f"run {run}: no token holds character {pivot.start}, where the choice begins")


def _spans(text: str, tokens: Tokens, run: int) -> list[tuple[int, int]]:
    items = listed(tokens, f"run {run}: tokens")
    if not all(isinstance(token, str) for token in items):
        try:
            return [(operator.index(start), operator.index(end)) for start, end in items]
        except (TypeError, ValueError):
            raise ValueError(
                f"run {run}: tokens are {shown(items)}; they must be strings that spell the text, "
                "or spans (start, end) of characters"
            ) from None
    words = cast(Sequence[str], items)
    if "".join(words) != text:
        raise ValueError(
            f"run {run}: its tokens spell {''.join(words)[:60]!r}, its text is {text[:60]!r}; "
            f"where tokens are parts of characters, give spans"
        )
    return list(pairwise(accumulate((len(word) for word in words), initial=0)))
