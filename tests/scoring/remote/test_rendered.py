"""A template that a server applies and does not tell lays out what the template itself does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from jinja2 import TemplateError

from simkit.scoring.chat import Chat, laid_out
from simkit.scoring.remote import ServerError
from simkit.scoring.remote.template import Rendered, ServerTemplate
from tests.scoring.test_templates import FAMILIES

DESIGN = pd.DataFrame({"who": ["Ann", "Bo"]})


def both(name: str) -> tuple[ServerTemplate, Rendered]:
    """The template, and what is known of a server that applies it."""
    told = ServerTemplate(FAMILIES[name].template, FAMILIES[name].bos or "", "</s>")

    def render(talks: Sequence[Any], opened: bool, args: Any) -> list[str]:
        try:
            return list(told.texts(talks, opened, args))
        except TemplateError as error:
            raise ServerError(str(error), 400) from None

    untold = Rendered.of(render)
    assert untold is not None and untold.chat_template != told.chat_template
    return told, untold


def outcome(template: ServerTemplate, chat: Chat, texts: Sequence[str] = ("Buy?", "Sell?")) -> str:
    """The laid-out prompts and what was done about thoughts, or the error."""
    model: Any = SimpleNamespace(name="it", tokenizer=template, scores=lambda *_: None)
    try:
        return str(laid_out(model, texts, chat, DESIGN, separator=" ", opening=True))
    except ValueError as error:
        return f"refused: {str(error).split('(it says')[0]}"


@pytest.mark.parametrize("thinking", ["refuse", "close", "sample"])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_layout_and_what_is_refused_are_the_same(name: str, thinking: str) -> None:
    told, untold = both(name)
    plain = Chat(thinking=thinking)
    for chat in (plain, replace(plain, system="You are {who}."), replace(plain, prefix="")):
        want = outcome(told, chat)
        assert outcome(untold, chat) == want
    thinks = name in ("qwen", "qwen-thinking", "gpt-oss")
    assert outcome(untold, plain).startswith("refused") == (thinks and thinking == "refuse")


@pytest.mark.parametrize("name", FAMILIES)
def test_control_tokens_in_a_text_are_refused(name: str) -> None:
    _, untold = both(name)
    mark = FAMILIES[name].special[0]
    assert "control token" in outcome(untold, Chat(thinking="close"), [f"Buy {mark}?", "Sell?"])


def test_a_template_that_drops_thoughts_knows_them() -> None:
    """No mark is written anywhere; "</think>" is only looked for, in past answers."""
    source = (
        "{% for m in messages %}[{{ m.role }}] {{ m.content.split('</think>')[-1] }}\n{% endfor %}"
        "{% if add_generation_prompt %}[assistant] {% endif %}"
    )
    template = Rendered.of(ServerTemplate(source).texts)
    assert template is not None and template.chat_template.endswith("</think>")
    assert outcome(template, Chat()).startswith("refused")


def test_a_server_without_a_template_and_one_that_fails() -> None:
    def says(status: int) -> Any:
        def render(*_: Any) -> list[str]:
            raise ServerError("no", status)

        return render

    assert Rendered.of(says(400)) is None
    with pytest.raises(ServerError):
        Rendered.of(says(500))
