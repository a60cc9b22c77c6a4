"""The packages of the extra "training", imported when they are needed and without their notices."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from simkit.scoring.source import quiet

__all__ = ["hushed", "need"]

_TALKATIVE = ("bitsandbytes", "peft", "accelerate")


def need(name: str) -> Any:
    """The module of that name. Raises ImportError with what to install where it is missing."""
    try:
        with hushed():
            return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"fine-tuning this way needs {name}, which cannot be imported ({error}); "
            'install it with: pip install "simkit[training]"'
        ) from error


@contextmanager
def hushed() -> Iterator[None]:
    """Keep notices of these packages off stderr (any text there fails a saved notebook)."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
