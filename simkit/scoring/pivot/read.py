"""The belief of a local model at the pivot of each run; `simkit.scoring.pivot.find` has a guide."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simkit.scoring.belief import softmax
from simkit.scoring.pivot.find import STATUSES, Status
from simkit.scoring.pivot.mentions import Alternatives, surface_forms
from simkit.scoring.types import Model, check_columns, check_model, renamed_rows
from simkit.templates import check_text
from simkit.types import FloatArray, IntArray, aligned, listed, shown

__all__ = ["belief_at_pivot", "check_pivots", "run_table"]

_TAIL = 32  # characters before a pivot that decide how its surroundings are cut into tokens
# What may have to go with the options: the marks before them; blanks; both; the whole word.
_ENDS = tuple(map(re.compile, (r"(?:[^\w\s]|_)*\Z", r"\s*\Z", r"[\W_]*\Z", r"\s?\S*\s*\Z")))


def belief_at_pivot(
    model: Model,
    prompts: str | Sequence[str],
    texts: str | Sequence[str],
    pivots: pd.DataFrame,
    alternatives: Alternatives,
    *,
    read: Sequence[Status] = ("found",),
) -> pd.DataFrame:
    """The model's belief over the alternatives at each run's pivot.

    Parameters
    ----------
    model : Model
        From `simkit.load`, or any object with `name` and `scores`.
    prompts : str or sequence of str
        What each text continues, character by character; one for all, or N.
    texts : str or sequence of str
        N runs, as written (a blank that opens a text belongs to it).
    pivots : pandas.DataFrame
        From `find_pivots`, of these texts.
    alternatives : list of str, or dict
        As in :func:`surface_forms`. All forms of an alternative count, each as the tokens that the
        tokenizer gives it. A form whose tokens begin with another form's is part of that form: it
        is counted once, and for the longer form's alternative.
    read : sequence of str
        Statuses at which belief is read: "found", "several" (at the rule's pick), "outside".

    Returns
    -------
    pandas.DataFrame
        One row per run × alternative: `run`, `status`, `option`, `option_id`, `prompt_id` (number
        of the distinct prompt), `logprob` (natural, of the alternative's forms together),
        `belief` (sums to 1), `valid_mass` (probability in 0–1 that one of the alternatives begins
        here), `alternative` (the one written, or None), `choice` (1 for the alternative written,
        else 0), `lead` (what stands before the form in the scored string: a blank as a rule, more
        where tokens straddle the pivot; its probability is part of logprob and valid_mass) and
        `model`. Runs that are not read have NaN; so has the belief where all alternatives have
        probability zero.

    Raises
    ------
    ValueError
        For unequal lengths, a pivot that does not fit its text, naming the run, and what `score`
        raises.

    Notes
    -----
    All runs are scored in one call, so what prompts and texts share is read once. The mass of a
    form includes texts that go on within the word ("Luvs" has the mass of "Luvsome" where the
    tokens of the one begin the other's).

    References
    ----------
    Sun & Zhang, arXiv 2512.23184.

    Examples
    --------
    >>> import simkit as sk
    >>> model = sk.MockModel(lambda prompt: {"tea": 0.6, "milk": 0.2})
    >>> texts = ["It is late, so tea.", "I would like milk."]
    >>> pivots = sk.find_pivots(texts, ["tea", "milk"])
    >>> table = sk.belief_at_pivot(model, "What do you drink? ", texts, pivots, ["tea", "milk"])
    >>> table[["run", "option", "belief", "choice"]].round(2)
       run option  belief  choice
    0    0    tea    0.75     1.0
    1    0   milk    0.25     0.0
    2    1    tea    0.75     0.0
    3    1   milk    0.25     1.0
    """
    check_model(model)
    both = aligned({"texts": texts, "prompts": prompts})  # a frame of pivots has the runs' numbers
    texts = listed([texts] if isinstance(texts, str) else texts, "texts")
    prompts = [prompts] * len(texts) if isinstance(prompts, str) else both["prompts"]
    prompts = listed(prompts, "prompts")
    for text in (*texts, *prompts):
        if not isinstance(text, str):
            raise ValueError(f"texts and prompts must be strings, and one is {shown(text)}")
        check_text(text)
    if len(prompts) != len(texts):
        raise ValueError(f"{len(prompts)} prompts for {len(texts)} texts")
    forms = surface_forms(alternatives)
    table = check_pivots(pivots, texts, forms, read)
    runs = np.flatnonzero(table["status"].isin(list(read)))
    logprob = np.full((len(texts), len(forms)), np.nan)
    leads = np.full(len(texts), None, dtype=object)
    if len(runs):
        before = [prompts[i] + texts[i][: int(table["start"].iloc[i])] for i in runs]
        logprob[runs], leads[runs] = _logprob(model, before, forms, runs)
    columns = {
        "prompt_id": pd.factorize(np.array(prompts, dtype=object))[0],
        "logprob": logprob,
        "belief": softmax(logprob),
        "valid_mass": np.exp(logprob).sum(1),
    }
    out = run_table(table, list(forms), read, **columns)
    return out.assign(lead=np.repeat(leads, len(forms)), model=model.name)


def check_pivots(
    pivots: pd.DataFrame,
    texts: Sequence[str],
    names: Mapping[str, Any],
    read: Sequence[str],
) -> pd.DataFrame:
    """The pivots as a frame, one row per text; ValueError where one does not fit its text."""
    if isinstance(read, str) or any(r not in STATUSES[:3] for r in listed(read, "read")):
        raise ValueError(f"read is {shown(read)}; it must be a list of {', '.join(STATUSES[:3])}")
    columns = ("status", "start", "written", "alternative")
    table = check_columns(pivots, columns, "pivots", "see find_pivots").reset_index(drop=True)
    if len(table) != len(texts):
        raise ValueError(f"{len(table)} pivots for {len(texts)} texts")
    rows = zip(*(table[column] for column in columns), strict=True)
    for run, (status, start, written, name) in enumerate(rows):
        if isinstance(name, str) and name not in names:
            raise ValueError(f"run {run}: {name!r} is none of the alternatives {list(names)}")
        if pd.isna(start):
            if status in read:
                raise ValueError(f"run {run}: its status is {status!r}, but its pivot has no start")
        elif not isinstance(start, int | float | np.integer | np.floating) or start % 1 != 0:
            raise ValueError(f"run {run}: its pivot is at {shown(start)}, no whole number")
        elif not 0 <= start <= len(text := texts[run]):
            raise ValueError(f"run {run}: its pivot is at {start}, its text ends at {len(text)}")
        elif isinstance(written, str) and not text.startswith(written, int(start)):
            raise ValueError(
                f"run {run}: {text[int(start) :][:20]!r} stands at character {start}, where its "
                f"pivot has {written!r}; was the text changed after find_pivots?"
            )
    return table


def run_table(
    pivots: pd.DataFrame, names: Sequence[str], read: Sequence[str], **columns: npt.NDArray[Any]
) -> pd.DataFrame:
    """One row per run × alternative; columns come as (runs,) or (runs, alternatives)."""
    n, k = len(pivots), len(names)
    written = [name if isinstance(name, str) else None for name in pivots["alternative"]]
    columns["alternative"] = np.array(written, dtype=object)
    table = pd.DataFrame(
        {
            "run": np.repeat(np.arange(n), k),
            "status": np.repeat(pivots["status"].to_numpy(), k),
            "option": list(names) * n,
            "option_id": np.tile(np.arange(k), n),
        }
        | {name: v.ravel() if v.ndim == 2 else np.repeat(v, k) for name, v in columns.items()}
    )
    choice = (table["alternative"] == table["option"]).astype(float)
    return table.assign(choice=choice.where(table["status"].isin(list(read))))


def _logprob(
    model: Model, before: list[str], forms: Mapping[str, tuple[str, ...]], runs: IntArray
) -> tuple[FloatArray, npt.NDArray[np.object_]]:
    """Log-probability (rows, alternatives) of each alternative's forms together; and the leads."""
    flat = [form for spellings in forms.values() for form in spellings]
    owner = np.repeat(np.arange(len(forms)), [len(spellings) for spellings in forms.values()])
    cut = _cutter(flat, getattr(model, "tokenizer", None))
    contexts, leads = zip(*map(cut, before), strict=True)
    spoken = [[lead + form for form in flat] for lead in leads]
    with renamed_rows(runs.tolist(), "run"):  # the rows are those that are read
        scores = model.scores(contexts, spoken)
        parent = _parents(model, contexts, spoken, scores.nested)
    top = scores.logprob.max(1, keepdims=True)
    top[np.isneginf(top)] = 0.0
    mass = np.exp(scores.logprob - top)
    alone = mass.copy()
    row, inner = np.nonzero(parent >= 0)
    np.subtract.at(alone, (row, parent[row, inner]), mass[row, inner])
    alone = alone.clip(0)  # rounding, where nearly all of a form goes on to the longer one
    total = np.stack([alone[:, owner == k].sum(1) for k in range(len(forms))], axis=1)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(total) + top), np.array(leads, dtype=object)


def _parents(
    model: Model,
    contexts: Sequence[str],
    spoken: list[list[str]],
    nested: npt.NDArray[np.bool_],
) -> IntArray:
    """For each row and form the longest other form whose tokens begin it, -1 for none."""
    parent = np.full(nested.shape, -1)
    first = spoken[0]  # leads differ by row; which string begins which does not
    for j, form in enumerate(first):
        shorter = [i for i, other in enumerate(first) if i != j and form.startswith(other)]
        for i in sorted(shorter, key=lambda i: -len(first[i])):
            todo = [r for r, new in enumerate(nested[:, j] & (parent[:, j] < 0)) if new]
            if todo and len(shorter) > 1:  # several could begin it: ask about this one
                pairs = [[spoken[r][i], spoken[r][j]] for r in todo]
                begins = model.scores([contexts[r] for r in todo], pairs).nested[:, 1]
                todo = [r for r, yes in zip(todo, begins, strict=True) if yes]
            parent[todo, j] = i
    return parent


def _cutter(forms: list[str], tokenizer: Any) -> Callable[[str], tuple[str, str]]:
    """A function that cuts what precedes a pivot into a context and the lead of the options.

    The lead is as short as the tokenizer allows: one blank goes with the word behind it
    (" Pampers"); more goes along only where tokens straddle the cut (`"Pam`). The engine checks
    the whole text again, and raises where this, which looks at its tail only, was wrong.
    """

    @cache
    def fits(tail: str, lead: str) -> bool:
        texts = [tail, *(tail + lead + form for form in forms)]
        start, *rest = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        return all(len(r) > len(start) and r[: len(start)] == start for r in rest)

    def cut(before: str) -> tuple[str, str]:
        tail = before[-_TAIL:]
        sizes = [int(tail.endswith(" ")), *(len(e[0]) for p in _ENDS if (e := p.search(tail)))]
        cuts = dict.fromkeys(len(before) - size for size in sizes)
        ways = [(before[:i], before[i:]) for i in cuts if i] or [(before, "")]
        if tokenizer is None:
            return ways[0]
        return next((way for way in ways if fits(way[0][-_TAIL:], way[1])), ways[0])

    return cut
