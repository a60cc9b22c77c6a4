"""A good client: many requests at once, waits where it is told to, pays for nothing twice."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_exponential_jitter

from simkit.types import integer, scalar, shown

__all__ = ["Client", "Garbled", "ServerError"]

T = TypeVar("T")
AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)  # a later try may succeed
SHOWN = 300  # characters of an answer that an error quotes


class ServerError(RuntimeError):
    """The server did not answer, or not with what was asked for, after all tries.

    Attributes
    ----------
    place : of the request in `Client.map`; None for a request of its own.
    """

    place: int | None = None


class _Stopped(ServerError):
    """A request that was not sent, for another one failed."""


class Garbled(ValueError):
    """An answer that is not what was asked for; it is asked for again."""


class _Later(Exception):
    """A failure that another try may mend; `wait` is what the server asked for, in seconds."""

    def __init__(self, text: str, wait: float = 0) -> None:
        super().__init__(text)
        self.wait = wait


@dataclass
class Spent:
    """What a client used so far: requests answered, tries that failed, tokens read and written."""

    requests: int = 0
    failed: int = 0
    read: int = 0
    written: int = 0


@dataclass(eq=False)
class Client:
    """Requests to one server.

    Parameters
    ----------
    address : str
        "http://127.0.0.1:8000/v1" or without "/v1".
    key_from : str
        The environment variable that holds the key; it is read at each request and kept nowhere.
        Without it no key is sent.
    workers : int
        Requests that wait at the same time.
    seconds : float
        An answer that takes longer counts as failed.
    tries : int
        Of each request, with growing pauses, or those that the server asks for.
    most_requests : int, optional
        More are refused: a budget for the client's life.

    Attributes
    ----------
    spent : what was used so far.
    """

    address: str
    key_from: str = "OPENAI_API_KEY"
    workers: int = 4
    seconds: float = 120.0
    tries: int = 6
    most_requests: int | None = None
    spent: Spent = field(default_factory=Spent)

    def __post_init__(self) -> None:
        if not re.match(r"https?://[^/\s]+", self.address):
            raise ValueError(f"address is {self.address!r}; it must begin with http:// or https://")
        self.address = self.address.rstrip("/").removesuffix("/v1")
        integer(self.workers, "workers", 1)
        integer(self.tries, "tries", 1)
        scalar(self.seconds, "seconds", 0.001)
        self._lock = threading.Lock()
        limits = httpx.Limits(max_connections=self.workers)
        self._http = httpx.Client(timeout=self.seconds, limits=limits)

    def get(self, path: str) -> Any:
        """The JSON at a path; ServerError if there is none."""
        return self._ask("GET", path, None, lambda body: body)

    def post(self, path: str, body: Mapping[str, Any], read: Callable[[Any], T]) -> T:
        """What `read` makes of the answer; where it raises `Garbled`, the server is asked again."""
        return self._ask("POST", path, body, read)

    def map(
        self, path: str, bodies: Sequence[Mapping[str, Any]], read: Callable[[int, Any], T]
    ) -> list[T]:
        """`post` for many bodies at once; `read` gets the place and the answer.

        Answers come in the order of the bodies. At the first error, and at an interrupt, no
        further request is sent.
        """
        stop = threading.Event()

        def one(i: int) -> T:
            if stop.is_set():
                raise _Stopped("not sent, for another request failed")
            try:
                return self.post(path, bodies[i], lambda answer: read(i, answer))
            except BaseException as error:
                if isinstance(error, ServerError):
                    error.place = i
                stop.set()
                raise

        with ThreadPoolExecutor(self.workers) as pool:
            futures = [pool.submit(one, i) for i in range(len(bodies))]
            try:
                return [future.result() for future in futures]
            except BaseException as error:
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                if isinstance(error, _Stopped):  # the cause is further down the list
                    done = [f.exception() for f in futures if f.done() and not f.cancelled()]
                    error = next(e for e in done if e and not isinstance(e, _Stopped))
                raise error from None

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None, read: Callable[[Any], T]
    ) -> T:
        try:
            for attempt in Retrying(
                retry=retry_if_exception_type(_Later),
                stop=stop_after_attempt(self.tries),
                wait=_pause,
                reraise=True,
            ):
                with attempt:
                    return self._once(method, path, body, read)
        except _Later as error:
            raise ServerError(f"{self.address}{path}: {error} ({self.tries} tries)") from None
        raise AssertionError("unreachable")

    def _once(
        self, method: str, path: str, body: Mapping[str, Any] | None, read: Callable[[Any], T]
    ) -> T:
        with self._lock:
            if self.most_requests is not None and self.spent.requests >= self.most_requests:
                raise ServerError(
                    f"the budget of {self.most_requests:,} requests is spent; what was answered is "
                    "in the cache, if there is one"
                )
            self.spent.requests += 1
        key = os.environ.get(self.key_from, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            answer = self._http.request(method, self.address + path, json=body, headers=headers)
            text = answer.text
        except (httpx.TransportError, httpx.DecodingError, UnicodeDecodeError) as error:
            raise self._failed(f"no answer: {type(error).__name__}") from None
        if answer.status_code in AGAIN:
            said = f"status {answer.status_code}: {_quoted(text, key)}"
            raise self._failed(said, _wait_of(answer.headers.get("retry-after")))
        if answer.status_code >= 400:
            said = f"{self.address}{path}: status {answer.status_code}: {_quoted(text, key)}"
            raise ServerError(said)
        try:
            content = answer.json()
        except ValueError:
            raise self._failed(f"no JSON: {_quoted(text, key)}") from None
        try:
            return read(content)
        except Garbled as error:
            raise self._failed(str(error)) from None
        except (AttributeError, IndexError, KeyError, TypeError) as error:  # of another shape
            raise self._failed(f"an answer of another shape ({error!r})") from None

    def _failed(self, text: str, wait: float = 0) -> _Later:
        with self._lock:
            self.spent.failed += 1
        return _Later(text, wait)


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait if isinstance(error, _Later) else 0.0
    return asked or float(wait_exponential_jitter(multiplier=0.1, max=30, jitter=0.2)(state))


def _wait_of(header: str | None) -> float:
    """Seconds of a Retry-After header; 0 for none, or a date."""
    try:
        return min(max(float(header or 0), 0.0), 120.0)
    except ValueError:
        return 0.0


def _quoted(text: str, key: str) -> str:
    """The start of an answer, in which no key is shown."""
    return shown(text.replace(key, "***")[:SHOWN] if key else text[:SHOWN])
