"""llama.cpp's own server: exact log-probabilities, by grammars that force an option's tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simkit.scoring.remote.client import Client, Garbled, ServerError
from simkit.scoring.remote.template import ServerTemplate
from simkit.scoring.types import BoundaryError

__all__ = ["LlamaCpp"]

LISTED = 40  # tokens whose log-probabilities are asked for at each place
TAIL = 24  # characters of a prompt within which its last token is looked for
Ids = tuple[int, ...]


@dataclass(eq=False)
class LlamaCpp:
    """Scoring by `/completion`; one request scores all options that its lists hold.

    An option is forced by a grammar of its token ids, and the server lists the likeliest tokens of
    each place before the grammar is applied: so a request for one option gives most of the others,
    and only those whose tokens are not listed need a request of their own.
    """

    client: Client
    model: str
    props: Mapping[str, Any]
    _ids: dict[tuple[str, bool], Ids] = field(default_factory=dict)

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
        return cls(client, name, props)

    @property
    def template(self) -> ServerTemplate | None:
        """The model's chat template, if it has one."""
        text = self.props.get("chat_template")
        ends = (str(self.props.get(f"{end}_token") or "") for end in ("bos", "eos"))
        return ServerTemplate(text, *ends) if text else None

    @property
    def context_length(self) -> int | None:
        """Tokens that a slot can read."""
        found = self.props["default_generation_settings"].get("n_ctx")
        return int(found) if found else None

    def ids(self, texts: Sequence[str], *, opening: bool) -> list[Ids]:
        """Token ids of texts; `opening` ones get what the model puts before a text (BOS)."""
        new = [t for t in dict.fromkeys(texts) if (t, opening) not in self._ids]
        bodies = [{"content": t, "add_special": opening, "parse_special": True} for t in new]

        def read(i: int, answer: Any) -> Ids:
            ids = answer.get("tokens") if isinstance(answer, dict) else None
            if not isinstance(ids, list) or not all(type(t) is int for t in ids):
                raise Garbled("an answer of /tokenize without token ids")
            return tuple(ids)

        for text, found in zip(new, self.client.map("/tokenize", bodies, read), strict=True):
            self._ids[text, opening] = found
        return [self._ids[text, opening] for text in texts]

    def scores(
        self, prompts: Sequence[str], options: Sequence[tuple[str, ...]]
    ) -> list[list[float]]:
        """Log-probabilities of options[i] after prompts[i]; each row a list of K."""
        contexts = self.ids(prompts, opening=True)
        answers = self._option_ids(prompts, options)
        self._check_lengths(contexts, answers)
        known: list[dict[Ids, dict[int, float]]] = [{} for _ in prompts]
        waiting = [(i, row[0]) for i, row in enumerate(answers)]
        while waiting:
            bodies = [self._forcing(contexts[i], option) for i, option in waiting]
            asked = list(waiting)

            def read(j: int, answer: Any, asked: Any = asked) -> dict[Ids, dict[int, float]]:
                return self._listed(answer, asked[j][1])

            for (i, _), places in zip(
                waiting,
                self.client.map("/completion", bodies, read, [i for i, _ in asked]),
                strict=True,
            ):
                for place, tokens in places.items():
                    known[i].setdefault(place, {}).update(tokens)
            waiting = []
            for i, row in enumerate(answers):
                missing = [o for o in row if _sum(known[i], o) is None]
                waiting += [(i, missing[0])] if missing else []
        return [[_sum(known[i], o) or 0.0 for o in row] for i, row in enumerate(answers)]

    def _option_ids(
        self, prompts: Sequence[str], options: Sequence[tuple[str, ...]]
    ) -> list[list[Ids]]:
        """Ids of the options; BoundaryError where a prompt's last token would merge with one."""
        flat = list(dict.fromkeys(o for row in options for o in row))
        own = dict(zip(flat, self.ids(flat, opening=False), strict=True))
        tails = [prompt[-TAIL:] for prompt in prompts]
        pairs = dict.fromkeys((t, o) for t, row in zip(tails, options, strict=True) for o in row)
        joined = self.ids([t + o for t, o in pairs], opening=False)
        alone = self.ids([t for t, _ in pairs], opening=False)
        merged = {
            pair for pair, both, tail in zip(pairs, joined, alone, strict=True)
            if both != (*tail, *own[pair[1]])
        }  # fmt: skip
        for i, (tail, row) in enumerate(zip(tails, options, strict=True)):
            for option in row:
                if (tail, option) in merged:
                    raise BoundaryError(
                        f"row {i}: the prompt's end {tail!r} and the option {option!r} are other "
                        "tokens together than apart; move the blank between them"
                    )
                if not own[option]:
                    raise ValueError(f"row {i}: the option {option!r} has no token")
        return [[own[option] for option in row] for row in options]

    def _check_lengths(self, contexts: Sequence[Ids], answers: Sequence[Sequence[Ids]]) -> None:
        limit = self.context_length
        for i, (context, row) in enumerate(zip(contexts, answers, strict=True)):
            length = len(context) + max(map(len, row))
            if limit is not None and length > limit:
                raise ValueError(
                    f"row {i}: prompt and option are {length} tokens long, more than the {limit} "
                    f"that a slot of {self.model} can read; start the server with a larger context"
                )

    def _forcing(self, context: Ids, option: Ids) -> dict[str, Any]:
        grammar = "root ::= " + " ".join(f"<[{token}]>" for token in option)
        return {
            "prompt": list(context), "n_predict": len(option), "grammar": grammar,
            "n_probs": LISTED, "post_sampling_probs": False, "return_tokens": True,
            "cache_prompt": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0,
        }  # fmt: skip

    def _listed(self, answer: Any, option: Ids) -> dict[Ids, dict[int, float]]:
        """Log-probabilities by place (the option's tokens before it) and token."""
        if not isinstance(answer, dict):
            raise Garbled("an answer of /completion that is no mapping")
        entries = answer.get("completion_probabilities")
        if answer.get("truncated"):
            raise ServerError(f"{self.model} cut the prompt: start the server with more context")
        if not isinstance(entries, list) or len(entries) != len(option):
            n = len(entries) if isinstance(entries, list) else 0
            raise Garbled(f"{n} log-probabilities for {len(option)} tokens that were forced")
        places: dict[Ids, dict[int, float]] = {}
        for j, (entry, token) in enumerate(zip(entries, option, strict=True)):
            if entry.get("id") != token:
                raise Garbled(f"token {entry.get('id')} where {token} was forced")
            listed = {int(t["id"]): _number(t) for t in entry.get("top_logprobs") or []}
            found = {**listed, token: _number(entry)}
            if abs(listed.get(token, found[token]) - found[token]) > 1e-3:
                raise Garbled("a token whose log-probability differs from that in its own list")
            if sum(map(math.exp, found.values())) > 1.01:
                raise Garbled("log-probabilities of one place that sum to more than 1")
            places[option[:j]] = found
        return places

    def nested(self, options: tuple[str, ...]) -> list[bool]:
        """Whether each option's tokens begin with another's."""
        row = self.ids(options, opening=False)
        return [any(a != b and b[: len(a)] == a for a in row) for b in row]

    def next_tokens(self, prompt: str) -> list[tuple[str, float]]:
        """The five likeliest tokens after a prompt, with their probabilities."""
        body = self._forcing(self.ids([prompt], opening=True)[0], (0,))
        body |= {"n_probs": 5}
        del body["grammar"]

        def read(answer: Any) -> list[tuple[str, float]]:
            entry = answer["completion_probabilities"][0]
            return [(str(t["token"]), math.exp(_number(t))) for t in entry["top_logprobs"]]

        return self.client.post("/completion", body, read)

    def write(
        self, prompts: Sequence[str], seeds: Sequence[int], max_tokens: int, stop: str,
        temperature: float,
    ) -> list[tuple[str, int, bool]]:  # fmt: skip
        """Texts, their numbers of tokens, and whether each came to `stop`."""
        contexts = self.ids(prompts, opening=True)
        bodies = [
            {"prompt": list(context), "n_predict": max_tokens, "stop": [stop], "seed": seed,
             "temperature": temperature, "top_k": 0 if temperature else 1, "top_p": 1.0,
             "min_p": 0.0, "cache_prompt": True}
            for context, seed in zip(contexts, seeds, strict=True)
        ]  # fmt: skip

        def read(_: int, answer: Any) -> tuple[str, int, bool]:
            if not isinstance(answer.get("content"), str):
                raise Garbled("an answer of /completion without text")
            stopped = answer.get("stop_type") == "word"
            return answer["content"], int(answer.get("tokens_predicted") or 0), stopped

        return self.client.map("/completion", bodies, read)


def _number(entry: Any) -> float:
    value = entry.get("logprob")
    if value is None:
        return -math.inf
    if not isinstance(value, int | float) or not value <= 1e-6:
        raise Garbled(f"{value!r} in the place of a log-probability")
    return -math.inf if value < -1e30 else min(float(value), 0.0)


def _sum(known: Mapping[Ids, Mapping[int, float]], option: Ids) -> float | None:
    """Of an option's tokens, None where one is not known."""
    total = 0.0
    for j, token in enumerate(option):
        value = known.get(option[:j], {}).get(token)
        if value is None:
            return None
        total += value
    return float(np.float64(total))
