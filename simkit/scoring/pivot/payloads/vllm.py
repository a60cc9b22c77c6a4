"""vLLM's `prompt_logprobs` alone: of a prompt that holds its answer, nothing generated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simkit.scoring.pivot.payloads.draft import Draft, Written
from simkit.scoring.pivot.payloads.layout import Body, Family, Layout, checked
from simkit.scoring.pivot.payloads.openai import first_choice

__all__ = ["FAMILIES"]

_ASK = "ask for prompt_logprobs=20 and echo=true"


class Token(Layout):
    logprob: Any
    rank: int | None = None
    decoded_token: str


class Answer(Layout):
    prompt_logprobs: list[dict[str | int, Token] | None]
    prompt_token_ids: list[int] | None = None
    text: str | None = None


def _runs(body: Body) -> Sequence[Any]:
    """The choices of completions; of a chat, whose prompt stands beside them, the body."""
    if body.get("prompt_logprobs") is not None:
        return [{**body, "text": None}]
    return list(body["choices"])


def _draft(value: Any, run: str) -> Draft:
    """The whole prompt but its first token, of which there is neither text nor number."""
    answer = checked(Answer, value, run, "vLLM's prompt_logprobs")
    ids, written = answer.prompt_token_ids, []
    sizes: list[tuple[int | None, int]] = []
    if ids is not None and len(ids) != len(answer.prompt_logprobs):
        raise ValueError(f"{run}: prompt_logprobs and prompt_token_ids differ in length; {_ASK}")
    for t, listed in enumerate(answer.prompt_logprobs):
        if not t:
            continue
        where = f"{run}: prompt_logprobs[{t}]"
        if not listed:
            raise ValueError(f"{where} is missing or empty; {_ASK}")
        own = _own(
            {str(k): v for k, v in listed.items()}, None if ids is None else str(ids[t]), where
        )
        top = [Written(token.decoded_token, token.logprob) for token in listed.values()]
        written.append(Written(own.decoded_token, own.logprob, top))
        sizes.append((own.rank, len(listed)))
    _check_sizes(sizes, run)
    text = "".join(token.token for token in written)
    echoed = bool(text) and text in (answer.text or "")
    if not echoed and len(written) > 1 and not any(t.token[:1].isspace() for t in written):
        raise ValueError(
            f"{run}: prompt_logprobs: no token begins with a blank, so the server left them out; "
            "ask for logprobs=20 with echo=true and max_tokens=1 instead"
        )
    draft = Draft(text, "prompt", "decoded_token", "prompt_logprobs", _ASK)
    draft.add(written, f"{run}: prompt_logprobs")
    return draft.fitted(run)


def _own(listed: Mapping[str, Token], known: str | None, where: str) -> Token:
    """The prompt's own token: by its id, else the first, behind which the likeliest are in order.

    The first may be one of the likeliest too; then its rank is left out behind it.
    """
    if known is not None:
        if known not in listed:
            raise ValueError(f"{where}: the prompt's token {known} is not listed; {_ASK}")
        return listed[known]
    first, *others = listed.values()
    ranks = [token.rank for token in others]
    due = [rank for rank in range(1, len(listed) + 1) if rank != first.rank][: len(others)]
    if first.rank is None or ranks != due:
        raise ValueError(
            f"{where}: which token the prompt holds is not certain, as the ranks are "
            f"{[first.rank, *ranks]}; keep the fields in the server's order, or ask for "
            "return_token_ids=true"
        )
    return first


def _check_sizes(sizes: Sequence[tuple[int | None, int]], run: str) -> None:
    """ValueError where a place lists fewer than k tokens, and one more if its own is not of them.

    sizes : of each place the rank of its own token and the number of tokens listed.
    """
    known = [(t, rank, n) for t, (rank, n) in enumerate(sizes, 1) if rank is not None]
    k = max((n if rank <= n else n - 1 for _, rank, n in known), default=0)
    for t, rank, n in known:
        if n != (k if rank <= k else k + 1):
            raise ValueError(
                f"{run}: prompt_logprobs[{t}]: {n} tokens are listed, where others list {k} and "
                f"the prompt's own; {_ASK}"
            )


def _knows(body: Body) -> bool:
    choice = first_choice(body)
    prompt = body.get("prompt_logprobs") if "message" in choice else choice.get("prompt_logprobs")
    return prompt is not None and not choice.get("logprobs")


FAMILIES = (
    Family(
        "vLLM's prompt",
        "vLLM `/v1/completions`, `/v1/chat/completions` with `prompt_logprobs` and no `logprobs`",
        "`prompt_logprobs[]`: by token id `logprob`, `rank`, `decoded_token`",
        _ASK.removeprefix("ask for "),
        _knows,
        _draft,
        _runs,
        hides="the run is the prompt (question and answer) without its first token, of which "
        "nothing is said; where the answer begins is found by `find_pivots(…, anchors=…)`; what "
        "was generated behind it has no log-probabilities and is left out; the order of the fields "
        "says which token is the prompt's, unless `prompt_token_ids` is there",
    ),
)
