"""What was asked of a server and answered, written into a file as it comes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["Recorder"]

T = TypeVar("T")


@dataclass(eq=False)
class Recorder:
    """A client that writes each request with its answer into a file, a line of JSON each.

    Only what was asked and answered is written: no address, no header, no key.
    """

    client: Any
    file: Path
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def map(
        self, path: str, bodies: Sequence[Mapping[str, Any]], read: Callable[[int, Any], T],
        **more: Any,
    ) -> list[T]:  # fmt: skip
        """As the client's; an answer that is sent back as garbled is not written."""

        def kept(j: int, content: Any) -> T:
            found = read(j, content)
            line = json.dumps({"request": bodies[j], "response": content}, ensure_ascii=False)
            with self._lock, self.file.open("a", encoding="utf-8") as out:
                out.write(line + "\n")
            return found

        done: list[T] = self.client.map(path, bodies, kept, **more)
        return done
