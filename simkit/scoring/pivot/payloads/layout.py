"""What the families of interfaces have in common: strict in what is needed, lenient in the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from simkit.scoring.pivot.payloads.draft import Draft, Written

__all__ = ["Body", "Entry", "Family", "Layout", "checked", "one_run"]

Body = Mapping[str, Any]


class Layout(BaseModel):
    """A part of a response; fields that it does not name are ignored."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class Other(Layout):
    """A token that is listed. A log-probability may be null, but must be there."""

    token: Any = None
    bytes: Any = None
    logprob: Any

    def written(self) -> Written:
        return Written(self.token, self.logprob, None, self.bytes)


class Entry(Other):
    """A token that was written, as OpenAI's chats and most servers say it."""

    top_logprobs: list[Other] | None = None

    def written(self) -> Written:
        others = self.top_logprobs
        top = None if others is None else [other.written() for other in others]
        return Written(self.token, self.logprob, top, self.bytes)


Model = TypeVar("Model", bound=Layout)


def checked(model: type[Model], value: Any, run: str, kind: str, under: str = "") -> Model:
    """The value as a layout; ValueError with run and field where it is not one.

    under : the field that holds the value.
    """
    try:
        return model.model_validate(dict(value) if isinstance(value, Mapping) else value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = under
        for step in first["loc"]:
            field += f"[{step}]" if isinstance(step, int) else f".{step}" if field else str(step)
        said = first["msg"][:1].lower() + first["msg"][1:]
        said = "it is missing" if first["type"] == "missing" else said
        where = f"{field}: " if field else ""
        raise ValueError(f"{run}: it is not laid out as {kind}: {where}{said}") from None


def one_run(body: Body) -> list[Any]:
    """For interfaces whose response is one run."""
    return [body]


def _never(body: Body, parts: Sequence[Body]) -> bool:
    return False


def _whole(parts: Sequence[Body], run: str) -> Body:
    return parts[-1]


@dataclass(frozen=True)
class Family:
    """An interface, and how its responses are read.

    Attributes
    ----------
    name : as errors and the documentation call it.
    calls : the calls that answer so. fields : where the log-probabilities stand.
    ask : what to ask the server for. hides : what its record does not say.
    knows : whether a response is of this interface, by its fields. It must not raise.
    runs : the parts of the response that are a run each.
    draft : of such a part, and of what errors call it, the run.
    follows : whether a response is a part of a stream that goes on with the parts before it, or
        begins a stream if there are none. It must not raise.
    join : of all parts of a stream, the response that they are together.
    """

    name: str
    calls: str
    fields: str
    ask: str
    knows: Callable[[Body], bool]
    draft: Callable[[Any, str], Draft]
    runs: Callable[[Body], Sequence[Any]] = one_run
    hides: str = ""
    follows: Callable[[Body, Sequence[Body]], bool] = _never
    join: Callable[[Sequence[Body], str], Body] = _whole

    @property
    def streams(self) -> bool:
        """Whether parts of a stream are put together."""
        return self.follows is not _never
