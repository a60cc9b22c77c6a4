"""llama.cpp's own server: exact log-probabilities, by grammars that force an option's tokens."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from simkit.scoring.remote.client import Client, Garbled, ServerError
from simkit.scoring.remote.ids import Asked, ByIds, Ids, Places, number, total
from simkit.scoring.remote.template import ServerTemplate

__all__ = ["LlamaCpp"]

LISTED = 40  # tokens whose log-probabilities are asked for at each place
# As the model has it: no choice among its tokens before their probabilities are told.
PLAIN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "cache_prompt": True}


@dataclass(eq=False)
class LlamaCpp(ByIds):
    """Scoring by `/completion`; one request scores all options that its lists hold.

    An option is forced by a grammar of its token ids, and the server lists the likeliest tokens of
    each place before the grammar is applied: so a request for one option gives most of the others,
    and only those whose tokens are not listed need a request of their own.
    """

    props: Mapping[str, Any] = field(default_factory=dict)
    path = "/completion"

    @classmethod
    def meet(cls, client: Client, model: str | None) -> LlamaCpp | None:
        """The server's face, or None if it is no llama.cpp."""
        try:
            props = client.get("/props")
        except ServerError:
            return None
        if not isinstance(props, dict) or "default_generation_settings" not in props:
            return None
        name = model or str(props.get("model_alias") or props.get("model_path") or "llama.cpp")
        slot = props["default_generation_settings"].get("n_ctx")
        return cls(client, name, int(slot) if slot else None, props=props)

    @cached_property
    def template(self) -> ServerTemplate | None:
        """The model's chat template, if it has one.

        llama.cpp names a template of its own (ChatML) for models that have none: it is not taken
        where its marks are no tokens of the model.
        """
        text = self.props.get("chat_template")
        marks = list(dict.fromkeys(re.findall(r"<\|[^|<>\s]+\|>", text or "")))
        if not text or (marks and all(len(ids) > 1 for ids in self.ids(marks))):
            return None
        ends = (str(self.props.get(f"{end}_token") or "") for end in ("bos", "eos"))
        return ServerTemplate(text, *ends)

    def tokenizing(self, text: str, special: bool) -> dict[str, Any]:
        """See `ByIds`."""
        return {"content": text, "add_special": special, "parse_special": True}

    def next_asked(self, missing: Asked, known: Places) -> list[tuple[Ids, Asked]]:
        """See `ByIds`: one option first, whose answer may hold the others.

        Then all that is still missing, prompt by prompt, so that the server finds the prompt in
        its cache. What is known of an option is sent as prompt: a place costs one token to write,
        and options that part only behind it share the request.
        """
        if not known:
            return [((), missing._replace(options=missing.options[:1]))]
        chosen: dict[tuple[Ids, int | None], Ids] = {}
        for option in missing.options:
            n = next(j for j in range(len(option)) if total(known, option[: j + 1]) is None)
            place = option[:n]
            chosen.setdefault((place, option[n] if place in known else None), option)
        return [
            (place, Asked(missing.prompt, missing.context + place, (option[len(place) :],)))
            for (place, _), option in chosen.items()
        ]

    def asking(self, asked: Asked) -> dict[str, Any]:
        """See `ByIds`."""
        (option,) = asked.options
        grammar = "root ::= " + " ".join(f"<[{token}]>" for token in option)
        return {"prompt": list(asked.context), "n_predict": len(option), "grammar": grammar,
                "n_probs": LISTED, "post_sampling_probs": False, "return_tokens": True,
                **PLAIN}  # fmt: skip

    def places(self, answer: Any, asked: Asked) -> Places:
        """See `ByIds`."""
        (option,) = asked.options
        self.check_model(answer.get("model"))
        if answer.get("truncated"):
            raise ServerError(f"{self.model} cut the prompt: start the server with more context")
        if asked.prompt not in str(answer.get("prompt", asked.prompt)):
            raise Garbled("the answer to another prompt")
        if answer.get("tokens_evaluated", len(asked.context)) != len(asked.context):
            raise Garbled(f"an answer to {answer['tokens_evaluated']} tokens, not the prompt's "
                          f"{len(asked.context)}")  # fmt: skip
        entries = answer.get("completion_probabilities")
        if not isinstance(entries, list) or len(entries) != len(option):
            n = len(entries) if isinstance(entries, list) else 0
            raise Garbled(f"{n} log-probabilities for {len(option)} tokens that were forced")
        places: Places = {}
        for j, (entry, token) in enumerate(zip(entries, option, strict=True)):
            if entry.get("id") != token:
                raise Garbled(f"token {entry.get('id')} where {token} was forced")
            listed = {int(t["id"]): number(t["logprob"]) for t in entry.get("top_logprobs") or []}
            if len(listed) != len(entry.get("top_logprobs") or []):
                raise Garbled("a token that is listed twice at one place")
            found = {**listed, token: number(entry.get("logprob"))}
            if abs(listed.get(token, found[token]) - found[token]) > 1e-3:
                raise Garbled("a token whose log-probability differs from that in its own list")
            places[option[:j]] = found
        return places

    def next_tokens(self, prompt: str) -> list[tuple[str, float]]:
        """The five likeliest tokens after a prompt, with their probabilities."""
        body = {"prompt": list(self.contexts([prompt])[0]), "n_predict": 1, "n_probs": 5,
                "post_sampling_probs": False, **PLAIN}  # fmt: skip

        def read(answer: Any) -> list[tuple[str, float]]:
            entry = answer["completion_probabilities"][0]
            return [(str(t["token"]), math.exp(number(t["logprob"]))) for t in
                    entry["top_logprobs"]]  # fmt: skip

        return self.client.post(self.path, body, read)

    def counted(self, prompt: str) -> int:
        """See `ByIds`."""
        body = {"prompt": prompt, "n_predict": 1, **PLAIN}
        return self.client.post(self.path, body, lambda answer: int(answer["tokens_evaluated"]))

    def write(
        self, prompts: Sequence[str], seeds: Sequence[int], max_tokens: int, stop: str,
        temperature: float,
    ) -> list[tuple[str, int, bool]]:  # fmt: skip
        """Texts, their numbers of tokens, and whether each came to `stop`."""
        bodies = [
            {"prompt": list(context), "n_predict": max_tokens, "stop": [stop], "seed": seed,
             **PLAIN, "temperature": temperature, "top_k": 0 if temperature else 1}
            for context, seed in zip(self.contexts(prompts), seeds, strict=True)
        ]  # fmt: skip

        def read(_: int, answer: Any) -> tuple[str, int, bool]:
            self.check_model(answer.get("model"))
            if not isinstance(answer.get("content"), str):
                raise Garbled("an answer of /completion without text")
            stopped = answer.get("stop_type") == "word"
            return answer["content"], int(answer.get("tokens_predicted") or 0), stopped

        return self.client.map(self.path, bodies, read)
