"""A survey file becomes a `Survey`: missing codes with their reasons, labels, weights, notes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simkit.files import as_path
from simkit.survey import stored
from simkit.survey.book import book_of
from simkit.survey.checks import label_notes, twice_named
from simkit.survey.columns import Reading, described
from simkit.survey.files import FORMATS, RawSet, RawSurvey, row_list
from simkit.survey.survey import Survey
from simkit.templates import check_text, is_missing
from simkit.types import column, listed, one_of, typed

__all__ = ["read_survey"]

_ID = re.compile(r"(case|resp(ondent)?|response|person|record|participant)?_?id|uuid|idno", re.I)
_WEIGHT = re.compile(r"weight|wgt|wght|pond", re.IGNORECASE)


def read_survey(
    path: str | Path,
    *,
    book: Any = None,
    missing: Mapping[str, Any] | None = None,
    keep: Mapping[str, Any] | Sequence[str] | None = None,
    sets: Mapping[str, Sequence[str]] | None = None,
    weights: str | None = None,
    strata: str | None = None,
    clusters: str | None = None,
    columns: Sequence[str] | None = None,
    encoding: str | None = None,
) -> Survey:
    """Read a survey: SPSS, Stata and SAS files, and CSV or parquet with a code book.

    Codes that are declared missing (SPSS user-missing values, Stata .a to .z, SAS letters, those of
    the code book) become NaN, and the reason is kept in `Survey.missing`. One that only looks so
    (−9, 99, "don't know", "NA") is asked about, and never kept or dropped in silence.

    Parameters
    ----------
    path : str or Path
        A .sav, .zsav, .dta, .sas7bdat, .xpt, .csv, .tsv or .parquet file. A parquet file that
        `Survey.to_parquet` wrote is the survey again.
    book : mapping, DataFrame, str or Path, optional
        What the file does not say, or says wrongly: item -> {"text", "labels", "scale", "missing",
        "tell"}, see :class:`SurveyItem`; or a table with a row per code and the columns item, text,
        scale, tell, code, label, missing; or a .json or .csv file of either.
    missing : mapping, optional
        Column -> codes that are no answers, [99] or {99: "refused"}; "*" for every column but
        weights, strata and clusters, and but for what `keep` names.
    keep : mapping or sequence, optional
        Column -> codes that are answers after all; or columns all of whose codes are.
    sets : mapping, optional
        Check-all-that-apply questions: name -> their columns, of 1 and 0, 1 and 2, or 1 and
        nothing. Those that a .sav file declares need not be named.
    weights, strata, clusters : str, optional
        Columns: survey weights (0 or more, none missing), strata, sampling points or households.
    columns : sequence of str, optional
        Those that are read, beside weights, strata and clusters; None for all.
    encoding : str, optional
        Of the file's text, where it is not the one that the file declares (a CSV: not UTF-8).

    Returns
    -------
    Survey
        People (a row per respondent, numbered from 0), `items`, `missing` and `notes`. Look at
        `survey.codebook()` first.

    Raises
    ------
    ValueError
        For a file that is empty, cut off or in another encoding; columns that are the same but for
        case, blanks and signs; a column of numbers and text; codes that nobody declared missing
        and that look like it, and values outside their labels: each with column, code, people and
        rows, and the argument that settles it; weights that are negative or missing.
    ImportError
        Where pyreadstat is needed and is not here, with the command that installs it.

    References
    ----------
    Tourangeau, Rips & Rasinski (2000), The Psychology of Survey Response, on "don't know" and other
    answers that are none.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "small.csv")
    >>> _ = path.write_text("sex,trust\\n1,4\\n2,99\\n1,2\\n")
    >>> read_survey(path)
    Traceback (most recent call last):
        ...
    ValueError: small.csv: 1 code must be settled:
      trust: 99 (1 people, row 1): a customary code of no answer, apart from the other answers
    missing={'trust': [99]}, or with a reason {99: 'refused'}, makes it missing ('*' for every \
column); keep={'trust': [99]} takes it as an answer; book= gives labels
    >>> sexes = {"sex": {"text": "Sex", "labels": {1: "male", 2: "female"}}}
    >>> survey = read_survey(path, book=sexes, missing={"*": {99: "refused"}})
    >>> survey.people["trust"].tolist(), survey.missing["reason"].tolist()
    ([4.0, nan, 2.0], ['refused'])
    """
    place = as_path(path, "path").expanduser()
    kind = one_of(place.suffix.lower(), "format of survey files", FORMATS)
    if not place.is_file():
        raise ValueError(f"path is {str(place)!r}; there is no such file")
    if place.stat().st_size == 0:
        raise ValueError(f"{place.name} is empty")
    if kind == ".parquet" and (fields := stored.read(place)) is not None:
        given = (book, missing, keep, sets, weights, strata, clusters, columns)
        if any(argument is not None for argument in given):
            raise ValueError(f"{place.name} is a survey that was read before; give its path alone")
        return Survey(**fields)
    special: dict[str, Any] = {"weights": weights, "strata": strata, "clusters": clusters}
    for what, name in {**special, "encoding": encoding}.items():
        typed(name, what, str | None, "a name, or None")
    keep = keep if keep is None or isinstance(keep, Mapping) else listed(keep, "keep")
    wanted = None if columns is None else [str(c) for c in listed(columns, "columns")]
    if wanted is not None:
        wanted += [n for n in special.values() if n is not None and n not in wanted]
    raw = _checked_names(FORMATS[kind](place, wanted, encoding), place)
    entries = book_of(book)
    frame, items = described(raw, entries, missing, keep)
    said = {name for name, entry in entries.items() if "scale" in entry}
    reader = Reading(place.name, frame, items, raw, missing, keep, said)
    people, items, table = reader.read(_sets(raw, sets, frame), tuple(special.values()))
    notes = [*raw.notes, *reader.notes, *label_notes(items), *_twice_asked(people, special)]
    notes += _weight_notes(people, special)
    name = raw.title or place.stem
    return Survey(name, people, items=items, missing=table, notes=tuple(notes), **special)


def _checked_names(raw: RawSurvey, path: Path) -> RawSurvey:
    frame = raw.frame
    if isinstance(frame.columns, pd.MultiIndex) or not len(frame.columns):
        raise ValueError(f"{path.name} has no columns, or columns in levels")
    names = [str(name) for name in frame.columns]
    if "" in names:
        raise ValueError(f"{path.name}: column {names.index('')} has no name")
    if (pair := twice_named(names)) is not None:
        raise ValueError(
            f"{path.name}: the columns {pair[0]!r} and {pair[1]!r} are the same but for case, "
            "blanks and signs; rename one of them, or read one of them (columns=)"
        )
    if not len(frame):
        raise ValueError(f"{path.name} has a header and no respondents")
    return replace(raw, frame=frame.set_axis(names, axis=1))


def _sets(raw: RawSurvey, sets: Any, frame: pd.DataFrame) -> dict[str, RawSet]:
    out = dict(raw.sets)
    for name, members in typed(
        {} if sets is None else sets, "sets", Mapping, "{name: columns}"
    ).items():
        several = listed(members, f"sets[{name!r}]")
        for member in several:
            one_of(member, f"column of sets[{name!r}]", list(frame))
        if len(several) < 2:
            raise ValueError(f"sets[{name!r}] has {len(several)} column; it must have two or more")
        out[check_text(str(name))] = RawSet(several)
    used = [m for found in out.values() for m in found.columns]
    for member in used:
        if used.count(member) > 1 and sets:
            raise ValueError(f"column {member!r} is in two sets")
    for name, found in out.items():
        if name in frame and name not in found.columns:
            raise ValueError(f"the set {name!r} has the name of a column; give it another")
    return out


def _twice_asked(people: pd.DataFrame, special: Mapping[str, str | None]) -> list[str]:
    """A note on each column that looks like respondents' numbers, where two rows share one."""
    notes = []
    for name in (n for n in people if _ID.fullmatch(n) and n not in special.values()):
        twice = people.index[people[name].notna() & people[name].duplicated(keep=False)]
        if len(twice):
            notes.append(
                f"{name}: {len(twice)} rows share it with another, {row_list(twice)}: the same "
                f"people twice? clusters={name!r} if rows are answers of the same people"
            )
    return notes


def _weight_notes(people: pd.DataFrame, special: Mapping[str, str | None]) -> list[str]:
    """Notes on the weights; ValueError for those that none can be, and for missing labels."""
    notes, weights = [], special["weights"]
    likely = [n for n in people if _WEIGHT.search(n) and people[n].dtype.kind in "if"]
    if weights is None and likely:
        notes.append(f"{likely[0]} may be a survey weight: weights={likely[0]!r} makes it one")
    for what, name in special.items():
        if name is None:
            continue
        one_of(name, f"column of {what}=", list(people))
        absent = [row for row, v in people[name].items() if is_missing(v)]
        if absent:
            raise ValueError(
                f"{what}, column {name!r}: {row_list(absent)} have none; "
                + ("give those people a weight (0 leaves them out)" if what == "weights" else
                   "give those people a label of their own")
            )  # fmt: skip
    if weights is not None:
        w = column(people[weights], weights)
        if (w < 0).any():
            rows = np.flatnonzero(w < 0)
            raise ValueError(f"weights, column {weights!r}: {row_list(rows)} have a negative one")
        if not w.sum() > 0:
            raise ValueError(f"weights, column {weights!r}: all are 0")
        if (w == 0).any():
            rows = np.flatnonzero(w == 0)
            notes.append(f"{weights}: {len(rows)} of {len(w)} people weigh 0, {row_list(rows)}")
    return notes
