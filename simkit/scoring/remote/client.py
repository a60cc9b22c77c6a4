"""A good client: as many requests as the server bears, within a budget, and none paid twice."""

from __future__ import annotations

import json
import os
import random
import re
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
)
from tenacity.wait import wait_exponential
from tqdm import tqdm

from simkit.scoring.remote.costs import BudgetError, Spent, check_price, expected, usage
from simkit.scoring.remote.pace import Pace, Stopped
from simkit.store import Store, key
from simkit.types import integer, scalar, shown

__all__ = ["Client", "Garbled", "NotSent", "ServerError"]

T = TypeVar("T")
FORMAT = 1  # of keys and values in a store: rows of another number are never met
AGAIN = (408, 409, 425, 429)  # a later try may succeed, as with 5xx
NEVER = (501, 505)  # what the server cannot do at all
TOO_MUCH = (429, 503, 529)  # fewer requests at once
LONGEST = 300.0  # seconds that a server may ask to wait for
FREE = ("/tokenize", "/detokenize")  # paths that read no tokens with the model
SHOWN = 300  # characters of an answer that an error quotes


class ServerError(RuntimeError):
    """The server did not answer, or not with what was asked for, after all tries.

    Attributes
    ----------
    status, said : of an answer that refuses, its number and its text; 0 and "" for others.
    """

    def __init__(self, text: str, status: int = 0, said: str = "") -> None:
        super().__init__(text)
        self.status, self.said = status, said


class Garbled(ValueError):
    """An answer that is not what was asked for; it is asked for again."""


class NotSent(Exception):
    """A client that counts would have sent these requests; see `Client.counted`."""


class _Later(Exception):
    """A failure that another try may mend; `wait` is what the server asked for, in seconds."""

    def __init__(self, text: str, wait: float = 0) -> None:
        super().__init__(text)
        self.wait = wait


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
        Requests that are under way at once, at most: after "too many" they are halved, and grow
        again with the answers.
    seconds : float
        An answer that takes longer counts as failed.
    tries : int
        Of each request, with growing pauses, or those that the server asks for.
    requests_per_minute, tokens_per_minute : float, optional
        The server's limits; requests are spread over the minute. Tokens are those read and those
        that may be written.
    most_requests, most_tokens, most_cost : optional
        A budget for the client's life: a request that might exceed it is not sent, and an error
        says so.
    price : (float, float), optional
        For a million tokens read and a million written, in the money of `most_cost`.

    Attributes
    ----------
    spent : what was used so far.
    store, identity : where answers are kept, and what they depend on besides the request.
    counted : where it is set, requests that cost tokens are counted there and not sent.
    again : above 0 where requests are repeats, which the store keeps apart from the first.
    """

    address: str
    key_from: str = "OPENAI_API_KEY"
    workers: int = 8
    seconds: float = 120.0
    tries: int = 6
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    most_requests: int | None = None
    most_tokens: int | None = None
    most_cost: float | None = None
    price: tuple[float, float] | None = None
    store: Store | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    counted: Spent | None = None
    again: int = 0

    def __post_init__(self) -> None:
        if not re.match(r"https?://[^/\s]+", self.address):
            raise ValueError(f"address is {self.address!r}; it must begin with http:// or https://")
        if "@" in self.address.split("/")[2]:  # it would be shown in errors and records
            raise ValueError(
                "address holds a name or password; keys are taken from the environment: key_from"
            )
        self.address = self.address.rstrip("/").removesuffix("/v1")
        integer(self.workers, "workers", 1)
        integer(self.tries, "tries", 1)
        scalar(self.seconds, "seconds", 0.001)
        for name in ("requests_per_minute", "tokens_per_minute"):
            if getattr(self, name) is not None:
                scalar(getattr(self, name), name, 0.001)
        for name in ("most_requests", "most_tokens", "most_cost"):
            if getattr(self, name) is not None:
                scalar(getattr(self, name), name, 0)
        self.price = check_price(self.price)
        if self.most_cost is not None and self.price is None:
            raise ValueError(
                "most_cost needs price=(read, written), the money for a million tokens read and a "
                "million written; simkit knows no prices"
            )
        self.spent = Spent(price=self.price)
        self._open = Spent()  # what requests under way may still cost
        self._lock = threading.Lock()
        self.pace = Pace(self.workers, self.requests_per_minute, self.tokens_per_minute)
        limits = httpx.Limits(max_connections=self.workers)
        # Redirects are not followed: they would carry the key to where nobody meant to send it.
        self._http = httpx.Client(timeout=self.seconds, limits=limits, follow_redirects=False)
        weakref.finalize(self, self._http.close)

    def get(self, path: str) -> Any:
        """The JSON at a path; ServerError if there is none."""
        return self._ask("GET", path, None, lambda body: body, threading.Event())[0]

    def post(self, path: str, body: Mapping[str, Any], read: Callable[[Any], T]) -> T:
        """What `read` makes of the answer; where it raises `Garbled`, the server is asked again."""
        return self.map(path, [body], lambda _, answer: read(answer))[0]

    def map(
        self,
        path: str,
        bodies: Sequence[Mapping[str, Any]],
        read: Callable[[int, Any], T],
        rows: Sequence[int] | None = None,
    ) -> list[T]:
        """`post` for many bodies at once; `read` gets the place and the answer.

        Answers come in the order of the bodies. What is in the store is not asked for, and what
        `read` took is kept as it arrives. At the first error, and at an interrupt, no further
        request is sent; those under way are waited for and kept. Equal bodies are draws of their
        own. `rows` are the rows of the user that the bodies are about, for errors.
        """
        names = self._names(path, bodies)
        done = self._kept(names, read)
        waiting = [i for i in range(len(bodies)) if i not in done]
        if waiting and self.counted is not None and path not in FREE:
            for i in waiting:
                self.counted.requests += 1
                self.counted.add(*expected(bodies[i]))
            raise NotSent
        stop, arrived = threading.Event(), threading.Event()
        answers: list[tuple[int, T, str]] = []  # as they arrive
        errors: list[tuple[int, BaseException]] = []

        def one(i: int) -> None:
            try:
                value, text = self._ask(
                    "POST", path, bodies[i], lambda answer: read(i, answer), stop
                )
                answers.append((i, value, text))
            except Stopped:
                pass
            except BaseException as error:
                stop.set()
                errors.append((i, error))
            finally:
                arrived.set()

        taken = 0  # of the answers, with all that is to be done: an interrupt loses none

        def take() -> None:
            nonlocal taken
            new = answers[taken:]
            if self.store is not None and names:
                self.store.put_many({names[i]: text.encode() for i, _, text in new})
            done.update((i, value) for i, value, _ in new)
            taken += len(new)

        pool = ThreadPoolExecutor(min(self.workers, max(1, len(waiting))))
        try:
            with _bar(len(bodies), len(done)) as bar:
                for i in waiting:
                    pool.submit(one, i)
                while len(done) < len(bodies) and not errors:
                    arrived.wait(1.0)
                    arrived.clear()
                    take()
                    bar.set_postfix_str(self._so_far(), refresh=False)
                    bar.update(len(done) - bar.n)
        finally:
            stop.set()
            try:
                pool.shutdown(wait=True, cancel_futures=True)
            finally:  # also where a second interrupt ends the waiting
                take()
        if errors:
            place, error = errors[0]
            if rows is not None and isinstance(error, ServerError):
                error = ServerError(f"row {rows[place]}: {error}", error.status, error.said)
            raise error
        return [done[i] for i in range(len(bodies))]

    def _names(self, path: str, bodies: Sequence[Mapping[str, Any]]) -> list[bytes]:
        """Keys in the store: of what was asked, of whom, and for the how-manieth time."""
        if self.store is None:
            return []
        model = key(**self.identity).hex()
        plain = [key(format=FORMAT, path=path, body=body, model=model).hex() for body in bodies]
        seen: Counter[str] = Counter()
        names = []
        for name in plain:
            again = {"again": self.again} if self.again else {}
            names.append(key(kind="answer", request=name, draw=seen[name], **again))
            seen[name] += 1
        return names

    def _kept(self, names: Sequence[bytes], read: Callable[[int, Any], T]) -> dict[int, T]:
        """What `read` makes of the answers in the store, by place."""
        done: dict[int, T] = {}
        values = self.store.get_many(names) if self.store is not None else {}
        for i, name in enumerate(names):
            if name in values:
                try:
                    done[i] = read(i, json.loads(values[name]))
                except _SHAPES:  # of a simkit that read it otherwise: it is asked for again
                    continue
        self.spent.kept += len(done)
        if self.counted is not None:
            self.counted.kept += len(done)
        return done

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        read: Callable[[Any], T],
        stop: threading.Event,
    ) -> tuple[T, str]:
        """What `read` makes of the answer, and its text."""

        def pause(seconds: float) -> None:  # until something stops it
            stop.wait(seconds)

        try:
            for attempt in Retrying(
                retry=retry_if_exception_type(_Later),
                stop=stop_after_attempt(self.tries),
                wait=_pause,
                sleep=pause,
                reraise=True,
            ):
                with attempt:
                    return self._once(method, path, body, read, stop)
        except _Later as error:
            raise ServerError(f"{self.address}{path}: {error} ({self.tries} tries)") from None
        raise AssertionError("unreachable")

    def _once(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        read: Callable[[Any], T],
        stop: threading.Event,
    ) -> tuple[T, str]:
        most = expected(body or {})
        with self.pace.turn(most[0] + most[1], stop) as began:
            secret = self._secret()
            self._reserve(*most[:2])
            used: tuple[int, int] | None = most[:2]  # a cut connection may be paid for
            try:
                try:
                    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
                    answer = self._http.request(
                        method, self.address + path, json=body, headers=headers
                    )
                    text = answer.text
                except (httpx.TransportError, httpx.DecodingError, UnicodeDecodeError) as error:
                    raise self._unanswered(error) from None
                used = (0, 0) if answer.status_code >= 300 else None
                self._check(path, answer, text, secret, began)
                try:
                    content = answer.json()
                except ValueError:
                    used = most[:2]
                    raise self._failed(f"no JSON: {_quoted(text, secret)}") from None
                used = usage(content)
                try:
                    found = read(content)
                except Garbled as error:
                    raise self._failed(str(error)) from None
                except _SHAPES as error:  # of another shape
                    raise self._failed(f"an answer of another shape ({error!r})") from None
            finally:
                self._settle(most, used, guessed=most[2] and path not in FREE)
        self.pace.faster()
        return found, text

    def _secret(self) -> str:
        secret = os.environ.get(self.key_from, "").strip()
        if not re.fullmatch(r"[!-~]*", secret):
            raise ServerError(
                f"the environment variable {self.key_from} holds no key: blanks or letters that no "
                "key has; set it anew"
            )
        return secret

    def _check(
        self, path: str, answer: httpx.Response, text: str, secret: str, began: float
    ) -> None:
        """Errors for a status that is none of success."""
        status = answer.status_code
        text = text.replace(secret, "***") if secret else text
        said = f"status {status}: {_quoted(text, secret)}"
        if status in AGAIN or (status >= 500 and status not in NEVER):
            wait = _wait_of(answer.headers.get("retry-after"))
            if wait > LONGEST:
                self._failed(said)
                raise ServerError(
                    f"{self.address}{path}: {said}; the server asks to come back in {wait:,.0f} s. "
                    f"{self._go_on()}",
                    status,
                    text,
                )
            if status in TOO_MUCH:
                self.pace.slower(began, wait)
            raise self._failed(said, wait)
        if 300 <= status < 400:
            place = _quoted(answer.headers.get("location", ""), secret)
            raise ServerError(
                f"{self.address}{path}: the server redirects to {place}, which is not followed, "
                "since the key would go along; give the address where the server is"
            )
        if status >= 400:
            raise ServerError(f"{self.address}{path}: {said}", status, text)

    def _reserve(self, read: int, written: int) -> None:
        """Counts a request before it is sent; BudgetError where it might cost too much."""
        with self._lock:
            would = self.spent.plus(read + self._open.read, written + self._open.written)
            for name in ("requests", "tokens", "cost"):
                most = getattr(self, f"most_{name}")
                if most is not None and getattr(would, name) > most:
                    raise BudgetError(
                        f"the budget most_{name}={most:,} is spent, or the next request might "
                        f"exceed it. So far: {self.spent}. {self._go_on()} with a larger "
                        f"most_{name}"
                    )
            self.spent.requests += 1
            self._open.add(read, written)

    def _settle(
        self, most: tuple[int, int, bool], used: tuple[int, int] | None, guessed: bool
    ) -> None:
        """Puts what a request cost in the place of what it might."""
        with self._lock:
            self._open.add(-most[0], -most[1])
            self.spent.add(*(used or most[:2]), used is None and guessed)

    def _go_on(self) -> str:
        if self.store is None:
            return "Nothing of it is kept: load the model with cache=FILE, and start again"
        return f"What was answered is kept in {self.store.path}: to go on, run the same again"

    def _so_far(self) -> str:
        money = f", {self.spent.cost:.4g} in money" if self.price else ""
        return f"{self.spent.tokens:,} tokens{money}"

    def _unanswered(self, error: Exception) -> _Later:
        """A connection that failed; ServerError where it always will."""
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            self._failed("")
            raise ServerError(
                f"{self.address}: the server's certificate cannot be verified; if it is your own, "
                "name its authority in the environment variable SSL_CERT_FILE"
            )
        return self._failed(f"no answer: {type(error).__name__}")

    def _failed(self, text: str, wait: float = 0) -> _Later:
        with self._lock:
            self.spent.failed += 1
        return _Later(text, wait)


_JITTER = random.Random()  # the user's own random state stays as it is
_SHAPES = (Garbled, AttributeError, IndexError, KeyError, TypeError)


def _bar(of: int, done: int) -> Any:
    """Of requests, on a terminal and only for what takes longer than a second."""
    return tqdm(total=of, initial=done, unit=" requests", disable=None, leave=False, delay=1,
                file=sys.stderr)  # fmt: skip


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait if isinstance(error, _Later) else 0.0
    if asked:
        return asked * _JITTER.uniform(1.0, 1.1)  # not all at the same moment
    return float(wait_exponential(multiplier=0.1, max=30)(state)) + _JITTER.uniform(0.0, 0.2)


def _wait_of(header: str | None) -> float:
    """Seconds of a Retry-After header, a number or a date; 0 for none."""
    try:
        wait = float(header or 0)
    except ValueError:
        try:
            wait = parsedate_to_datetime(str(header)).timestamp() - time.time()
        except (TypeError, ValueError):
            return 0.0
    return max(wait, 0.0) if wait == wait else 0.0


def _quoted(text: str, secret: str) -> str:
    """The start of an answer, in which no key is shown."""
    return shown(text.replace(secret, "***")[:SHOWN] if secret else text[:SHOWN])
