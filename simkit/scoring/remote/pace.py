"""How fast a server is asked: as many requests at once as it bears, within its limits a minute."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Pace", "Stopped"]

LOOK = 0.1  # seconds after which one who waits looks whether all was stopped


class Stopped(Exception):
    """Another request failed, or the user interrupted: nothing more is sent."""


class Pace:
    """Turns for requests.

    Additive increase, multiplicative decrease, as in TCP (Chiu and Jain 1989): where the server
    says that it is too much, half as many requests are under way at once; with each round of
    answers one more, up to `workers`. Each request takes its share of a minute, by its number or
    its tokens, whichever is longer, and the next begins after it.

    Attributes
    ----------
    allowed : requests that may be under way at once.
    """

    def __init__(self, workers: int, requests: float | None, tokens: float | None) -> None:
        self.workers, self.allowed = workers, float(workers)
        self._requests, self._tokens = requests, tokens  # a minute
        self._turn = threading.Condition()
        self._under_way = 0
        self._next = self._slowed = 0.0  # when the next may begin; when it was slowed down last

    @contextmanager
    def turn(self, tokens: int, stop: threading.Event) -> Iterator[float]:
        """Waits for a turn and gives the time; `Stopped` if there will be none."""
        share = 60 / self._requests if self._requests else 0.0
        share = max(share, 60 * tokens / self._tokens if self._tokens else 0.0)
        with self._turn:
            while True:
                if stop.is_set():
                    raise Stopped
                now = time.monotonic()
                if now >= self._next and self._under_way < int(self.allowed):
                    break
                self._turn.wait(min(LOOK, max(self._next - now, 0.0)) or LOOK)
            self._under_way += 1
            self._next = now + share
        try:
            yield now
        finally:
            with self._turn:
                self._under_way -= 1
                self._turn.notify()

    def faster(self) -> None:
        """After an answer: one more at once for each round of answers."""
        with self._turn:
            self.allowed = min(float(self.workers), self.allowed + 1 / self.allowed)

    def slower(self, began: float, wait: float) -> None:
        """After "too many": half as many at once, none of them for `wait` seconds.

        Requests that were under way together are slowed down for once.
        """
        with self._turn:
            now = time.monotonic()
            if began >= self._slowed:
                self.allowed, self._slowed = max(1.0, self.allowed / 2), now
            self._next = max(self._next, now + wait)
