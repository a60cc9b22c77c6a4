"""SGLang: exact log-probabilities of token ids, behind a prompt or as what comes next.

Fields: https://docs.sglang.io, "Sampling Parameters" (`/generate`) and "Native APIs".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simkit.scoring.remote.client import Client, Garbled, ServerError
from simkit.scoring.remote.ids import PROBE, Asked, ByIds, Places, number

__all__ = ["SGLang"]

PLAIN: dict[str, Any] = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": -1,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
}


@dataclass(eq=False)
class SGLang(ByIds):
    """Scoring by `/generate` with token ids.

    Options of one token are asked for together (`token_ids_logprob`). Longer ones stand behind the
    prompt; the log-probabilities are asked for from the prompt's last token on
    (`logprob_start_len`), so that the server needs nothing of what it keeps of the prompt anew.
    """

    path = "/generate"
    template = None

    @classmethod
    def meet(cls, client: Client, model: str | None) -> SGLang | None:
        """The server's face, or None if it is no SGLang."""
        for path in ("/get_model_info", "/model_info"):  # older and newer servers
            try:
                info = client.get(path)
            except ServerError:
                continue
            if isinstance(info, dict) and "model_path" in info and "is_generation" in info:
                met = cls(client, model or str(info["model_path"]))
                met.context_length = met._limit()
                return met
        return None

    def _limit(self) -> int | None:
        def read(answer: Any) -> int | None:
            limit = answer.get("max_model_len")
            return int(limit) - 1 if limit else None

        return self.client.post("/tokenize", self.tokenizing(PROBE, False), read)

    def asking(self, asked: Asked) -> dict[str, Any]:
        """See `ByIds`."""
        body = {"return_logprob": True, "return_prompt_token_ids": True,
                "sampling_params": {**PLAIN, "max_new_tokens": 1}}  # fmt: skip
        if len(asked.options[0]) == 1:
            tokens = [option[0] for option in asked.options]
            return {**body, "input_ids": list(asked.context), "token_ids_logprob": tokens}
        return {**body, "input_ids": [*asked.context, *asked.options[0]],
                "logprob_start_len": len(asked.context) - 1}  # fmt: skip

    def places(self, answer: Any, asked: Asked) -> Places:
        """See `ByIds`."""
        meta, option = answer["meta_info"], asked.options[0]
        self.check_model(meta.get("weight_version"))
        sent = [*asked.context, *(option if len(option) > 1 else ())]
        read = meta.get("prompt_token_ids")
        if (read is not None and read != sent) or meta["prompt_tokens"] != len(sent):
            raise Garbled("an answer to other tokens than those that were sent")
        if len(option) == 1:
            found = meta["output_token_ids_logprobs"][0]
            values = [(int(token), number(value)) for value, token, *_ in found]
            if sorted(token for token, _ in values) != sorted(o[0] for o in asked.options):
                raise Garbled("log-probabilities of other tokens than those that were asked for")
            return {(): dict(values)}
        entries = meta["input_token_logprobs"]
        if [entry[1] for entry in entries] != [asked.context[-1], *option]:
            raise Garbled("log-probabilities of other tokens than those that were sent")
        return {option[:j]: {option[j]: number(entry[0])} for j, entry in enumerate(entries[1:])}

    def next_tokens(self, prompt: str) -> list[tuple[str, float]]:
        """The five likeliest tokens after a prompt, with their probabilities."""
        body = {"input_ids": list(self.contexts([prompt])[0]), "return_logprob": True,
                "top_logprobs_num": 5, "return_text_in_logprobs": True,
                "sampling_params": {**PLAIN, "max_new_tokens": 1}}  # fmt: skip

        def read(answer: Any) -> list[tuple[str, float]]:
            top = answer["meta_info"]["output_top_logprobs"][0]
            return [(str(entry[2]), math.exp(number(entry[0]))) for entry in top]

        return self.client.post(self.path, body, read)

    def counted(self, prompt: str) -> int:
        """See `ByIds`."""
        body = {"text": prompt, "sampling_params": {"max_new_tokens": 1}}

        def read(answer: Any) -> int:
            return int(answer["meta_info"]["prompt_tokens"])

        return self.client.post(self.path, body, read)

    def write(
        self, prompts: Sequence[str], seeds: Sequence[int], max_tokens: int, stop: str,
        temperature: float,
    ) -> list[tuple[str, int, bool]]:  # fmt: skip
        """Texts, their numbers of tokens, and whether each came to `stop`."""
        bodies: list[dict[str, Any]] = [
            {"input_ids": list(context), "sampling_params": {
                **PLAIN, "temperature": temperature, "max_new_tokens": max_tokens, "stop": [stop],
                "sampling_seed": seed}}
            for context, seed in zip(self.contexts(prompts), seeds, strict=True)
        ]  # fmt: skip

        def read(_: int, answer: Any) -> tuple[str, int, bool]:
            meta = answer["meta_info"]
            self.check_model(meta.get("weight_version"))
            if not isinstance(answer.get("text"), str):
                raise Garbled("an answer of /generate without text")
            reached = (meta.get("finish_reason") or {}).get("matched") == stop
            return answer["text"], int(meta.get("completion_tokens") or 0), reached

        return self.client.map(self.path, bodies, read)
