"""One thread at a time on a network, and no dropout meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["evaluating"]

_TURNS: WeakKeyDictionary[Any, RLock] = WeakKeyDictionary()  # one per network
if hasattr(os, "register_at_fork"):  # a child has no thread that would give a turn back
    os.register_at_fork(after_in_child=_TURNS.clear)


@contextmanager
def evaluating(network: Any) -> Iterator[None]:
    """No dropout meanwhile (a network may come straight from training), one thread at a time.

    Threads would meet in what a pass changes on the network: classes and hooks of its layers, and
    rotation that goes by the longest text so far.
    """
    with _TURNS.setdefault(network, RLock()):
        training = network.training
        if training:
            network.eval()
        try:
            yield
        finally:
            if training:
                network.train()
