"""SGLang's own interface, `/generate`: lists of [log-probability, id, text]."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from simkit.scoring.pivot.payloads.draft import Draft, Written
from simkit.scoring.pivot.payloads.layout import Family, Layout, checked
from simkit.types import shown

__all__ = ["FAMILIES"]

_ASK = "ask for return_logprob=true, top_logprobs_num=20 and return_text_in_logprobs=true"
Triple = Annotated[list[Any], Field(min_length=3, max_length=3)]


class Meta(Layout):
    finish_reason: dict[str, Any] | str | None = None
    output_token_logprobs: list[Triple] | None = None
    output_top_logprobs: list[list[Triple] | None] | None = None


class Answer(Layout):
    text: str | None = None
    meta_info: Meta


def _draft(value: Any, run: str) -> Draft:
    answer = checked(Answer, value, run, "SGLang's answer")
    meta = answer.meta_info
    reason = meta.finish_reason
    if not reason:
        raise ValueError(
            f"{run}: meta_info.finish_reason is missing, so it is a part of a stream; ask with "
            "stream=false"
        )
    finish = str(reason.get("type") or "") if isinstance(reason, dict) else reason
    source = "meta_info.output_token_logprobs"
    draft = Draft(answer.text or "", finish, "text", source, _ASK, "meta_info.output_top_logprobs")
    tokens = meta.output_token_logprobs or []
    tops = meta.output_top_logprobs or [None] * len(tokens)
    if len(tokens) != len(tops):
        raise ValueError(
            f"{run}: meta_info: {len(tokens)} output_token_logprobs and {len(tops)} "
            f"output_top_logprobs differ in length; {_ASK}"
        )
    written = []
    for t, (token, top) in enumerate(zip(tokens, tops, strict=True)):
        place = f"{run}: {source}[{t}]"
        listed = None if top is None else [_written(other, place) for other in top]
        written.append(_written(token, place, listed))
    draft.add(written, f"{run}: {source}")
    return draft.fitted(run)


def _written(triple: list[Any], where: str, top: list[Written] | None = None) -> Written:
    logprob, token_id, text = triple
    if not isinstance(text, str):
        raise ValueError(f"{where}: the text of token {shown(token_id)} is {shown(text)}; {_ASK}")
    return Written(text, logprob, top)


FAMILIES = (
    Family(
        "SGLang",
        "SGLang `/generate`",
        "`meta_info.output_token_logprobs[]`, `output_top_logprobs[][]`",
        _ASK.removeprefix("ask for "),
        lambda body: "meta_info" in body,
        _draft,
        hides="log-probabilities are at the run's temperature: ask with `temperature=1`; streams "
        "are not read; nor are log-probabilities of the prompt",
    ),
)
