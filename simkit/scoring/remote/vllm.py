"""vLLM: exact log-probabilities of token ids, as part of a prompt or as what comes next.

Fields: https://docs.vllm.ai, `CompletionRequest` and `CompletionResponseChoice`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from simkit.scoring.remote import completions
from simkit.scoring.remote.client import Client, Garbled, ServerError
from simkit.scoring.remote.ids import PROBE, Asked, ByIds, Ids, Places, number
from simkit.scoring.remote.names import served
from simkit.scoring.remote.template import Rendered, ServerTemplate

__all__ = ["VLLM"]

# vLLM takes a model's generation settings as its defaults, so all are named.
PLAIN = {**completions.PLAIN, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}


def _prompt_tokens(answer: Any) -> int:
    return int(answer["usage"]["prompt_tokens"])


@dataclass(eq=False)
class VLLM(ByIds):
    """Scoring by `/v1/completions` with prompts of token ids.

    Options of one token are asked for together, as those whose log-probabilities are to be listed
    for the next token (`logprob_token_ids`): so the prompt is read once, or comes from the prefix
    cache. Longer ones stand behind the prompt, each in a request of its own, and their
    `prompt_logprobs` are read; vLLM then computes the whole prompt anew.

    Seen of vLLM 0.32: `prompt_logprob_token_ids` and `prompt_logprob_start` are passed over here
    without a word; only `/inference/v1/generate` takes them, on a GPU and if the server was started
    with `--enable-scale-out`. To go through a long option token by token, in requests that use the
    prefix cache, took 0.4 to 0.9 of the time on a CPU, and 3.4 times as many requests.
    """

    path = completions.PATH

    @classmethod
    def meet(cls, client: Client, model: str | None) -> VLLM | None:
        """The server's face, or None if it is no vLLM."""
        try:
            version = client.get("/version")
        except ServerError:
            return None
        entry = served(client, model) if isinstance(version, dict) else None
        if entry is None or "version" not in version:
            return None
        limit = entry.get("max_model_len")
        met = cls(client, str(entry["id"]), int(limit) - 1 if limit else None)
        try:
            met.ids([PROBE])
        except ServerError:  # another server that tells a version
            return None
        met.lists = met._lists()
        return met

    def _lists(self) -> bool:
        """Whether the server knows `logprob_token_ids`; older ones ignore or refuse it."""
        context, wanted = self.ids([PROBE])[0], (self.ids([" zebra"])[0][:1],)

        def read(answer: Any) -> bool:
            found = completions.listed(completions.choice_of(self, answer))
            return f"token_id:{wanted[0][0]}" in found

        try:
            return self.client.post(self.path, self.asking(Asked(PROBE, context, wanted)), read)
        except ServerError:
            return False

    @cached_property
    def template(self) -> ServerTemplate | None:
        """The model's chat template, if it has one.

        A server that was not started with `--enable-tokenizer-info-endpoint` does not tell it;
        such a one is asked to lay out each conversation itself.
        """
        try:
            told = dict(self.client.get("/tokenizer_info"))
        except ServerError:
            told = {}
        text = told.get("chat_template")
        if not isinstance(text, str):  # not told, or several by name
            return Rendered.of(self.rendered)
        return ServerTemplate(
            text, *(str(told.get(f"{end}_token") or "") for end in ("bos", "eos"))
        )

    def rendered(
        self, talks: Sequence[Any], opened: bool, args: Mapping[str, Any]
    ) -> list[str]:  # fmt: skip
        """Conversations as the server's own template lays them out; see `Rendered`."""
        more = {"chat_template_kwargs": dict(args)} if args else {}
        asked = [{"model": self.model, "messages": talk, "add_generation_prompt": opened, **more}
                 for talk in talks]  # fmt: skip
        ids = self.client.map("/tokenize", asked, lambda _, answer: list(answer["tokens"]))
        bodies = [{"model": self.model, "tokens": tokens} for tokens in ids]
        return self.client.map("/detokenize", bodies, lambda _, answer: str(answer["prompt"]))

    def asking(self, asked: Asked) -> dict[str, Any]:
        """See `ByIds`."""
        body = {"model": self.model, "max_tokens": 1, "return_token_ids": True, **PLAIN}
        if self._as_next(asked.options):
            tokens = [option[0] for option in asked.options]
            return {**body, "prompt": list(asked.context), "logprobs": 1,
                    "logprob_token_ids": tokens, "return_tokens_as_token_ids": True}  # fmt: skip
        return {**body, "prompt": [*asked.context, *asked.options[0]], "prompt_logprobs": 1}

    def _as_next(self, options: Sequence[Ids]) -> bool:
        return self.lists and len(options[0]) == 1

    def places(self, answer: Any, asked: Asked) -> Places:
        """See `ByIds`."""
        choice = completions.choice_of(self, answer)
        follows = self._as_next(asked.options)
        sent = [*asked.context, *(() if follows else asked.options[0])]
        read = choice.get("prompt_token_ids")
        counted = (answer.get("usage") or {}).get("prompt_tokens", len(sent))
        if (read is not None and read != sent) or counted != len(sent):
            raise Garbled("an answer to other tokens than those that were sent")
        if follows:
            found = completions.listed(choice)
            return {(): {int(t.removeprefix("token_id:")): v for t, v in found.items()}}
        option, values = asked.options[0], choice.get("prompt_logprobs")
        if not isinstance(values, list) or len(values) != len(sent):
            n = len(values) if isinstance(values, list) else 0
            raise Garbled(f"{n} prompt log-probabilities of {len(sent)} tokens")
        return {
            option[:j]: {int(t): number(entry["logprob"]) for t, entry in place.items()}
            for j, place in enumerate(values[len(asked.context) :])
        }

    def next_tokens(self, prompt: str) -> list[tuple[str, float]]:
        """The five likeliest tokens after a prompt, with their probabilities."""
        return completions.next_tokens(self, list(self.contexts([prompt])[0]))

    def counted(self, prompt: str) -> int:
        """See `ByIds`."""
        body = {"model": self.model, "prompt": prompt, "max_tokens": 1}
        return self.client.post(self.path, body, _prompt_tokens)

    def write(
        self, prompts: Sequence[str], seeds: Sequence[int], max_tokens: int, stop: str,
        temperature: float,
    ) -> list[tuple[str, int, bool]]:  # fmt: skip
        """Texts, their numbers of tokens, and whether each came to `stop`."""
        contexts = list(map(list, self.contexts(prompts)))
        return completions.write(self, contexts, seeds, max_tokens, stop, temperature)
