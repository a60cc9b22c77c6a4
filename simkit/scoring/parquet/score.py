"""Designs that do not fit in memory: `believe` on one batch of a parquet file after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from simkit.scoring.parquet.clustered import score_clustered
from simkit.scoring.parquet.design import designed
from simkit.scoring.parquet.stream import Streamed, stream

__all__ = ["score_parquet"]


def score_parquet(
    model: Any,
    source: str | Path,
    out: str | Path,
    options: Sequence[str] | str,
    *,
    cluster: str | None = None,
    workers: int | None = None,
    progress: Callable[[Streamed], None] | None = None,
    **asked: Any,
) -> Streamed:
    """Score a parquet file into another one, in memory that does not grow with its length.

    Parameters
    ----------
    model : Model
        From `simkit.load`, or any object with `name` and `scores`. On a cluster each worker has
        one of its own: give what `simkit.load` takes (a name, a folder, an address), or with
        settings ``functools.partial(simkit.load, "gpt2", device="cuda")``; a model that is loaded
        already is sent to every worker.
    source, out : str or path
        Parquet files; `out` gets a row group per batch, and under "simkit" in its metadata the
        model's name and path, the hash of its weights and the options. It is written beside
        itself under another name and moved into place at the end, over a file that may be there:
        so it is whole or not there.
    options : sequence of str, or str
        K strings for every row, in which `{column}` fields are filled from the design; or the
        name of a column that holds a list of strings for each row, of any length from 2.
    cluster : str, optional
        None for this process; "local" for processes of this machine, or the address of a Ray
        cluster (the extra `scale`), whose machines all see `source` and `out`. Then `source` may
        be a folder of parquet files, taken in the order of their names, and `out` becomes a folder
        of parquet files of `rows` prompts each, in the order of the source, which
        `pandas.read_parquet` reads as one. See Notes.
    workers : int, optional
        Models at work on the cluster. None for one on each free GPU; where there is none, one on
        each processor core.
    progress : callable, optional
        Is called with a `Streamed` after each batch.
    **asked
        What is asked, and how:

        - template : the prompt with `{column}` fields; None to take the prompts from a column.
        - prompt : that column, "prompt".
        - separator : put between prompt and option, " ".
        - bare : only the columns of the result, without the design's own.
        - chat : as in `believe`; a `Chat`'s system text is filled from the design.
        - layout, forms : as in `Question`: labels to score instead of the options' words
          ("letters", "numbers"; the template lists the options where it has {options}), and
          further spellings.
        - orders : as in `believe`: in which orders options are listed. Beliefs are averaged over
          them.
        - least_mass : as in `believe`. The first batch in which a valid mass is lower is warned
          of.
        - rows : prompts per batch, 8,192. They share what they can within it.

    Returns
    -------
    Streamed
        The numbers of prompts, rows and tokens. The file has one row per design row × option: the
        design's columns, `prompt_id`, `option` and `option_id`, `logprob`, `belief`, `valid_mass`
        and `model`, where the options are listed `orders` and `order_range`, where the chat's
        template knows thoughts `channel`, and of an interface that gives bounds `low`, `high` and
        `basis`; all as `believe` has them.

    Raises
    ------
    ValueError
        For a missing column or one of the wrong type; for an empty prompt, option or field,
        repeated options and a prompt that is too long, naming the row; for a source that is no
        parquet file, has no rows or is damaged further on; for an `out` that is the source or no
        plain file; for fewer than one row per batch. On a cluster also for files whose columns
        differ, for an `out` that is something else or is of other questions, and for workers that
        hold different weights.
    BoundaryError
        Where prompt and option cannot be tokenized separately, naming the row.
    OSError
        Where `out` cannot be written.
    ImportError
        For a cluster where Ray is not installed.

    Notes
    -----
    A run that was stopped starts again from the first row; with a model that has a cache
    (`load(..., cache=...)`) scores that are there are looked up, not computed. A process that is
    killed leaves a hidden file beside `out`, named ".simkit-" and on to ".part".

    On a cluster a worker writes each part whole, so that nothing is lost or there twice when it
    dies and another one takes over. The parts gather in a folder named `out` and ".unfinished",
    which becomes `out` when all are there. A call that was killed and is made again keeps the
    parts that are done; with another question, source or model it is an error.

    Examples
    --------
    >>> import tempfile, pandas as pd, simkit as sk
    >>> model = sk.MockModel(lambda prompt: {"yes": 0.6, "no": 0.2})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source, out = f"{folder}/design.parquet", f"{folder}/beliefs.parquet"
    ...     pd.DataFrame({"price": [2, 3]}).to_parquet(source)
    ...     done = sk.score_parquet(model, source, out, ["yes", "no"], template="${price}: buy it?")
    ...     table = pd.read_parquet(out)
    >>> done.prompts, done.rows
    (2, 4)
    >>> table[["price", "option", "belief", "valid_mass"]].round(2)
       price option  belief  valid_mass
    0      2    yes    0.75         0.8
    1      2     no    0.25         0.8
    2      3    yes    0.75         0.8
    3      3     no    0.25         0.8
    """
    if cluster is not None:
        return score_clustered(
            model, source, out, options, cluster=cluster, workers=workers, progress=progress,
            **asked,
        )  # fmt: skip
    if workers is not None:
        raise ValueError(f"workers={workers!r} needs a cluster: cluster='local', or its address")
    design = designed(model, source, out, options, **asked)
    design.warn_unsaid()
    return stream(model, design, progress=progress)
