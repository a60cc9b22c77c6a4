"""Conversations as text and back: `Chat` lays prompts out as text, and an interface takes turns."""

from __future__ import annotations

import re

from simkit.scoring.remote.template import ServerTemplate

__all__ = ["TURNS", "turns_of"]

# Marks of our own: a prompt that holds one is refused, as it is for any template's.
_TEMPLATE = (
    "{% for m in messages %}"
    "{% if m.role == 'system' %}<|simkit:system|>"
    "{% elif m.role == 'user' %}<|simkit:user|>"
    "{% else %}<|simkit:assistant|>{% endif %}{{ m.content }}"
    "{% endfor %}{% if add_generation_prompt %}<|simkit:assistant|>{% endif %}"
)
TURNS = ServerTemplate(_TEMPLATE)
_MARK = re.compile(r"<\|simkit:(system|user|assistant)\|>")


def turns_of(text: str) -> tuple[list[dict[str, str]], str]:
    """The messages of a laid-out text, and how the answer begins in it; plain text is one turn.

    Examples
    --------
    >>> text = "<|simkit:system|>Be brief.<|simkit:user|>Buy?<|simkit:assistant|>Answer:"
    >>> turns_of(text)[0]
    [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': 'Buy?'}]
    >>> turns_of(text)[1], turns_of("Buy?")[0]
    ('Answer:', [{'role': 'user', 'content': 'Buy?'}])
    """
    parts = _MARK.split(text)
    if len(parts) == 1:
        return [{"role": "user", "content": text}], ""
    turns = [{"role": r, "content": c} for r, c in zip(parts[1::2], parts[2::2], strict=True)]
    begun = turns.pop()["content"] if turns[-1]["role"] == "assistant" else ""
    return turns, begun
