"""Survey files as they are: codes and what the file says of them, nothing decided yet.

A .sav is read by pyreadstat with its declared missing codes in place; a CSV as text, by hand, for
readers of data frames drop the word "NA", rename columns that stand twice and fill short rows.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simkit.survey.item import SurveyItem, code_of

__all__ = ["FORMATS", "RawSet", "RawSurvey", "plain_number", "row_list"]

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?")
_MEASURES = {"nominal": "nominal", "ordinal": "ordinal", "scale": "numeric"}
_READERS = {".sav": "read_sav", ".zsav": "read_sav", ".dta": "read_dta", ".xpt": "read_xport",
            ".sas7bdat": "read_sas7bdat"}  # fmt: skip


@dataclass(frozen=True)
class RawSet:
    """A check-all-that-apply question: its columns, and the code of a tick.

    ticked None: the columns hold codes of options, each of them one that was ticked.
    """

    columns: Sequence[str]
    ticked: Any = 1
    text: str = ""


@dataclass(frozen=True)
class RawSurvey:
    """A file: its columns with all codes in place, and the items that it describes.

    ranges : column -> pairs (low, high) of codes that are declared missing.
    sets : name -> `RawSet`.
    scaled : columns whose scale the file declares.
    """

    frame: pd.DataFrame
    items: Mapping[str, SurveyItem] = field(default_factory=dict)
    ranges: Mapping[str, Sequence[tuple[Any, Any]]] = field(default_factory=dict)
    sets: Mapping[str, RawSet] = field(default_factory=dict)
    scaled: frozenset[str] = frozenset()
    title: str = ""
    notes: tuple[str, ...] = ()


def row_list(rows: Any, most: int = 5) -> str:
    """ "row 3", or "rows 3, 7, …"."""
    rows = [str(row) for row in rows]
    return ("row " if len(rows) == 1 else "rows ") + ", ".join(rows[:most]) + (
        ", …" if len(rows) > most else ""
    )  # fmt: skip


def plain_number(text: str) -> bool:
    """Whether text is a number and nothing else: "007" is a name, and so are 17 digits or more."""
    padded = re.match(r"[+-]?0\d", text) is not None
    long = "." not in text and abs(int(text)) >= 2**53 if text.lstrip("+-").isdecimal() else False
    return _NUMBER.fullmatch(text) is not None and not padded and not long


def _statistics_file(path: Path, columns: Sequence[str] | None, encoding: str | None) -> RawSurvey:
    """SPSS, Stata and SAS files, by pyreadstat."""
    try:
        import pyreadstat
    except ImportError as error:
        raise ImportError(
            f"reading {path.suffix} files needs pyreadstat: pip install 'simkit[survey]'"
        ) from error
    kind = path.suffix.lower()
    read: Any = getattr(pyreadstat, _READERS[kind])
    how: dict[str, Any] = {} if kind == ".xpt" else {"user_missing": True}
    if columns is not None:
        known = _read(read, path, {"metadataonly": True, "encoding": encoding})[1].column_names
        _known_columns(columns, known)
        how["usecols"] = list(columns)
    frame, meta = _read(read, path, {**how, "encoding": encoding})
    notes: tuple[str, ...] = ()
    if kind == ".xpt":
        notes = ("a SAS transport file: special missing codes are read without their letters",)
    texts = [n for n in frame if meta.readstat_variable_types.get(n) == "string"]
    if encoding is None and texts and (meta.file_encoding or "UTF-8").upper().startswith("UTF"):
        _lost_text(frame[texts], lambda: _bytewise(read, path, texts))
    ranges: dict[str, Any] = {
        name: [(span["lo"], span["hi"]) for span in spans]
        for name, spans in meta.missing_ranges.items()
    }
    items = {}
    for name in frame:
        labels = meta.variable_value_labels.get(name, {})
        letters = {c: f".{c}" for c in meta.missing_user_values.get(name, ())}
        if letters and meta.readstat_variable_types.get(name) != "string":
            frame[name] = frame[name].map(lambda v, of=letters: of.get(v, v)).astype(object)
        else:
            letters = {}
        missing = {
            text: labels.get(letter) or labels.get(str(letter).lower()) or "declared missing"
            for letter, text in letters.items()
        }
        said = {c: str(t) for c, t in labels.items() if c not in letters and str(t).strip()}
        text = meta.column_names_to_labels.get(name) or name
        measure = _MEASURES.get(meta.variable_measure.get(name, ""), "nominal")
        items[name] = SurveyItem(text, said, measure, missing)
    scaled = frozenset(n for n in frame if meta.variable_measure.get(n) in _MEASURES)
    sets = {}
    for name, found in (meta.mr_sets or {}).items():
        upper = {str(c).upper(): c for c in frame}
        members = [upper.get(str(c).upper()) for c in found["variable_list"]]
        if columns is not None and None in members:
            continue  # only some columns are read
        ticked = found.get("counted_value")
        ticked = code_of(ticked) if found.get("is_dichotomy") else None
        kept = [m for m in members if m is not None]
        sets[str(name).lstrip("$")] = RawSet(kept, ticked, found.get("label") or "")
    return RawSurvey(frame, items, ranges, sets, scaled, meta.file_label or "", notes)


def _read(read: Callable[..., Any], path: Path, how: dict[str, Any]) -> Any:
    try:
        return read(str(path), **{k: v for k, v in how.items() if v is not None})
    except Exception as error:  # pyreadstat's own errors, and those of its parser
        why = str(error)
        coded = isinstance(error, UnicodeError) or "convert" in why or "encoding" in why.lower()
        if coded and how.get("encoding") is None:
            _lost_text(None, lambda: _bytewise(read, path))
        hint = "it may be cut off, empty, or of another format"
        hint = 'name its encoding, such as encoding="windows-1252"' if coded else hint
        raise ValueError(f"{path.name} cannot be read ({why}): {hint}") from error


def _bytewise(
    read: Callable[..., Any], path: Path, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """The file with a character a byte."""
    names = {} if columns is None else {"usecols": [n.encode().decode("latin-1") for n in columns]}
    frame: pd.DataFrame = read(str(path), encoding="LATIN1", **names)[0]
    return frame


def _lost_text(frame: pd.DataFrame | None, again: Callable[[], pd.DataFrame]) -> None:
    """ValueError where text is not the UTF-8 that a file declares, naming column and rows.

    pyreadstat refuses most of it (frame None), and cuts some short: "Malmö" becomes "Malm".
    """
    try:
        other = again()
    except Exception:  # not every reader takes another encoding
        return
    for i, name in enumerate(other):
        lost = other.iloc[:, i].map(_is_not_utf8)
        if frame is not None:
            lost &= frame.iloc[:, i].str.len() < other.iloc[:, i].str.len()
        if lost.any():
            raise ValueError(
                f"column {name!r}: {row_list(other.index[lost])} hold text that is not in the "
                'encoding that the file declares; name it, such as encoding="windows-1252"'
            )


def _is_not_utf8(text: Any) -> bool:
    try:
        return isinstance(text, str) and text.encode("latin-1").decode() is None
    except UnicodeError:
        return True


def _known_columns(columns: Sequence[str], known: Sequence[Any]) -> None:
    for name in columns:
        if name not in known:
            raise ValueError(f"no column {name!r} in the file; there are: {', '.join(known)}")


def _csv(path: Path, columns: Sequence[str] | None, encoding: str | None) -> RawSurvey:
    """A CSV or TSV file: numbers where a column holds numbers, with codes such as "NA" in place."""
    raw = path.read_bytes()
    try:
        text = raw.decode(encoding or "utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        coded = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "windows-1252"
        where = f"line {before.count(10) + 1}"
        header = before.split(b"\n")[0] if b"\n" in before else raw.split(b"\n")[0]
        cell = before.rsplit(b"\n")[-1]
        names = re.split(rb"[,;\t]", header)
        place = len(re.findall(rb"[,;\t]", cell))
        if before.count(10) and place < len(names):
            where += f", column {names[place].decode('ascii', 'replace').strip()!r}"
        raise ValueError(
            f"{path.name}: {where}: text that is not UTF-8 ({error.object[error.start]:#04x}); "
            f'name its encoding, such as encoding="{coded}"'
        ) from error
    except LookupError as error:
        raise ValueError(f"encoding is {encoding!r}; {error}") from error
    said = re.match(r'"?sep=([,;\t])"?\r?\n', text)  # a line that spreadsheets write
    text = text[said.end() :] if said else text
    first = re.sub(r'"[^"]*"', "", text.split("\n", 1)[0])
    mark = said[1] if said else max(",;\t", key=first.count)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True))
    except csv.Error as error:
        raise ValueError(f"{path.name} is cut off or malformed: {error}") from error
    lines = [line for line in lines if line]
    if not lines:
        raise ValueError(f"{path.name} holds no line; it must have a header and respondents")
    head = [name.strip() for name in lines[0]]
    short = [i for i, line in enumerate(lines) if len(line) != len(head)]
    if short:
        raise ValueError(
            f"{path.name}: {row_list(i - 1 for i in short)}: {len(lines[short[0]])} fields, where "
            f"the header has {len(head)}; the file is cut off, or a text holds {mark!r} unquoted"
        )
    items: dict[str, SurveyItem] = {}
    notes: tuple[str, ...] = ()
    if len(lines) > 2 and any('"ImportId"' in cell for cell in lines[2]):
        items = {n: SurveyItem(" ".join(t.split())) for n, t in zip(head, lines[1], strict=True)}
        notes = ("an export of Qualtrics: the two lines below its header are no respondents",)
        del lines[1:3]
    cells = pd.DataFrame(lines[1:], columns=head, dtype=object)
    if columns is not None:
        _known_columns(columns, head)
        cells = cells.loc[:, [name in columns for name in head]]
    parts = [_numbers(cells.iloc[:, i], mark == ";") for i in range(cells.shape[1])]
    frame = pd.concat(parts, axis=1) if parts else cells
    kept = {name: item for name, item in items.items() if name in frame}
    return RawSurvey(frame, kept, notes=notes)


def _numbers(cells: pd.Series, comma: bool) -> pd.Series:
    """Text cells as numbers if most of them are; "" is missing, "007" is no number."""
    places, raw = pd.factorize(cells)
    texts = [str(text).strip() for text in raw]
    plain = [text.replace(",", ".") if comma else text for text in texts]
    number = np.array([_NUMBER.fullmatch(text) is not None for text in plain], dtype=bool)
    given = np.array([text != "" for text in texts], dtype=bool)[places].sum()
    names = any(one and not plain_number(text) for text, one in zip(plain, number, strict=True))
    signs = {sign for text, one in zip(texts, number, strict=True) if one for sign in ",." if
             sign in text}  # fmt: skip
    values: list[Any] = [text or None for text in texts]
    if not names and number.any() and 2 * number[places].sum() >= given:
        if len(signs) > 1:
            rows = [next(i for i, k in enumerate(places) if number[k] and sign in texts[k])
                    for sign in ",."]  # fmt: skip
            raise ValueError(
                f"column {cells.name!r} has decimal commas and points: {row_list(rows)} hold "
                f"{texts[places[rows[0]]]!r} and {texts[places[rows[1]]]!r}; write it with one"
            )
        pairs = zip(values, plain, number, strict=True)
        values = [code_of(float(text)) if is_one else v for v, text, is_one in pairs]
    return pd.Series([values[i] for i in places], cells.index, dtype=object, name=cells.name)


def _parquet(path: Path, columns: Sequence[str] | None, encoding: str | None) -> RawSurvey:
    """A parquet file: categories become codes from 1 with labels, or the numbers that they are."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise ValueError(
            f"{path.name} cannot be read ({error}): it may be cut off, empty, or of another format"
        ) from error
    if columns is not None:
        _known_columns(columns, table.column_names)
        table = table.select(list(columns))
    frame = table.to_pandas()
    items = {}
    for name in frame:
        dtype = frame[name].dtype
        if not isinstance(dtype, pd.CategoricalDtype):
            continue
        scale = "ordinal" if dtype.ordered else "nominal"
        if dtype.categories.dtype.kind in "iuf":
            frame[name] = frame[name].astype(dtype.categories.dtype.type if not frame[
                name].isna().any() else float)  # fmt: skip
            items[name] = SurveyItem(str(name), {}, scale)
        else:
            labels = {i: str(t) for i, t in enumerate(dtype.categories, start=1)}
            codes = frame[name].cat.codes.to_numpy() + 1.0
            frame[name] = np.where(codes > 0, codes, np.nan)
            items[name] = SurveyItem(str(name), labels, scale)
    return RawSurvey(frame.reset_index(drop=True), items, scaled=frozenset(items))


FORMATS: dict[str, Callable[[Path, Sequence[str] | None, str | None], RawSurvey]] = {
    **dict.fromkeys(_READERS, _statistics_file),
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
}
