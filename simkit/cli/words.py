"""What the commands share: options, and errors and warnings as words."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

__all__ = ["CLUSTER", "FOLDER", "MODEL", "WORKERS", "complain", "in_words", "warnings_in_words"]

FOLDER = click.Path(path_type=Path)
MODEL = "A bundled model, one of `simkit models`, a folder, a hub id, or a server's address."
CLUSTER = click.option(
    "--cluster", metavar="ADDRESS",
    help="Share the work out by Ray: local (processes of this machine), or a cluster's address.",
)  # fmt: skip
WORKERS = click.option(
    "--workers", type=click.IntRange(1),
    help="How many at a time on the cluster; one for each free GPU, or each core.",
)  # fmt: skip


@contextmanager
def in_words(code: int = 2) -> Iterator[None]:
    """What is refused as words on stderr, without a traceback, and an exit with `code`."""
    try:
        yield
    except (ValueError, OSError, ImportError, RuntimeError) as error:  # servers' errors too
        complain(error)
        sys.exit(code)


@contextmanager
def warnings_in_words() -> Iterator[None]:
    """Warnings as lines on stderr, without the place in the code that Python adds."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: click.secho(
            f"warning: {message}", fg="yellow", err=True
        )
        yield


def complain(error: Exception) -> None:
    """The error on stderr; for a cell that failed, its traceback as the notebook shows it."""
    lines = getattr(error, "traceback", None)
    bare = os.environ.get("NO_COLOR") or not sys.stderr.isatty()
    text = "\n".join(lines) if lines and not bare else str(error).strip()
    text = "\n".join([text or repr(error), *getattr(error, "__notes__", ())])
    click.secho(text, fg=None if lines else "red", err=True)
