"""The chat template of a server, where no tokenizer is at hand: just what `Chat` needs of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jinja2 import TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

from simkit.scoring.remote.client import ServerError

__all__ = ["Rendered", "ServerTemplate"]

_WORD = "answerstandshere"  # for texts, to see what a template writes around them
_SWITCHES = ("enable_thinking", "thinking")  # as in simkit.scoring.thoughts


@dataclass(frozen=True)
class _Token:
    content: str
    special: bool = True


@dataclass(frozen=True)
class ServerTemplate:
    """A chat template with the marks it uses, in the place of a tokenizer.

    Attributes
    ----------
    chat_template : Jinja, as the server gives it.
    bos_token, eos_token : text, "" for none.
    """

    chat_template: str
    bos_token: str = ""
    eos_token: str = ""

    @cached_property
    def added_tokens_decoder(self) -> dict[int, _Token]:
        """The control tokens that the template writes, and the two ends."""
        marks = re.findall(r"<\|[^|<>\s]+\|>|</?s>|<(?:start|end)_of_turn>|\[/?INST\]",
                           self.chat_template)  # fmt: skip
        texts = dict.fromkeys([*marks, self.bos_token, self.eos_token])
        return {i: _Token(text) for i, text in enumerate(t for t in texts if t)}

    def get_chat_template(self) -> str:
        """The template."""
        return self.chat_template

    def apply_chat_template(
        self, talks: Sequence[Any], *, add_generation_prompt: bool, tokenize: bool, **args: Any
    ) -> str | list[str]:
        """The laid-out text of one talk, or of each of several."""
        several = bool(talks) and not isinstance(talks[0], dict)
        texts = self.texts(list(talks) if several else [list(talks)], add_generation_prompt, args)
        return list(texts) if several else str(texts[0])

    def texts(
        self, talks: Sequence[Any], opened: bool, args: Mapping[str, Any]
    ) -> Sequence[str]:  # fmt: skip
        """The laid-out texts of several talks; `opened` with how the model's turn begins."""
        rendered: Any = render_jinja_template(
            conversations=list(talks),
            chat_template=self.chat_template,
            add_generation_prompt=opened,
            bos_token=self.bos_token,
            eos_token=self.eos_token,
            **args,
        )
        return list(rendered[0])


@dataclass(frozen=True)
class Rendered(ServerTemplate):
    """A chat template that a server applies and does not tell.

    `chat_template` is then what it was seen to write, with the names of its switches: enough to see
    its control tokens, and whether it knows thoughts.

    Attributes
    ----------
    render : (talks, opened, args) -> texts, by the server; ServerError where it refuses.
    """

    render: Callable[[Sequence[Any], bool, Mapping[str, Any]], Sequence[str]] = field(kw_only=True)

    @classmethod
    def of(
        cls, render: Callable[[Sequence[Any], bool, Mapping[str, Any]], Sequence[str]]
    ) -> Rendered | None:
        """The template, None where the server has none."""
        ask = {"role": "user", "content": _WORD}
        thought = f"<think>\n{_WORD}\n</think>\n\n"
        past = [[ask, {"role": "assistant", "content": text}] for text in (_WORD, thought + _WORD)]
        try:
            (opened,) = render([[ask]], True, {})
        except ServerError as error:
            if error.status == 400:
                return None
            raise
        plain, thinking = render(past, False, {})
        head, word, tail = plain.rpartition(_WORD)
        seen = [opened, plain]
        seen += [] if thinking == head + thought + word + tail else ["</think>"]
        for name in _SWITCHES:
            on, off = (render([[ask]], True, {name: value}) for value in (True, False))
            seen += [name] if on != off else []
        return cls("\n".join(seen), render=render)

    def texts(
        self, talks: Sequence[Any], opened: bool, args: Mapping[str, Any]
    ) -> Sequence[str]:  # fmt: skip
        """As `ServerTemplate`'s, by the server."""
        try:
            return self.render(talks, opened, args)
        except ServerError as error:
            if error.status != 400:
                raise
            raise TemplateError(str(error)) from None
