"""Belief from recorded log-probabilities: what the few listed tokens prove, and bounds.

At the pivot an interface lists the k likeliest tokens. Their probabilities say this of the
alternatives' strings (here "Huggies", "Hugs", "Pampers"):

    " Pampers", " Pampers."   the alternative is written: its mass
    " Pam"                    begins one alternative only: its mass, if a token `settle`s it
    " H"                      begins two: theirs together. If this token was written, the tokens
                              listed behind it divide its mass; else belief is refused, NaN, and
                              only bounds are given
    " The"                    no alternative: outside
    all that is not listed    could be any alternative or none: bounds
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from simkit.scoring.pivot.find import Status
from simkit.scoring.pivot.mentions import Alternatives, joined, surface_forms
from simkit.scoring.pivot.read import check_pivots, run_table
from simkit.scoring.pivot.recorded import LOSSY, Recorded, utf8
from simkit.types import FloatArray, listed, one_of, shown

__all__ = ["SETTLES", "Masses", "belief_recorded", "masses_at", "token_at"]

SETTLES = ("token", "string")
_COLUMNS = ("logprob", "belief", "low", "high", "ambiguous", "valid_mass", "unlisted")


def belief_recorded(
    recorded: Recorded | Sequence[Recorded],
    pivots: pd.DataFrame,
    alternatives: Alternatives,
    *,
    whole_words: bool = True,
    settle: str = "token",
    read: Sequence[Status] = ("found",),
) -> pd.DataFrame:
    """Belief over the alternatives at each run's pivot, from its listed tokens, with bounds.

    Parameters
    ----------
    recorded : Recorded, or a sequence of these
        N runs from `read_recorded`.
    pivots : pandas.DataFrame
        Of their texts, from `find_pivots`.
    alternatives : list of str, or dict
        As in :func:`surface_forms`.
    whole_words : bool
        As in :func:`find_pivots`.
    settle : str
        "token": a token that begins one alternative only counts as that alternative (the softmax
        over the alternatives' first tokens of Sun & Zhang). "string": only a whole form does; so
        the tokens behind the one written are used, and alternatives of several tokens that were
        not written are bounded only.
    read : sequence of str
        Statuses at which belief is read: "found", "several" (at the rule's pick), "outside".

    Returns
    -------
    pandas.DataFrame
        One row per run × alternative: `run`, `status`, `option`, `option_id`, `logprob` (natural,
        of the listed mass that is this alternative's), `belief` (of the listed mass; NaN where it
        cannot be divided), `low` and `high` (the belief is between them, whatever the tokens not
        listed are), `ambiguous` (listed mass that may be this alternative's or not), `valid_mass`
        (listed mass of all alternatives, in 0–1), `unlisted` (mass of the tokens not listed: the
        valid mass may be larger by up to this), `finish` (why the run ended), `model`,
        `alternative` (the one written, or None), `choice` (1 for the alternative written, else 0)
        and, of runs from a batch file, `custom_id`. Runs that are not read have NaN.

    Raises
    ------
    ValueError
        For an unknown `settle`, unequal lengths, and a pivot that does not fit its text or lies
        on no token, naming the run.

    Notes
    -----
    The bounds hold for the alternatives' strings as tokens spell them; under "token" they take
    for granted that a token which begins an alternative goes on to one. Whether log-probabilities
    were recorded at the runs' temperature the record does not say; they are taken as they are.

    References
    ----------
    Sun & Zhang, arXiv 2512.23184; bounds and the treatment of collisions are ours.

    Examples
    --------
    Two tokens are listed, with 0.6 and 0.3; the other 0.1 may be either alternative or none.

    >>> import math, simkit as sk
    >>> top = [{"token": t, "logprob": math.log(p)} for t, p in (("Yes", 0.6), ("No", 0.3))]
    >>> choice = {"message": {"content": "Yes"}, "finish_reason": "stop",
    ...           "logprobs": {"content": [{**top[0], "top_logprobs": top}]}}
    >>> runs = sk.read_recorded({"model": "m", "choices": [choice]})
    >>> pivots = sk.find_pivots([run.text for run in runs], ["Yes", "No"])
    >>> table = sk.belief_recorded(runs, pivots, ["Yes", "No"])
    >>> table[["option", "belief", "low", "high", "unlisted"]].round(2)
      option  belief  low  high  unlisted
    0    Yes    0.67  0.6   0.7       0.1
    1     No    0.33  0.3   0.4       0.1
    """
    one_of(settle, "settle", SETTLES)
    runs = [recorded] if isinstance(recorded, Recorded) else listed(recorded, "recorded")
    for number, run in enumerate(runs):
        if not isinstance(run, Recorded):
            raise ValueError(f"run {number}: {shown(run)} is no Recorded; see read_recorded")
    forms = surface_forms(alternatives)
    table = check_pivots(pivots, [run.text for run in runs], forms, read)
    names = [(form, k) for k, spellings in enumerate(forms.values()) for form in spellings]
    numbers = np.full((len(_COLUMNS), len(runs), len(forms)), np.nan)
    for i in np.flatnonzero(table["status"].isin(list(read))):
        t, lead = token_at(runs[i], int(table["start"].iloc[i]), f"run {i}")
        found = masses_at(runs[i], t, lead, names, whole_words=whole_words, settle=settle)
        for column, values in zip(numbers, found, strict=True):
            column[i] = values
    of_runs = {
        name: np.array([getattr(run, name) for run in runs], dtype=object)
        for name in ("finish", "model", "custom_id")
    }
    columns = dict(zip(_COLUMNS, numbers, strict=True))
    out = run_table(table, list(forms), read, **columns, **of_runs)
    return out if of_runs["custom_id"].any() else out.drop(columns="custom_id")


class Masses(NamedTuple):
    """Where the probability at a place goes: one value for each option, or for all of them.

    The names are those of `belief_recorded`.
    """

    logprob: FloatArray
    belief: FloatArray
    low: FloatArray
    high: FloatArray
    ambiguous: FloatArray
    valid_mass: float
    unlisted: float


def masses_at(
    run: Recorded,
    t: int,
    lead: bytes,
    names: Sequence[tuple[str, int]],
    *,
    whole_words: bool = True,
    settle: str = "token",
    blanks: bool = False,
) -> Masses:
    """The masses of options that may begin in token t of a run, whatever it wrote there.

    lead : what token t writes before the options. names : the options' forms, each with its
    option's number. blanks : whether any blanks may stand before an option.
    """
    targets = [_Target(lead + utf8(form), form, k) for form, k in names]
    masses = _Masses(np.zeros(max(k for _, k in names) + 1), settle == "string")
    _read(run, t, targets, whole_words, masses, lead if blanks else None)
    return Masses(*masses.columns())


class _Target(NamedTuple):
    """A string to look for: the form of an alternative, with what its first token writes before."""

    written: bytes
    form: str
    option: int


@dataclass
class _Masses:
    """Where the probability at a pivot goes.

    settled : (K,) to one option. strings : whether only whole forms settle an option.
    open : (mass, options it may go to, whether also to none), for listed tokens.
    unlisted : the same for the tokens not listed.
    """

    settled: FloatArray
    strings: bool
    open: list[tuple[float, frozenset[int], bool]] = field(default_factory=list)
    unlisted: list[tuple[float, frozenset[int], bool]] = field(default_factory=list)

    def columns(self) -> list[Any]:
        """The values of `_COLUMNS`: (K,) each, or one for all options."""
        with np.errstate(divide="ignore"):
            logprob = np.log(self.settled)
        options = range(len(self.settled))
        low, high = np.array([self._bounds(k) for k in options]).T
        shared = np.array([sum(m for m, may, _ in self.open if k in may) for k in options], float)
        total = self.settled.sum() + sum(m for m, _, _ in self.open)
        belief = self.settled / total if total > 0 else np.full(len(options), np.nan)
        belief[(shared > 0) | any(lost for _, _, lost in self.open)] = np.nan
        valid = self.settled.sum() + sum(m for m, _, lost in self.open if not lost)
        unlisted = float(sum(m for m, _, _ in self.unlisted))
        return [logprob, belief, low, high, shared, valid, unlisted]

    def _bounds(self, k: int) -> tuple[float, float]:
        """Ends of the belief in option k: mass that is free goes where it hurts or helps most."""
        least = most = float(self.settled[k])
        against = with_it = float(self.settled.sum() - self.settled[k])
        for mass, may, none in (*self.open, *self.unlisted):
            if may - {k}:
                against += mass
            elif not none:
                least += mass
            if k in may:
                most += mass
            elif not none:
                with_it += mass
        low = least / (least + against) if least + against > 0 else np.nan
        high = most / (most + with_it) if most + with_it > 0 else np.nan
        # An end without any mass is no belief at all: then all beliefs there can be are the other.
        return (high if np.isnan(low) else low), (low if np.isnan(high) else high)


def token_at(run: Recorded, start: int, where: str) -> tuple[int, bytes]:
    """The token that writes a character's first byte, and what it writes before it."""
    raw, place = utf8(run.text), len(utf8(run.text[:start]))
    for t, (a, b) in enumerate(run.spans):
        if a <= place < b:
            return t, raw[a:place]
    raise ValueError(f"{where}: no token holds character {start}, where the choice begins")


def _read(
    run: Recorded, t: int, targets: Sequence[_Target], whole_words: bool, masses: _Masses,
    bare: bytes | None,
) -> None:  # fmt: skip
    """Divide the mass at token t; where what was written leaves it open, at the next ones too.

    bare : what the blanks that may stand before an option follow; None where none may.
    """

    def plain(path: bytes) -> bytes:
        if bare is None or not path.startswith(bare):
            return path
        return bare + path[len(bare) :].lstrip()

    before, weight = b"", 1.0
    while True:
        ahead: tuple[bytes, float] | None = None
        for token, logprob in run.top[t]:
            mass = weight * float(np.exp(logprob))
            path = plain(before + token.split(LOSSY)[0])
            reached, pending = _reads(path, targets, whole_words)
            lost = LOSSY in token or not token  # part of a character, or a mark that writes none
            if lost:
                # Only a target that goes on with a character beyond ASCII may have been lost.
                foreign = [x for x in targets if x.written[len(path) : len(path) + 1] >= b"\x80"]
                pending = frozenset(x.option for x in foreign if x.written.startswith(path))
            may = pending | {reached} if reached is not None else pending
            blank = bare is not None and path == bare and not lost  # anything may follow it
            if len(may) == 1 and (reached is not None or not (masses.strings or lost)):
                masses.settled[list(may)] += mass
            elif token == run.tokens[t] and t + 1 < len(run.tokens) and not (lost or ahead):
                ahead = (path, mass) if may else None
            elif blank:
                masses.unlisted.append((mass, may, True))
            elif may:
                # What has reached an option may run on, to a longer one or to another word.
                masses.open.append((mass, may, masses.strings or (lost and reached is None)))
        rest = weight * max(0.0, 1.0 - sum(float(np.exp(value)) for _, value in run.top[t]))
        reached, pending = _reads(before, targets, whole_words)
        masses.unlisted.append(
            (rest, pending | ({reached} if reached is not None else set()), True)
        )
        if ahead is None:
            return
        t, (before, weight) = t + 1, ahead


def _reads(
    written: bytes, targets: Sequence[_Target], whole_words: bool
) -> tuple[int | None, frozenset[int]]:
    """The option that the bytes have written, by its longest form, and those they may yet write."""
    done = [
        x for x in targets
        if written.startswith(x.written)
        and not (whole_words and joined(x.form, written[len(x.written) :].decode(errors="ignore")))
    ]  # fmt: skip
    best = max(done, key=lambda x: len(x.written)).option if done else None
    return best, frozenset(
        x.option for x in targets if len(x.written) > len(written) and x.written.startswith(written)
    )
