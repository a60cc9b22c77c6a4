"""The project's look, and what all figures share: colours, bands, legends, column checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, cast

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from simkit.templates import check_text
from simkit.types import LARGEST, column, framed, numbers, shown, typed
from simkit.types import labels as row_labels

__all__ = ["MARKS", "PALETTE", "SPARE", "band", "begin", "colours_of", "curves", "done", "dots",
           "highest", "legend", "need", "new_or", "parts", "rows", "style", "ticks",
           "with_truth", "words"]  # fmt: skip

# After Okabe & Ito: the truths have the hue of the prompt that should find them, but darker.
PALETTE = {
    "blind": "#D55E00",
    "stated": "#E6A100",
    "unblinded": "#0072B2",
    "truth observational": "#7A2E00",
    "truth causal": "#00304D",
    "human": "#000000",
    "belief": "#0B6E78",
    "choice": "#C0417B",
}
SPARE = ("#009E73", "#CC79A7", "#56B4E9", "#7F6BB3", "#8C8C8C")  # for methods not named above
MARKS = {"blind": "o", "stated": "s", "unblinded": "D", "human": "o", "belief": "D", "choice": "o"}
RC: dict[str, Any] = {
    "figure.figsize": (6.4, 4.0),
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "savefig.bbox": "tight",
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": "#333333",
    "axes.edgecolor": "#888888",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 2.0,
    "lines.markersize": 5.5,
    "svg.hashsalt": "simkit",
}


class style(AbstractContextManager["style"]):  # lower case: it is used as a function
    """The project's look: `style()` sets it; `with style():` sets it and restores the old one."""

    def __init__(self) -> None:
        self._settings = cast(dict[str, Any], mpl.rcParams)
        self._before = {name: self._settings[name] for name in RC}
        self._settings.update(RC)

    def __exit__(self, *error: object) -> None:
        self._settings.update(self._before)


def begin(
    frame: pd.DataFrame,
    ax: Axes | None,
    *columns: str,
    at: str = "",
    labels: str = "",
    maybe: str = "",
    **default: str,
) -> tuple[pd.DataFrame, Axes]:
    """The frame as `need` checks it, and the given or new Axes.

    default : a label that the frame may lack, and what all its rows are called then.
    """
    labels = " ".join([labels, *default])
    frame = need(frame, *columns, at=at, labels=labels, maybe=" ".join([maybe, *default]))
    frame = frame.assign(**{name: what for name, what in default.items() if name not in frame})
    return frame, new_or(ax)


def new_or(ax: Axes | None) -> Axes:
    """The given Axes, or new ones for None."""
    if not isinstance(ax, Axes | None):
        raise ValueError(f"ax is {shown(ax)}; it must be Axes, as plt.subplots() makes them")
    return plt.subplots()[1] if ax is None else ax


def need(
    frame: pd.DataFrame, *columns: str, at: str = "", labels: str = "", maybe: str = ""
) -> pd.DataFrame:
    """The frame, with the columns to be drawn as floats.

    columns : numbers that must be there; NaN leaves a point out. at : numbers that place a point
    on an axis, which must be finite. labels : tell the figure's parts apart, and must not be
    missing. maybe : numbers, or labels, that are drawn where they are there. Names are separated
    by blanks. Raises ValueError for no frame, no rows, no column, no number at all in one of
    `columns`, and a value that is no number or no label, naming its row.
    """
    framed(frame, "the frame")
    named, places, optional = labels.split(), at.split(), maybe.split()
    for name in (*named, *places, *columns):
        if name not in frame and name not in optional:
            raise ValueError(f"no column {name!r}; the frame has {list(frame.columns)}")
    if frame.empty:
        raise ValueError("the frame has no rows, so there is nothing to draw")
    checked: dict[str, Any] = {}
    for name in (name for name in named if name in frame):
        row_labels(frame[name], name, len(frame))
        checked[name] = frame[name].astype(object)
    checked |= {name: column(frame[name], name) for name in places}
    for name in (*columns, *optional):
        if name in named or name not in frame:
            continue
        values = numbers(frame[name], name, "a column", dims=(1,), infinite=True)
        checked[name] = np.where(np.abs(values) > LARGEST, np.nan, values)
        if name in columns and np.isnan(checked[name]).all():
            raise ValueError(f"column {name!r} holds no number, so there is nothing to draw")
    return frame.assign(**checked)


def colours_of(
    names: Iterable[str],
    palette: Mapping[str, str] = PALETTE,
    spare: tuple[str, ...] = SPARE,
) -> dict[str, str]:
    """Each name's colour, in order of appearance; those not in the palette take the spare ones."""
    names = list(dict.fromkeys(names))
    others = [name for name in names if name not in palette]
    return {n: palette.get(n) or spare[others.index(n) % len(spare)] for n in names}


def parts(
    frame: pd.DataFrame, by: str, x: str = "", colours: Mapping[str, str] | None = None
) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """The rows of each label, sorted by `x` if there is one, with the label and its colour."""
    for name, colour in (colours or colours_of(frame[by])).items():
        part = frame[frame[by] == name]
        yield name, colour, part.sort_values(x) if x else part


def curves(
    frame: pd.DataFrame,
    by: str,
    x: str,
    ax: Axes,
    *,
    colours: Mapping[str, str] | None = None,
    marks: Mapping[str, str] = MARKS,
) -> None:
    """A line with points and a band per label; truths are dotted and have neither."""
    for name, colour, part in parts(frame, by, x, colours):
        truth = str(name).startswith("truth")
        kind: dict[str, Any] = {"marker": marks.get(name, "o"), "zorder": 3}
        if truth:
            kind = {"linestyle": ":", "linewidth": 2.4, "zorder": 4}
        ax.plot(part[x], part["estimate"], color=colour, label=words(name), **kind)
        if not truth:
            band(part, x, colour, ax)


def with_truth(
    frame: pd.DataFrame, truth: pd.DataFrame | None, *, by: str = "method", name: str = "truth"
) -> pd.DataFrame:
    """The frame with the truth's rows below its own; as it is where no truth is known.

    Parameters
    ----------
    frame : what a figure is to draw.
    truth : columns of the frame, of what is true; None, or no rows, where it is not known.
    by : the column that tells the lines or marks of the figure apart.
    name : what the truth is called in that column. Figures dot what begins with "truth".

    Returns
    -------
    One frame with a new index.

    Raises
    ------
    ValueError
        For something else than a frame, a `by` or a column of the truth that the frame lacks, and
        a `name` that is no text.

    Examples
    --------
    >>> import pandas as pd
    >>> shares = pd.DataFrame({"method": "base", "value": [0, 1], "share": [0.3, 0.7]})
    >>> exact = pd.DataFrame({"value": [0, 1], "share": [0.2, 0.8]})
    >>> with_truth(shares, exact)["method"].tolist()
    ['base', 'base', 'truth', 'truth']
    >>> len(with_truth(shares, None))
    2
    """
    frame = framed(frame, "the frame").reset_index(drop=True)
    truth = frame.head(0) if truth is None else framed(truth, "the truth")
    check_text(typed(name, "name", str, "text"))
    for column_name in (typed(by, "by", str, "a column of the frame"), *truth):
        if column_name not in frame:
            raise ValueError(f"no column {shown(column_name)}; the frame has {list(frame)}")
    if truth.empty:
        return frame
    return pd.concat([frame, truth.assign(**{by: name})], ignore_index=True)


def band(part: pd.DataFrame, x: str, colour: str, ax: Axes) -> None:
    """The intervals of a line, if there are any."""
    if {"low", "high"} <= set(part):
        ax.fill_between(part[x], part["low"], part["high"], color=colour, alpha=0.18, linewidth=0)


def dots(
    frame: pd.DataFrame,
    row: str,
    by: str,
    ax: Axes,
    *,
    gap: float = 0,
    colours: Mapping[str, str] | None = None,
    marks: Mapping[str, str] = MARKS,
    hollow: str = "",
    width: float = 2.4,
    size: float | None = None,
) -> None:
    """Estimates with their intervals, a row per label in `row`, those of `by` side by side."""
    names, colours = list(dict.fromkeys(frame[row])), colours or colours_of(frame[by])
    for k, (name, colour, part) in enumerate(parts(frame, by, colours=colours)):
        y = part[row].map(names.index) + gap * (k - (len(colours) - 1) / 2)
        if {"low", "high"} <= set(part):
            ax.hlines(y, part["low"], part["high"], color=colour, linewidth=width)
        face = "white" if name == hollow else colour
        ax.plot(part["estimate"], y, marks.get(name, "o"), color=colour, markerfacecolor=face,
                markersize=size, label=words(name))  # fmt: skip
    rows(ax, [words(name) for name in names])


def rows(ax: Axes, names: list[str]) -> None:
    """A row per name, the first on top."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)


def ticks(ax: Axes, values: Iterable[float]) -> None:
    """The values themselves on a log axis, not powers of ten."""
    places = sorted(set(values))
    ax.set_xticks(places, [f"{v:g}" for v in places])
    ax.xaxis.minorticks_off()


def highest(frame: pd.DataFrame, *columns: str) -> float:
    """The highest finite number in the columns that there are; at least one must hold one."""
    values = frame[[c for c in columns or ("estimate", "high") if c in frame]].to_numpy(dtype=float)
    return float(values[np.isfinite(values)].max())


def words(name: object) -> str:
    """A label as it is written in a figure: "truth causal" is "Truth (causal)"."""
    text = str(name).replace("_", " ")
    text = f"truth ({text[6:]})" if text.startswith("truth ") else text
    return text[:1].upper() + text[1:]


def legend(ax: Axes) -> None:
    """A legend where there is more than one name."""
    handles, names = ax.get_legend_handles_labels()
    if len(names) > 1:
        ax.legend(handles, names)


def done(ax: Axes, **settings: Any) -> Axes:
    """The Axes with its labels and limits set, and a legend where there is more than one name."""
    ax.set(**settings)
    legend(ax)
    return ax
