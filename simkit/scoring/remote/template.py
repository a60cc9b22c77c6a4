"""The chat template of a server, where no tokenizer is at hand: just what `Chat` needs of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from transformers.utils.chat_template_utils import render_jinja_template

__all__ = ["ServerTemplate"]


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
        rendered: Any = render_jinja_template(
            conversations=list(talks) if several else [list(talks)],
            chat_template=self.chat_template,
            add_generation_prompt=add_generation_prompt,
            bos_token=self.bos_token,
            eos_token=self.eos_token,
            **args,
        )
        texts = rendered[0]
        return list(texts) if several else str(texts[0])
