"""Chat completions: the tokens that a server lists bound a belief; where it lists none, answers do.

A request asks one prompt. The server lists the likeliest tokens of each place of what it writes;
those of the first place say which option the answer begins with, as for recorded answers
(`simkit.scoring.pivot.censored`). What is not listed could be any option or none: so a belief has
bounds. Many servers list nothing for some models, or ignore what they are asked for without a
word: there the answer is asked for many times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from simkit.personas.scales import option_begun
from simkit.scoring.forms import Spelled
from simkit.scoring.inquiries import Beliefs, Inquiry
from simkit.scoring.pivot.censored import masses_at, token_at
from simkit.scoring.pivot.recorded import Recorded, read_recorded
from simkit.scoring.remote.client import Client, Garbled, ServerError
from simkit.scoring.remote.names import served
from simkit.scoring.remote.repeats import seed_of
from simkit.scoring.remote.turns import TURNS, turns_of
from simkit.scoring.runs.asked import Ask, End, Runs, Writing, uniforms
from simkit.types import FloatArray, IntArray

__all__ = ["ChatCompletions"]

PATH = "/v1/chat/completions"
TOPS = (20, 5)  # tokens to list that are asked for, one after the other
PROBE = [{"role": "user", "content": "Say one word, any word."}]
THOUGHT = 2_048  # tokens of room for a model that thinks before it answers
SAME = 1.0  # of a log-probability of the likeliest tokens, in two lists of one place
NOTHING = (404, 405, 501)  # a server without this interface
ALPHA = 0.05  # of the intervals of sampled answers


class _Said(NamedTuple):
    """What a request gave: a run with its lists (none where the server lists nothing)."""

    run: Recorded
    thought: bool


@dataclass(eq=False)
class ChatCompletions:
    """Beliefs by `/v1/chat/completions`: bounds from the listed tokens, or sampled answers.

    Attributes
    ----------
    client, model : the server, and its name for the model.
    answers : how often a prompt is asked where no tokens are listed.
    sent : the parameters that the server takes, as they were agreed with it.
    top : tokens that it lists for each place; 0 for none.
    cold : whether the listed probabilities are the model's own whatever the temperature, so that
        the likeliest answer can be asked for.
    room : tokens that the model may think before an answer.
    served : what the server calls the model in its answers; "" if it does not say.
    """

    client: Client
    model: str
    answers: int = 24
    sent: dict[str, Any] = field(default_factory=dict)
    top: int = 0
    cold: bool = False
    room: int = 0
    served: str = ""

    template = TURNS

    @classmethod
    def meet(cls, client: Client, model: str | None) -> ChatCompletions | None:
        """The server's face, or None if it has no chat completions."""
        name = (served(client, model) or {}).get("id", model)
        if name is None:
            return None
        met = cls(client, name)
        try:
            met._agree()
        except ServerError as error:
            if error.status in NOTHING:
                return None
            if error.status in (401, 403):
                raise ServerError(
                    f"{error}; the key is read from the environment variable {client.key_from}"
                ) from None
            raise
        return met

    @property
    def identity(self) -> dict[str, Any]:
        """What the beliefs depend on besides server and model."""
        return {"interface": "chat completions", "served": self.served, "top": self.top,
                "answers": 0 if self.top else self.answers}  # fmt: skip

    @property
    def unscored(self) -> str:
        """What this interface lacks, and the remedy."""
        does = f"lists the {self.top} likeliest tokens" if self.top else "gives answers"
        return (
            f"by chat completions {does} and scores no text; use believe or sample_runs, or a "
            "server with completions that score (vLLM, SGLang, llama.cpp)"
        )

    def _agree(self) -> None:
        """Find out which parameters the server takes, and what its lists hold."""
        # llama.cpp and others cut what is drawn (to 40 tokens) unless they are told not to.
        self.sent = {"logprobs": True, "top_logprobs": TOPS[0], "temperature": 1, "top_p": 1,
                     "top_k": 0, "min_p": 0, "max_tokens": 8, "seed": 1}  # fmt: skip
        text, first = self._asked_until_taken()
        if not text:
            self.room = THOUGHT
            text, first = self._asked_until_taken()
        if not text:
            raise ServerError(
                f"{self.client.address}: {self.model} wrote nothing within {THOUGHT} tokens; "
                "switch its thinking off, or let it think less"
            )
        if len(first) < 2:  # refused, ignored without a word, or empty
            for name in ("logprobs", "top_logprobs"):
                self.sent.pop(name, None)
            return
        self.top = int(self.sent["top_logprobs"])
        if len(first) < self.top and sum(first.values()) > 1 - 1e-6:
            raise ServerError(
                f"{self.client.address}: the {len(first)} tokens listed have all of the "
                "probability, so they are what the server's sampler left (top_k, top_p, min_p), "
                "not the model's own; start it without these, or with log-probabilities from "
                "before sampling"
            )
        self.cold = self._same_when_cold(first)

    def _asked_until_taken(self) -> tuple[str, dict[str, float]]:
        """What is said to the probe; parameters that an error names are given up one by one."""
        while True:
            try:
                return self.client.post(PATH, self._body(PROBE, 8), self._opening)
            except ServerError as error:
                name = _named(error, self.sent)
                if name is None:
                    raise
                self._give_up(name)

    def _give_up(self, name: str) -> None:
        value = self.sent.pop(name)
        if name == "top_logprobs" and value > TOPS[-1]:
            self.sent[name] = TOPS[-1]
        elif name in ("logprobs", "top_logprobs"):
            self.sent.pop("top_logprobs", None)
            self.sent.pop("logprobs", None)
        elif name == "max_tokens":
            self.sent["max_completion_tokens"] = value

    def _same_when_cold(self, warm: Mapping[str, float]) -> bool:
        """Whether the lists are the same at temperature 0; ServerError where they are shifted."""
        if "temperature" not in self.sent:
            return False
        try:
            text, first = self.client.post(PATH, self._body(PROBE, 8, temperature=0), self._opening)
        except ServerError as error:
            if _named(error, {"temperature": 0}) is None:
                raise
            return False
        likeliest = sorted(warm, key=lambda token: -warm[token])[:3]
        if any(abs(np.log(first.get(t, 1e-300) / warm[t])) > SAME for t in likeliest):
            return False  # they are of the distribution that is sampled from
        best = max(first, key=lambda token: first[token])
        if not text.lstrip().startswith(best.strip()):
            raise ServerError(
                f"{self.client.address}: {text!r} was written at temperature 0, where {best!r} is "
                "listed as the likeliest token, so the lists are not of the places they stand at"
            )
        return True

    def prove(self) -> dict[str, str]:
        """What it can do, in words."""
        if not self.top:
            return {"scores": f"{self.answers} sampled answers", "repeats": "drawn anew",
                    "runs": "written; the choice is what was written"}  # fmt: skip
        return {"scores": f"bounds from the {self.top} likeliest tokens",
                "runs": "written, with bounds at the answer"}  # fmt: skip

    def beliefs(self, asked: Sequence[Inquiry], again: int = 0) -> Beliefs:
        """The beliefs with their bounds; equal inquiries are asked once."""
        ways = {(one.system, one.prompt, one.spelled): i for i, one in enumerate(asked)}
        for one in asked:
            _refuse_same(one.spelled)
        places = [*ways.values()]
        some = [asked[i] for i in places]
        ask = self._listed if self.top else self._sampled
        rows = ask(some, again, places)
        found = dict(zip(ways, rows, strict=True))
        parts = zip(*(found[one.system, one.prompt, one.spelled] for one in asked), strict=True)
        belief, low, high, mass, basis = map(list, parts)
        return Beliefs(np.array(belief), np.array(low), np.array(high), np.array(mass), basis)

    def _listed(self, asked: Sequence[Inquiry], again: int, places: Sequence[int]) -> list[_Row]:
        """By the tokens listed where the answers begin."""
        heat = {"temperature": 0} if self.cold else {}
        bodies = [self._body(_messages(one), _longest(one.spelled), again, **heat) for one in asked]
        said = self.client.map(PATH, bodies, self._read, places)
        return [self._bounded(one, answer) for one, answer in zip(asked, said, strict=True)]

    def _bounded(self, one: Inquiry, said: _Said) -> _Row:
        run, k = said.run, len(one.options)
        if not run.tokens:
            basis = "refused" if run.finish == "refusal" else f"no answer ({run.finish})"
            return _nothing(k, basis)
        belief, low, high, mass = _at(run, _first(run), b"", one.spelled)[1:]
        basis = f"top {self.top}" + (" after a thought" if said.thought else "")
        return belief, low, high, mass, basis

    def _sampled(self, asked: Sequence[Inquiry], again: int, places: Sequence[int]) -> list[_Row]:
        """By the share of answers that begin with each option."""
        bodies = []
        for one in asked:
            turns, longest = _messages(one), _longest(one.spelled)
            seeds = (seed_of("answer", turns, again, j) for j in range(self.answers))
            bodies += [self._body(turns, longest, seed) for seed in seeds]
        rows = [i for i in places for _ in range(self.answers)]
        said = iter(self.client.map(PATH, bodies, self._read, rows))
        return [self._shares(one, [next(said).run for _ in range(self.answers)]) for one in asked]

    def _shares(self, one: Inquiry, runs: Sequence[Recorded]) -> _Row:
        k, n = len(one.options), len(runs)
        named = [option_begun(run.text, one.spelled) for run in runs]
        count = np.bincount([place for place in named if place is not None], minlength=k)
        cut = sum(not run.text and run.finish == "length" for run in runs)
        refused = sum(run.finish == "refusal" for run in runs)
        basis = f"{n} answers" + (f", {cut} cut short" if cut else "")
        basis += f", {refused} refused" if refused else ""
        valid = int(count.sum())
        if not valid:
            return (*_nothing(k, basis)[:3], 0.0, basis)
        low, high = proportion_confint(count, valid, ALPHA, method="wilson")
        return count / valid, low, high, valid / n, basis

    @property
    def next_tokens(self) -> Callable[[str], list[tuple[str, float]]]:
        """See `simkit.scoring.Model`; AttributeError where no tokens are listed."""
        if not self.top:
            raise AttributeError("next_tokens")
        return self._next_tokens

    def _next_tokens(self, prompt: str) -> list[tuple[str, float]]:
        turns, begun = turns_of(prompt)
        if "\n" in begun:  # after a text of the model's own, which it cannot be given
            return []
        heat = {"temperature": 0} if self.cold else {}
        _, first = self.client.post(PATH, self._body(turns, 1, **heat), self._opening)
        return sorted(first.items(), key=lambda pair: -pair[1])[:5]

    def write(
        self, prompts: Sequence[str], seeds: Sequence[int], max_tokens: int, stop: str,
        temperature: float,
    ) -> list[str]:  # fmt: skip
        """See `simkit.scoring.write`. How an answer begins cannot be given; it is taken off."""
        turns = [turns_of(prompt) for prompt in prompts]
        bodies = [
            self._warm(messages, max_tokens, seed_of("write", seed), temperature)
            for (messages, _), seed in zip(turns, seeds, strict=True)
        ]
        said = self._map_warm(bodies, temperature)
        return [
            one.run.text.lstrip().removeprefix(begun.strip() or "\0").split(stop)[0]
            for one, (_, begun) in zip(said, turns, strict=True)
        ]

    def runs(
        self, asked: Sequence[Ask], row: IntArray, run: IntArray, how: Writing
    ) -> Iterator[Runs]:
        """See `simkit.scoring.Model`: a request writes a run; its choice is what it wrote."""
        if how.forced:
            raise TypeError(
                f"{self.model} by chat completions cannot be made to go on with {how.marker!r}: "
                "leave out forced and let the prompt ask for it, or use a server with completions"
            )
        if self.top and how.temperature != 1:
            raise TypeError(
                f"{self.model} by chat completions lists tokens at temperature 1, so beliefs at "
                f"{how.temperature:g} cannot be bounded: take temperature=1, or use a server with "
                "completions"
            )
        first = uniforms(asked, row, run, how.seed, 0)[:, 0]
        bodies = []
        for i, j in zip(row.tolist(), run.tolist(), strict=True):
            ask = asked[i]
            seed = seed_of(how.seed, ask.text, ask.again, j)
            tokens = how.max_tokens + _longest(ask.spelled)
            bodies.append(self._warm(turns_of(ask.text)[0], tokens, seed, how.temperature))
        said = self._map_warm(bodies, how.temperature)
        k = len(asked[0].spelled)
        ends, numbers = [], np.full((3, len(said), k), np.nan)
        mass, written = np.full(len(said), np.nan), np.full(len(said), -1)
        for n, (i, one) in enumerate(zip(row.tolist(), said, strict=True)):
            end, place = _end(asked[i], one.run, how)
            ends.append(end)
            if end.before is None:
                continue
            chosen = option_begun(one.run.text[place:], _bare(asked[i].spelled))
            written[n] = -1 if chosen is None else chosen
            if self.top and place < len(one.run.text):
                t, lead = token_at(one.run, place, f"row {i}")
                logprob, belief, low, high, mass[n] = _at(one.run, t, lead, asked[i].spelled)
                numbers[:, n] = np.where(np.isnan(belief).any(), np.nan, logprob), low, high
        logprob, low, high = numbers
        yield Runs(row, run, first, np.arange(len(said)), ends, logprob, mass, written, low, high)

    def _warm(
        self, turns: list[dict[str, str]], tokens: int, seed: int, temperature: float
    ) -> dict[str, Any]:
        if temperature != 1 and "temperature" not in self.sent:
            raise TypeError(f"{self.model} takes no temperature and writes at 1; take that")
        return self._body(turns, tokens, seed, **({} if temperature == 1 else
                                                  {"temperature": temperature}))  # fmt: skip

    def _map_warm(self, bodies: list[dict[str, Any]], temperature: float) -> list[_Said]:
        try:
            return self.client.map(PATH, bodies, self._read)
        except ServerError as error:
            if _named(error, {"temperature": temperature}) is None:
                raise
            raise TypeError(
                f"{self.model} does not write at temperature {temperature:g}; take 1 ({error})"
            ) from None

    def _body(
        self, turns: list[dict[str, str]], tokens: int, seed: int = 0, **changed: Any
    ) -> dict[str, Any]:
        """A request. Equal ones are one to a cache: so repeats and draws differ in the seed."""
        body = {"model": self.model, "messages": turns, **self.sent, **changed}
        for name in ("max_tokens", "max_completion_tokens"):
            if name in body:
                body[name] = tokens + self.room
        if "seed" in body:
            body["seed"] = seed
        elif seed:
            body["user"] = f"simkit-{seed}"
        return body

    def _opening(self, answer: Any) -> tuple[str, dict[str, float]]:
        """The text, "" for a model that has only thought so far, and the tokens listed first."""
        self._same_model(answer)
        silent = not _text(answer) and not _choice(answer)["message"].get("refusal")
        if silent and _choice(answer).get("finish_reason") != "length":
            raise Garbled("an answer without text")
        return _text(answer), _first_place(answer)

    def _same_model(self, answer: Any) -> None:
        name = str(answer.get("model") or "")
        self.served = self.served or name
        if name != self.served:
            raise ServerError(
                f"{self.client.address}: the model was {self.served!r} and is {name!r} now; what "
                "was asked before and after does not belong together"
            )

    def _read(self, _: int, answer: Any) -> _Said:
        self._same_model(answer)
        thought = _thought(answer)
        message = _choice(answer)["message"]
        if self.top:
            try:
                (run,) = read_recorded(answer)
            except ValueError as error:
                raise Garbled(str(error)) from None
        else:
            finish = "refusal" if message.get("refusal") else _choice(answer).get("finish_reason")
            run = Recorded(_text(answer), (), (), (), str(finish or ""))
        if not run.text and run.finish == "length" and not (thought or self.room):
            raise Garbled("an answer cut at its length that has no text")
        return _Said(run, thought)


_Row = tuple[FloatArray, FloatArray, FloatArray, float, str]  # as in `Beliefs`


def _nothing(k: int, basis: str) -> _Row:
    """Nothing is known."""
    return np.full(k, np.nan), np.zeros(k), np.ones(k), np.nan, basis


def _at(
    run: Recorded, t: int, lead: bytes, spelled: Spelled
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, float]:
    """Log-probability, belief, its ends and the valid mass where an answer may begin.

    The belief takes a token that begins one option only for that option; the ends do not.
    """
    names = [(form, k) for k, forms in enumerate(_bare(spelled)) for form in forms]
    likely = masses_at(run, t, lead, names, blanks=True)
    sure = masses_at(run, t, lead, names, settle="string", blanks=True)
    return likely.logprob, likely.belief, sure.low, sure.high, float(likely.valid_mass)


def _end(ask: Ask, run: Recorded, how: Writing) -> tuple[End, int]:
    """How a run ended, and the place in its text where the answer begins."""
    found = ("\n" + run.text).find(how.marker)  # a turn begins as a line does
    place = max(0, found - 1 + len(how.marker))
    used = len(run.tokens)
    if found >= 0 and run.tokens:
        used = 1 + token_at(run, max(0, place - 1), f"row {ask.row}")[0]
    if found < 0 or used > how.max_tokens:
        return End(ask, run.text, min(used, how.max_tokens), None), 0
    reasoning = run.text[: max(0, found - 1)]
    return End(ask, reasoning, used, ask.text + run.text[:place]), place


def _bare(spelled: Spelled) -> Spelled:
    return tuple(tuple(form.strip() for form in forms) for forms in spelled)


def _refuse_same(spelled: Spelled) -> None:
    seen: dict[str, int] = {}
    for k, forms in enumerate(_bare(spelled)):
        for form in forms:
            if seen.setdefault(form, k) != k:
                raise ValueError(
                    f"two options are both {form!r} but for blanks, which an answer in a chat does "
                    "not keep apart; word one otherwise"
                )


def _longest(spelled: Spelled) -> int:
    """Tokens that hold any of the options, and a few more."""
    return 8 + max(len(form.encode()) for forms in spelled for form in forms) // 2


def _messages(one: Inquiry) -> list[dict[str, str]]:
    system = [{"role": "system", "content": one.system}] if one.system else []
    return [*system, {"role": "user", "content": one.prompt}]


def _named(error: ServerError, names: Mapping[str, Any]) -> str | None:
    """The parameter that an error names first."""
    places = {name: re.search(rf"(?<!\w){name}(?!\w)", error.said) for name in names}
    found = {name: place.start() for name, place in places.items() if place}
    return min(found, key=lambda name: found[name]) if found else None


def _choice(answer: Any) -> Mapping[str, Any]:
    choice = answer["choices"][0]
    if not isinstance(choice["message"], Mapping):
        raise Garbled("an answer without a message")
    return dict(choice)


def _text(answer: Any) -> str:
    content = _choice(answer)["message"].get("content") or ""
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content if part.get("type") == "text")
    if not isinstance(content, str):
        raise Garbled("an answer whose content is no text")
    return content


def _thought(answer: Any) -> bool:
    message = _choice(answer)["message"]
    return bool(message.get("reasoning_content") or message.get("reasoning"))


def _first_place(answer: Any) -> dict[str, float]:
    """The tokens listed where the answer begins, with their probabilities; {} for no lists."""
    record = _choice(answer).get("logprobs")
    record = record if isinstance(record, Mapping) else {"content": record}
    items = record.get("content") or []
    lists = record.get("top_logprobs") or [item.get("top_logprobs") for item in items]
    if not any(lists):
        return {}
    try:
        (run,) = read_recorded(answer)
    except ValueError as error:
        raise Garbled(str(error)) from None
    place = run.top[_first(run)] if run.tokens else ()
    return {token.decode(errors="replace"): float(np.exp(value)) for token, value in place}


def _first(run: Recorded) -> int:
    """The first token that writes anything: marks may stand before it."""
    return next(t for t, (start, end) in enumerate(run.spans) if end > start)
