"""Call every public function with what people should not give it, and see how it fails.

    python -m tests.fuzz --cases 200000 --seed 0 [--first NUMBER] [--only NAME]

Calls are made in an empty folder of their own. A case is a valid call of which one or two arguments
are changed. It passes if the call returns, or raises a ValueError, TypeError or OSError from a line
of simkit (OSError: or from the system) with a message that says something. It fails with any other
exception, with one that another library raised, with a warning of NumPy or pandas, if it takes
longer than ten seconds, or if the text "nan" or "None" stands in a prompt.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import simkit
from simkit.questions import Question
from tests.fuzz_calls import calls

ROOT = str(Path(simkit.__file__).parent)
ALLOWED = (ValueError, TypeError, OSError)  # BoundaryError is a ValueError
SHORTEST = 15  # characters of a message that says something
LIMIT = 10  # seconds
LEAKED = re.compile(r"\b(nan|NaN|None|NaT)\b|<NA>")

ODD: list[Any] = [
    None, np.nan, np.inf, -np.inf, 0, -1, 1.5, 1e300, 10**400, 10**12, True, "", "x", " yes ",
    "\ud800", "a\x00b", "{zz}", "{", b"x", object(), [], {}, set(), (), np.array([]), np.array("x"),
    np.zeros((2, 2, 2)), pd.DataFrame(), pd.Series([], dtype=float), len, [[1], [1, 2]], pd.NaT,
    pd.NA, 1 + 2j, range(3), Decimal("1.5"), np.float32(0.5), pd.Timestamp("2020-01-01"),
    ["a", "a"], [None], {"a": None}, [[]], np.datetime64("2020-01-01"), frozenset({1}),
]  # fmt: skip
CELLS: list[Any] = [
    None, np.nan, np.inf, -1, 1e300, 1e-300, 10**400, "x", "", "\ud800", True, [1], pd.NA, 0, 2,
    Decimal(1), object(), 1 + 2j, {"a": 1},
]  # fmt: skip


class Slow(Exception):
    """A case that takes too long."""


def odd(value: Any, rng: np.random.Generator) -> Any:
    """The value changed in one way."""
    if rng.random() < 0.25:
        return ODD[rng.integers(len(ODD))]
    if isinstance(value, pd.DataFrame):
        return odd_frame(value, rng)
    if isinstance(value, pd.Series):
        return odd_series(value, rng)
    if isinstance(value, np.ndarray) and value.ndim:
        return odd_array(value, rng) if value.dtype != object else odd_list(list(value), rng)
    if isinstance(value, list | tuple):
        return odd_list(list(value), rng)
    if isinstance(value, dict):
        return odd_mapping(value, rng)
    if isinstance(value, str):
        near = [value + " ", value.upper(), value[:-1], "{a.b}", "{0}", "{" + value + "}",
                value + "\ud800", value * 1000, "\n", value + "\x00", "no such"]  # fmt: skip
        return near[rng.integers(len(near))]
    if isinstance(value, bool | int | float | np.number):
        near = [-value, 0, 1, 2, value * 1e12, value / 1e6, value + 0.5, str(value), [value],
                np.array(value), 10**400, 1e300, 1e-300, float(value), bool(value)]  # fmt: skip
        return near[rng.integers(len(near))]
    if isinstance(value, Question):
        options = [["yes", "no", "maybe"], ["yes"], [" yes", "no "], ["yes", "yes\ud800"]]
        with contextlib.suppress(ValueError, TypeError):
            return Question("{zz}?", options[rng.integers(len(options))])
    return ODD[rng.integers(len(ODD))]


def odd_list(value: list[Any], rng: np.random.Generator) -> Any:
    at = int(rng.integers(max(len(value), 1)))
    one = list(value)
    if value:
        one[at] = odd(value[at], rng) if rng.random() < 0.5 else CELLS[rng.integers(len(CELLS))]
    forms = [one, one, value[:-1], value[1:] + value[:1], value * 2, tuple(value), [*value, None],
             [value], iter(value), pd.Series(value, dtype=object), value[:1]]  # fmt: skip
    return forms[rng.integers(len(forms))]


def odd_mapping(value: dict[Any, Any], rng: np.random.Generator) -> Any:
    keys = list(value)
    key = keys[rng.integers(len(keys))] if keys else "a"
    forms = [
        {k: v for k, v in value.items() if k != key}, {**value, "other": 1}, {**value, None: 1},
        {**value, key: odd(value.get(key), rng)}, {**value, key: CELLS[rng.integers(len(CELLS))]},
        list(value.items()), keys, {str(k) + "\ud800": v for k, v in value.items()},
    ]  # fmt: skip
    return forms[rng.integers(len(forms))]


def odd_array(value: np.ndarray, rng: np.random.Generator) -> Any:
    mixed = value.astype(object)
    mixed[tuple(int(rng.integers(n)) for n in value.shape)] = CELLS[rng.integers(len(CELLS))]
    forms = [
        mixed, mixed, mixed.tolist(), value.T, value[None], value[..., None], value[:-1], value[:1],
        value[:0], -value, value * 1e300, value * 1e-300, value.astype(str), value.astype("f4"),
        value.astype(complex), value * np.nan, value * 0, value.tolist(), np.asfortranarray(value),
        pd.Series(list(value), index=[f"r{i}" for i in range(len(value))]),
    ]  # fmt: skip
    return forms[rng.integers(len(forms))]


def odd_index(value: Any, rng: np.random.Generator) -> Any:
    """The rows of a Series or DataFrame under other labels, or in another order."""
    n = len(value)
    order = rng.permutation(n)
    pairs = pd.MultiIndex.from_arrays([np.arange(n), np.arange(n)[::-1]])
    forms = [
        value.iloc[order], value.set_axis([f"r{i}" for i in range(n)]), value.set_axis(pairs),
        value.set_axis(np.zeros(n, dtype=int)), value.set_axis([None] * n), value.iloc[:-1],
        value.set_axis(pd.date_range("2020", periods=n)), value.iloc[:0], value.iloc[:1],
        value.set_axis(np.where(np.arange(n) > 0, np.arange(n), np.nan)),
        pd.concat([value, value]), value.iloc[[0] * n] if n else value,
    ]  # fmt: skip
    return forms[rng.integers(len(forms))]


def odd_series(value: pd.Series, rng: np.random.Generator) -> Any:
    if rng.random() < 0.4:
        return odd_index(value, rng)
    mixed = value.astype(object).copy()
    if len(mixed):
        mixed.iloc[int(rng.integers(len(mixed)))] = CELLS[rng.integers(len(CELLS))]
    forms = [
        mixed, mixed, value.convert_dtypes(), value.astype("category"), value.astype(str),
        value.to_frame(), value.to_list(), value.to_numpy(), value.to_dict(),
        value.rename(("a", 1)), pd.Series(pd.date_range("2020", periods=len(value))),
    ]  # fmt: skip
    return forms[rng.integers(len(forms))]


def odd_frame(value: pd.DataFrame, rng: np.random.Generator) -> Any:
    if rng.random() < 0.3 or not value.shape[1]:
        return odd_index(value, rng)
    at = int(rng.integers(value.shape[1]))
    name = value.columns[at]
    if rng.random() < 0.4:
        out = value.astype({name: object}) if value.columns.is_unique else value.astype(object)
        if len(out):
            out.iat[int(rng.integers(len(out))), at] = CELLS[rng.integers(len(CELLS))]
        return out
    forms = [
        value.drop(columns=[name]), pd.concat([value, value[[name]]], axis=1), value.T,
        value.set_axis(pd.MultiIndex.from_product([["a"], value.columns]), axis=1),
        value.assign(**{str(name): "x"}), value.assign(**{str(name): None}), value.convert_dtypes(),
        value.iloc[:, ::-1], value.to_numpy(), value.to_dict("list"), value[name],
        value.rename(columns={name: None}), value.assign(extra=np.nan), value.astype("category"),
        value.set_axis(range(value.shape[1]), axis=1), value.set_index(name),
        value.assign(**{str(name): [[1]] * len(value)}), value.astype(str),
    ]  # fmt: skip
    return forms[rng.integers(len(forms))]


def texts_in(found: Any) -> Iterator[str]:
    """Prompts in what a call returned."""
    if isinstance(found, pd.DataFrame):
        for name in ("context", "prompt", "prompts"):
            if name in found:
                yield from (t for t in found[name] if isinstance(t, str))
    elif isinstance(found, list | pd.Series):
        yield from (t for t in found if isinstance(t, str))


def judged(name: str, call: Any, given: dict[str, Any]) -> str:
    """What is wrong with how the call went, or ""."""
    said = [t for v in given.values() for t in ([v] if isinstance(v, str) else texts_in(v))]
    with warnings.catch_warnings(record=True) as heard, contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("always")
        try:
            found = call(**given)
            for text in texts_in(found) if not any(LEAKED.search(t) for t in said) else ():
                if LEAKED.search(text):
                    return f"prompt {text[-60:]!r}"
        except Slow:
            return f"takes more than {LIMIT} s"
        except ALLOWED as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            if not last.filename.startswith(ROOT) and not isinstance(error, OSError):
                own = [
                    f
                    for f in traceback.extract_tb(error.__traceback__)
                    if f.filename.startswith(ROOT)
                ]
                at = (
                    f"{own[-1].filename[len(ROOT) :]}:{own[-1].lineno}"
                    if own
                    else "the call itself"
                )
                return f"{type(error).__name__} of another library at {at}: {str(error)[:80]!r}"
            if len(str(error)) < SHORTEST:
                return f"{type(error).__name__} says only {str(error)!r}"
        except Exception as error:
            own = [
                f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(ROOT)
            ]
            at = f"{own[-1].filename[len(ROOT) :]}:{own[-1].lineno}" if own else "the call itself"
            return f"{type(error).__name__} at {at}: {str(error)[:80]!r}"
        finally:
            plt.close("all")
    for w in heard:
        if not issubclass(w.category, UserWarning):
            return f"{w.category.__name__}: {str(w.message)[:80]!r}"
    return ""


def one_case(number: int, seed: int, only: str = "") -> tuple[str, str, str]:
    """Function, what was changed, and what is wrong ("" if nothing) of a case by its number."""
    rng = np.random.default_rng([seed, number])
    table = calls_once()
    names = [n for n in table if only in n]
    name = names[rng.integers(len(names))]
    with warnings.catch_warnings(action="ignore"):
        call, given = table[name]()
    changed = rng.permutation(list(given))[: 1 + int(rng.random() < 0.3)]
    for argument in changed:
        given[argument] = odd(given[argument], rng)
    told = ", ".join(f"{a}={shortly(given[a])}" for a in changed)
    return name, told, judged(name, call, given)


def shortly(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        text = type(value).__name__
    text = re.sub(r"\s+", " ", text)
    return f"{type(value).__name__} {text[:70]}"


_TABLE: dict[str, Any] = {}


def calls_once() -> dict[str, Any]:
    if not _TABLE:
        _TABLE.update(calls())
    return _TABLE


def run(
    cases: int, seed: int, only: str = "", first: int = 0
) -> dict[tuple[str, str], list[tuple[int, str]]]:
    """The failures by function and kind, each with the numbers of its cases."""
    failed: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)

    def late(*_: Any) -> None:
        raise Slow

    old = signal.signal(signal.SIGALRM, late) if hasattr(signal, "SIGALRM") else None
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        try:
            _run(range(first, first + cases), seed, only, old is not None, failed)
        finally:
            if old is not None:
                signal.signal(signal.SIGALRM, old)
    return failed


def _run(
    numbers: range, seed: int, only: str, timed: bool, failed: dict[Any, list[tuple[int, str]]]
) -> None:
    for number in numbers:
        if timed:
            signal.alarm(LIMIT)
        try:
            name, told, wrong = one_case(number, seed, only)
        except Slow:
            name, told, wrong = "?", "?", "slow to build"
        if timed:
            signal.alarm(0)
        if wrong:
            kind = re.sub(r"'[\w.]+' object", "… object", re.sub(r"\d{3,}|0x\w+", "…", wrong))
            failed[name, kind].append((number, told))


def report(failed: dict[tuple[str, str], list[tuple[int, str]]]) -> str:
    lines = [
        f"{name}: {wrong}\n    {len(found)} ×, first case {found[0][0]}: {found[0][1]}"
        for (name, wrong), found in sorted(failed.items())
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="functions whose name contains this")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--case", type=int, help="one case, with its traceback")
    asked = parser.parse_args()
    if asked.case is not None:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            print(one_case(asked.case, asked.seed, asked.only))
        return 0
    start = time.perf_counter()
    failed = run(asked.cases, asked.seed, asked.only, asked.first)
    print(report(failed).encode("utf-8", "backslashreplace").decode())
    wrong = sum(map(len, failed.values()))
    print(
        f"{asked.cases:,} cases of {len(calls_once())} functions: {wrong} failed, "
        f"{len(failed)} kinds; {time.perf_counter() - start:.0f} s"
    )
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
