"""Text Generation Inference's own interface, `/generate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simkit.scoring.pivot.payloads.draft import Draft, Written
from simkit.scoring.pivot.payloads.layout import Body, Family, Layout, checked

__all__ = ["FAMILIES"]

_ASK = "ask for details=true and top_n_tokens=5"
_FINISH = {"eos_token": "stop", "stop_sequence": "stop"}
_PART = "a part of a stream; ask with stream=false, or give all its parts in order"


class Token(Layout):
    id: int
    text: str
    logprob: Any


class Details(Layout):
    finish_reason: str | None = None
    tokens: list[Token] | None = None
    top_tokens: list[list[Token]] | None = None


class Answer(Layout):
    generated_text: str | None
    details: Details | None = None


def _draft(value: Any, run: str) -> Draft:
    answer = checked(Answer, value, run, "Text Generation Inference's answer")
    details = answer.details or Details()
    finish = details.finish_reason or ""
    finish = _FINISH.get(finish, finish)
    text = answer.generated_text or ""
    draft = Draft(text, finish, "generated_text", "details.tokens", _ASK, "details.top_tokens")
    tokens, tops = details.tokens or [], details.top_tokens
    if tops and len(tops) != len(tokens):
        raise ValueError(
            f"{run}: details: {len(tokens)} tokens and {len(tops)} top_tokens differ in length; "
            f"{_ASK}"
        )
    written = []
    for t, token in enumerate(tokens):
        top = tops[t] if tops else None
        _check(token, top or [], f"{run}: details.top_tokens[{t}]")
        listed = None if top is None else [Written(other.text, other.logprob) for other in top]
        written.append(Written(token.text, token.logprob, listed))
    draft.add(written, f"{run}: details.tokens")
    return draft.fitted(run)


def _check(token: Token, top: Sequence[Token], where: str) -> None:
    """ValueError for blanks that are left out, and for probabilities after a cut."""
    for other in top:
        if other.id == token.id and other.text != token.text:
            raise ValueError(
                f"{where}: token {token.id} is {other.text!r} here and {token.text!r} among the "
                "tokens, so the server left blanks out; ask through /v1/chat/completions"
            )
    for other in (token, *top):
        if other.logprob is None:
            raise ValueError(
                f"{where}: the logprob of {other.text!r} is null, so top_k, top_p or a grammar cut "
                "it off and the others are not the model's own; ask with do_sample=false and "
                "without these"
            )


def _token(body: Body) -> Any:
    """The token of a part of a stream, and None for anything else."""
    return body.get("token") if "index" in body or "generated_text" in body else None


def _knows(body: Body) -> bool:
    return "generated_text" in body


def _follows(body: Body, parts: Sequence[Body]) -> bool:
    if not isinstance(_token(body), dict):
        return False
    return not parts or parts[-1].get("generated_text") is None


def _joined(parts: Sequence[Body], run: str) -> Body:
    if parts[-1].get("generated_text") is None:
        raise ValueError(f"{run}: {_PART}: the part with generated_text is missing")
    last = parts[-1].get("details")
    tops = [part.get("top_tokens") for part in parts]
    details = {
        "finish_reason": last.get("finish_reason") if isinstance(last, dict) else None,
        "tokens": [part["token"] for part in parts],
        "top_tokens": tops if any(tops) else None,
    }
    return {"generated_text": parts[-1]["generated_text"], "details": details}


FAMILIES = (
    Family(
        "TGI",
        "Hugging Face's Text Generation Inference `/generate`",
        "`details.tokens[]`, `details.top_tokens[][]`",
        _ASK.removeprefix("ask for "),
        _knows,
        _draft,
        hides="log-probabilities are after the samplers: ask with `do_sample=false` and without "
        "`temperature`, `top_k`, `top_p` and penalties",
        follows=_follows,
        join=_joined,
    ),
)
