"""llama.cpp's own interface, `/completion`: the shape since 2025, and the one before it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import AliasChoices, Field

from simkit.scoring.pivot.payloads.draft import Draft, Written
from simkit.scoring.pivot.payloads.layout import Body, Entry, Family, Layout, checked
from simkit.types import shown

__all__ = ["FAMILIES"]

_ASK = "ask for n_probs=20 and post_sampling_probs=false"
_NAMES = ("completion_probabilities", "probs")
_PART = "a part of a stream; ask with stream=false, or give all its parts in order"
# What the samplers must be for the old shape's probabilities to be the model's own: it gives them
# after sampling, unless the temperature is negative.
_NEUTRAL: dict[str, tuple[float, str]] = {
    "temperature": (1, "=="), "top_k": (0, "<="), "top_p": (1, ">="), "min_p": (0, "<="),
    "typical_p": (1, ">="), "typ_p": (1, ">="), "tfs_z": (1, ">="), "repeat_penalty": (1, "=="),
    "presence_penalty": (0, "=="), "frequency_penalty": (0, "=="), "mirostat": (0, "=="),
    "xtc_probability": (0, "<="), "dry_multiplier": (0, "=="), "dynatemp_range": (0, "=="),
}  # fmt: skip
_SERVED = ("id_slot", "index", "tokens_predicted")  # beside `stop` in all that a server sends
_NEEDED = ("temperature", "top_k", "top_p", "min_p")


class Guess(Layout):
    """A token that the old shape lists, with its probability."""

    tok_str: str
    prob: Any


class Old(Layout):
    content: str
    probs: list[Guess]


class Answer(Layout):
    content: str | None = None
    places: list[dict[str, Any]] | None = Field(None, validation_alias=AliasChoices(*_NAMES))
    generation_settings: dict[str, Any] | None = None
    stop: bool = True
    stop_type: Any = None
    stopped_limit: Any = None


def _draft(value: Any, run: str) -> Draft:
    answer = checked(Answer, value, run, "llama.cpp's completion")
    if not answer.stop or ("stop" not in value and set(_SERVED) & set(value)):
        raise ValueError(f"{run}: {_PART}: the part with stop=true is missing")
    limit = answer.stop_type == "limit" or answer.stopped_limit is True
    source = next((name for name in _NAMES if name in value), _NAMES[0])
    draft = Draft(answer.content or "", "length" if limit else "stop", "content", source, _ASK)
    where, places = f"{run}: {source}", answer.places or []
    for t, place in enumerate(places):
        if "prob" in place or "top_probs" in place:
            raise ValueError(
                f"{where}[{t}]: it holds probabilities after sampling (prob, top_probs), which are "
                f"not the model's own; {_ASK}"
            )
    if any("probs" in place for place in places):
        _check_samplers(answer.generation_settings, f"{run}: generation_settings")
        draft.add([_old(place, f"{where}[{t}]", run) for t, place in enumerate(places)], where)
    else:
        entries = [
            checked(Entry, place, run, "llama.cpp's completion", f"{source}[{t}]")
            for t, place in enumerate(places)
        ]
        draft.add([entry.written() for entry in entries], where)
    return draft.fitted(run)


def _old(value: Any, where: str, run: str) -> Written:
    place = checked(Old, value, run, "llama.cpp's completion", where.removeprefix(f"{run}: "))
    top = [Written(g.tok_str, _log(g.prob, f"{where}: prob of {g.tok_str!r}")) for g in place.probs]
    own = next((other.logprob for other in top if other.token == place.content), None)
    return Written(place.content, own, top)


def _log(value: Any, name: str) -> float | None:
    """The logarithm of a probability; None of 0."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:
        raise ValueError(f"{name} is {shown(value)}; it must be a probability, from 0 to 1")
    return math.log(value) if value else None


def _check_samplers(settings: Mapping[str, Any] | None, where: str) -> None:
    """ValueError where the old shape's probabilities may not be the model's own."""
    remedy = (
        "this version of llama.cpp gives probabilities after sampling; ask with temperature=-1, "
        "or a newer version for n_probs=20 and post_sampling_probs=false"
    )
    if settings is None:
        raise ValueError(f"{where} is missing, so what the samplers changed is not known: {remedy}")
    temperature = settings.get("temperature")
    if isinstance(temperature, int | float) and temperature < 0:
        return
    for name, (neutral, how) in _NEUTRAL.items():
        if name not in settings and name not in _NEEDED:
            continue
        value = settings.get(name)
        good = isinstance(value, int | float) and {
            "==": value == neutral, "<=": value <= neutral, ">=": value >= neutral
        }[how]  # fmt: skip
        if not good:
            raise ValueError(f"{where}.{name} is {shown(value)}: {remedy}")
    if settings.get("grammar"):
        raise ValueError(f"{where}.grammar is set: {remedy}")


def _knows(body: Body) -> bool:
    if _NAMES[0] in body:
        return True
    return isinstance(body.get("content"), str) and ("stop" in body or "tokens_predicted" in body)


def _follows(body: Body, parts: Sequence[Body]) -> bool:
    if not isinstance(body.get("content"), str) or not isinstance(body.get("stop"), bool):
        return False
    if not parts:
        return body["stop"] is False
    return parts[-1].get("stop") is False and body.get("id_slot") == parts[0].get("id_slot")


def _joined(parts: Sequence[Body], run: str) -> Body:
    places: list[Any] = []
    for n, part in enumerate(parts):
        own = checked(Answer, part, run, "a part of llama.cpp's stream", f"part {n}").places
        # The last part may list all places again.
        places = places if part.get("stop") is True and own == places else places + (own or [])
    content = "".join(str(part.get("content")) for part in parts)
    return {**parts[-1], "content": content, _NAMES[0]: places}


FAMILIES = (
    Family(
        "llama.cpp",
        "llama.cpp `/completion`, both shapes",
        "`completion_probabilities[]`: `logprob`, `top_logprobs[]`, or (old) `probs[]`",
        _ASK.removeprefix("ask for "),
        _knows,
        _draft,
        hides="the old shape gives probabilities after sampling: it is read where "
        "`generation_settings` shows that the samplers changed nothing (`temperature` below 0, or "
        "all of them neutral)",
        follows=_follows,
        join=_joined,
    ),
)
