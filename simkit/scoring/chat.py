"""Prompts laid out as a chat, by the template that the model's own tokenizer brings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
from jinja2 import TemplateError

from simkit.questions import fill
from simkit.scoring.forms import Spelled
from simkit.scoring.thoughts import CUT, THINKING, Layout, Thought, answer_of, plan, think
from simkit.scoring.types import Model, check_model
from simkit.templates import check_text
from simkit.types import aligned, integer, listed, one_of, shown

__all__ = ["Chat", "Laid", "channel_of", "chat_prompts", "laid_out", "lay_out", "open_turns",
           "talk", "with_chat"]  # fmt: skip

_OURS = {"add_generation_prompt", "continue_final_message", "conversation", "messages", "tokenize"}
_NO_SYSTEM = (
    "the model's chat template takes no system turn; take Chat(..., fold_system=True), which "
    "puts the text at the head of the user's turn, or no system text"
)
MOST_LISTED = 7  # numbers that an instruction lists; of more it says the ends
_MARK = "answerstandshere"  # stands in for an answer, to see what a template puts before it


@dataclass(frozen=True)
class Chat:
    """How a prompt becomes a conversation: the prompt is the user's turn, the answer the model's.

    Parameters
    ----------
    system : str, optional
        System text; its `{column}` fields are filled from the design ("You are {who}."). None
        gives no system turn; what a template then adds by itself (a default system text, a date)
        stays, and `chat_prompts` shows it.
    prefix : str
        How the model's turn begins, before the option. If the prompt ends with it, it is taken off
        there, and a sign behind it ("Answer: $") comes along. "" for an answer that opens the
        turn. (In `sample_runs` the reasoning opens the turn, and the prefix the answer after it.)
    separator : str, optional
        What stands before the option. None: the question's own after a prefix; without a prefix,
        the blanks that the template itself sets before an answer (Mistral's has one, most none).
    fold_system : bool
        True puts the system text at the head of the user's turn (and an empty line between), for
        templates that take no system turn.
    template_args : dict
        Further names for the template, such as {"enable_thinking": False}.
    answer : str
        How to answer, said at the end of the system text, where all prompts share it: "Answer with
        one word: {options}." with the field {options} for "yes or no". "auto" makes the sentence of
        the options; "" says nothing.
    spellings : bool
        True counts an option in capital letters, too: "Yes" and "YES" for "yes".
    thinking : str
        What is done where the template opens a thought before the answer, or lets the model open
        one. "refuse" raises, with the ways out. "close" closes it: by the template's own switch
        (`enable_thinking`) where it has one, else by its closing mark. "sample" lets the model
        write the thought to its end first, and the answer stands behind it. A template that knows
        no thoughts is left as it is.
    thought_tokens : int
        With "sample": longest thought. One that is not at its end by then is closed there, and
        counted in the log.

    Raises
    ------
    ValueError
        For `template_args` that simkit sets itself, for fold_system without a system text, and for
        an unknown `thinking`.

    Notes
    -----
    A sampled thought is written at temperature 1, by a stream of the prompt's text, so the same
    prompt has the same thought and a belief is the one *given that thought*: one draw of many.
    `sample_runs` draws as many as it is asked for, each of up to its own `max_tokens`.

    The tokens are those of the laid-out text with exactly one BOS: the template's, else the
    tokenizer's own.

    Examples
    --------
    >>> import simkit as sk
    >>> sk.Chat(system="You are {who}.").prefix
    'Answer:'
    """

    system: str | None = None
    prefix: str = "Answer:"
    separator: str | None = None
    fold_system: bool = False
    template_args: Mapping[str, Any] = field(default_factory=dict, hash=False)
    answer: str = ""
    spellings: bool = False
    thinking: str = "refuse"
    thought_tokens: int = 256

    def __post_init__(self) -> None:
        one_of(self.thinking, "thinking", THINKING)
        integer(self.thought_tokens, "thought_tokens", 1)
        for name in ("system", "prefix", "separator", "answer"):
            text, must = getattr(self, name), name in ("prefix", "answer")
            if not isinstance(text, str) and (text is not None or must):
                hint = 'text, "" for none' if must else "text or None"
                raise ValueError(f"{name} is {shown(text)}; it must be {hint}")
        args = self.template_args
        if not isinstance(args, Mapping) or not all(isinstance(name, str) for name in args):
            raise ValueError(f"template_args is {shown(args)}; it must be {{name: value}}")
        clash = sorted(_OURS & args.keys())
        if clash:
            raise ValueError(f"template_args holds {clash[0]!r}, which is not to be set here")
        if self.fold_system and self.system is None and not self.answer:
            raise ValueError("fold_system is set, but there is no system text to fold")


def talk(chat: Chat | bool | None, model: Any = None) -> Chat | None:
    """The chat that is meant, None for plain text.

    False is none, None the model's own (see `with_chat`), True that or a chat as it comes. Raises
    ValueError for anything else.
    """
    if not isinstance(chat, Chat | bool | None):
        raise ValueError(f"chat is {shown(chat)}; it must be True, False, None or a Chat")
    if isinstance(chat, Chat) or chat is False:
        return chat or None
    own: Chat | None = getattr(model, "chat", None)
    return own or (Chat() if chat else None)


def with_chat(model: Any, chat: Chat | bool | None) -> Any:
    """The model, asked in a chat wherever a call does not say how it is to be asked.

    Parameters
    ----------
    model : Model
    chat : Chat, bool or None
        True for a chat as it comes; False or None for plain text.

    Returns
    -------
    Model
        A copy, with the chat as its `chat`. Weights and caches are shared with the model.

    Examples
    --------
    >>> import simkit as sk
    >>> lm = with_chat(sk.load(lambda prompt: {"yes": 1.0}), Chat(system="You are a shopper."))
    >>> lm.chat.system
    'You are a shopper.'
    """
    check_model(model)
    changed = copy(model)
    object.__setattr__(changed, "chat", talk(chat or False))
    return changed


def chat_prompts(
    model: Model,
    prompts: Sequence[str],
    chat: Chat | None = None,
    design: pd.DataFrame | None = None,
) -> list[str]:
    """The prompts as the model gets them in a chat, up to where the option begins.

    Parameters
    ----------
    model : Model
        One whose tokenizer has a chat template.
    prompts : sequence of str
        N prompts.
    chat : Chat, optional
        None for the model's own (see `with_chat`), else `Chat()`.
    design : pandas.DataFrame, optional
        Fills the fields of the system text, one row per prompt.

    Returns
    -------
    list of str
        N laid-out texts. Options scored after them bring their own separator.

    Raises
    ------
    ValueError
        As `believe` does with a chat.

    Examples
    --------
    A template, for a model that brings none:

    >>> import simkit as sk
    >>> lm = sk.load("glassbox")
    >>> lm.tokenizer.chat_template = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\\n"
    >>> lm.tokenizer.chat_template += "{% endfor %}[assistant]\\n"
    >>> print(chat_prompts(lm, ["Do you buy milk?"])[0])
    [user] Do you buy milk?
    [assistant]
    Answer:
    """
    design = aligned({"prompts": prompts, "the design": design})["the design"]
    texts = listed(prompts, "prompts")
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"prompts hold {shown(text)}; they must be text")
        check_text(text)
    return lay_out(model, texts, talk(chat, model) or Chat(), design, separator=" ")[0]


def lay_out(
    model: Model,
    prompts: Sequence[str],
    chat: Chat,
    design: pd.DataFrame | None = None,
    *,
    separator: str,
    answers: Sequence[Spelled] | None = None,
) -> tuple[list[str], str]:
    """The laid-out prompts, and what is to stand between them and an option; see `laid_out`."""
    laid = laid_out(model, prompts, chat, design, separator=separator, answers=answers)
    return laid.texts, laid.separator


@dataclass(frozen=True)
class Laid:
    """Prompts as the model gets them.

    texts : up to the option. separator : what is to stand before it. thought : what was done
    about thoughts. cut : which of the texts hold one that had to be cut short; () for none.
    """

    texts: list[str]
    separator: str
    thought: Thought
    cut: Sequence[bool] = ()

    @property
    def channel(self) -> list[str] | None:
        """What is scored of each text; None where the template knows no thoughts."""
        channel = self.thought.channel
        if channel is None:
            return None
        return [CUT if cut else channel for cut in self.cut or [False] * len(self.texts)]


def laid_out(
    model: Model,
    prompts: Sequence[str],
    chat: Chat,
    design: pd.DataFrame | None = None,
    *,
    separator: str,
    answers: Sequence[Spelled] | None = None,
    opening: bool = False,
) -> Laid:
    """The prompts, laid out by the model's template; with `opening` only to where it writes.

    separator : the question's. answers : of each prompt, for `chat.answer`. Raises ValueError,
    naming the remedy, if the model has no chat template, the template refuses, drops or rewrites
    a text or ignores one of `chat.template_args`, the answer would stand in a thought (see
    `Chat`) or in the head of the turn, a text holds one of the tokenizer's control tokens, or
    nothing is left for the user's turn; and TypeError for a thought of a model that cannot write.
    """
    tokenizer = _with_template(model, chat)
    systems = system_texts(chat, design, answers, len(prompts))
    split = [without_prefix(prompt, chat.prefix) for prompt in prompts]
    users, begun = [user for user, _ in split], [sign for _, sign in split]
    _refuse_unfit(tokenizer, users, systems)
    talks = [_turns(u, s, chat.fold_system) for u, s in zip(users, systems, strict=True)]
    if not talks:
        return Laid([], separator, Thought())
    thought = _thought(model, tokenizer, talks[0], chat)
    chat = replace(chat, template_args=thought.args)
    texts = _render(tokenizer, talks, chat)
    _check_kept(texts, users, systems)
    lead = thought.head or _lead(tokenizer, talks[0], texts[0], chat)
    texts = [text + lead for text in texts]
    cut: list[bool] = []
    if opening:
        return Laid([text.rstrip(" ") for text in texts], separator, thought)
    if thought.end:
        texts, cut = think(model, texts, thought, chat.thought_tokens)
    if chat.prefix:
        between = separator if chat.separator is None else chat.separator
        texts = [text + chat.prefix + sign for text, sign in zip(texts, begun, strict=True)]
        return Laid(texts, between, thought, cut)
    bare = [text.rstrip(" ") for text in texts]
    blanks = texts[0][len(bare[0]) :]
    return Laid(bare, blanks if chat.separator is None else chat.separator, thought, cut)


def open_turns(
    model: Model,
    prompts: Sequence[str],
    chat: Chat,
    design: pd.DataFrame | None = None,
    answers: Sequence[Spelled] | None = None,
) -> list[str]:
    """The laid-out prompts up to where the model's turn begins, its prefix left out."""
    laid = laid_out(model, prompts, chat, design, separator="", answers=answers, opening=True)
    return laid.texts


def channel_of(model: Model, chat: Chat | bool | None) -> str | None:
    """What is scored in a chat, as `believe` says it; None for plain text or no thoughts."""
    way = talk(chat, model)
    if way is None:
        return None
    plain = replace(way, system=None if way.system is None else "a", answer=way.answer and "a")
    laid = laid_out(model, ["a"], plain, separator=" ", opening=True)
    return laid.thought.channel


def _with_template(model: Model, chat: Chat) -> Any:
    check_model(model)
    tokenizer: Any = getattr(model, "tokenizer", None)
    if getattr(tokenizer, "chat_template", None) is None:
        raise ValueError(
            f"{model.name} has no chat template; take a model whose tokenizer brings one "
            "(usually named -chat, -instruct or -it), or chat=False for plain text"
        )
    for name in chat.template_args:
        if not re.search(rf"\b{re.escape(name)}\b", tokenizer.get_chat_template()):
            raise ValueError(f"template_args: {model.name}'s chat template does not use {name!r}")
    return tokenizer


def system_texts(
    chat: Chat, design: pd.DataFrame | None, answers: Sequence[Spelled] | None, n: int
) -> list[str | None]:
    """The system text of each prompt: its own fields filled, and how to answer."""
    own: list[str] = [""] * n
    if chat.system is not None:
        own = list(fill(chat.system, pd.DataFrame(index=range(n)) if design is None else design))
        if len(own) != n:
            raise ValueError(f"the design has {len(own)} rows for {n} prompts")
    elif not chat.answer:
        return [None] * n
    if not chat.answer:
        return list(own)
    if answers is None:
        if chat.answer == "auto" or "{options}" in chat.answer:
            raise ValueError(
                f"answer={chat.answer!r} needs the question's options: believe and sample_runs "
                "know them; here, write them out"
            )
        return [_joined(text, chat.answer) for text in own]
    said = {row: instruction(chat.answer, [forms[0] for forms in row]) for row in set(answers)}
    return [_joined(text, said[row]) for text, row in zip(own, answers, strict=True)]


def _joined(system: str, answer: str) -> str:
    return f"{system.rstrip()} {answer}".lstrip()


def instruction(answer: str, options: Sequence[str]) -> str:
    """How to answer, with the options in words; "auto" for a sentence made of them.

    Examples
    --------
    >>> instruction("auto", ["yes", "no"])
    'Answer with one word: yes or no.'
    >>> instruction("auto", [str(value) for value in range(0, 101, 5)])
    'Answer with one number from 0 to 100.'
    >>> instruction("Say {options}, nothing else.", ["A", "B", "C"])
    'Say A, B or C, nothing else.'
    """
    numbers = all(re.fullmatch(r"-?\d+(\.\d*)?", option) for option in options)
    options = [option.rstrip(".") for option in options] if numbers else options
    either = f"{', '.join(options[:-1])} or {options[-1]}"
    if answer != "auto":
        return answer.replace("{options}", either)
    if numbers:
        low, high = min(options, key=float), max(options, key=float)
        span = f" from {low} to {high}" if len(options) > MOST_LISTED else ""
        return f"Answer with one number{span or f': {either}'}."
    if all(re.fullmatch(r"[A-Z]", option) for option in options):
        return f"Answer with one letter: {either}."
    kind = "word" if not any(re.search(r"\s", option) for option in options) else "of these"
    return f"Answer with one {kind}: {either}."


def without_prefix(prompt: str, prefix: str) -> tuple[str, str]:
    """The prompt without the prefix at its end, and the sign that stands behind it: "Answer: $"."""
    answer = answer_of(prefix)  # a prefix may close a thought before it answers
    before, found, sign = prompt.rpartition(answer) if answer else (prompt, "", "")
    if not found or not re.fullmatch(r"( ?[^\w\s])?", sign):
        return prompt, ""
    return before.rstrip(), sign


def _turns(user: str, system: str | None, fold: bool) -> list[dict[str, str]]:
    if system is None:
        return [{"role": "user", "content": user}]
    if fold:
        return [{"role": "user", "content": f"{system}\n\n{user}"}]
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def _refuse_unfit(tokenizer: Any, users: list[str], systems: list[str | None]) -> None:
    """Empty turns, and control tokens: a text that holds one would be read as the turn's end."""
    special = [t.content for t in tokenizer.added_tokens_decoder.values() if t.special]
    control = re.compile("|".join(map(re.escape, special)) or r"(?!)")
    for row, (user, system) in enumerate(zip(users, systems, strict=True)):
        if not user.strip():
            raise ValueError(f"row {row}: nothing is left of the prompt for the user's turn")
        if system is not None and not system.strip():
            raise ValueError(f"row {row}: the system text is empty; give None for no system text")
        match = control.search(user) or control.search(system or "")
        if match:
            raise ValueError(
                f"row {row}: the text holds {match[0]!r}, a control token; take it out"
            )


def _render(tokenizer: Any, talks: list[list[dict[str, str]]], chat: Chat) -> list[str]:
    try:
        return list(
            tokenizer.apply_chat_template(
                talks, add_generation_prompt=True, tokenize=False, **chat.template_args
            )
        )
    except TemplateError as error:
        if (chat.system is not None or chat.answer) and not chat.fold_system:
            raise ValueError(f"{_NO_SYSTEM} (it says: {error})") from error
        raise ValueError(f"the model's chat template refuses the prompt: {error}") from error
    except Exception as error:  # whatever a template's own expressions raise
        kind = type(error).__name__
        raise ValueError(f"the model's chat template fails with {kind}: {error}") from error


def _check_kept(opened: list[str], users: list[str], systems: list[str | None]) -> None:
    """Some templates pass over what they do not know, without a word."""
    for row, (text, user, system) in enumerate(zip(opened, users, systems, strict=True)):
        if system is not None and system.strip() not in text:
            raise ValueError(f"row {row}: {_NO_SYSTEM} (it leaves the text out)")
        if user.strip() not in text:
            raise ValueError(f"row {row}: the model's chat template drops or rewrites the prompt")


def _thought(model: Model, tokenizer: Any, talk: list[dict[str, str]], chat: Chat) -> Thought:
    """What is done about thoughts: the template's own text around an empty answer tells."""
    talk = [{**turn, "content": _MARK} if turn["role"] == "user" else turn for turn in talk]

    def opens(args: Mapping[str, Any]) -> str:
        return _render(tokenizer, [talk], replace(chat, template_args=args))[0]

    def turn(args: Mapping[str, Any]) -> str:
        return opens(args).rpartition(_MARK)[2]

    def own(args: Mapping[str, Any]) -> str:
        return _before_answer(tokenizer, talk, opens(args), args)

    source = re.sub(r"\{#.*?#\}", "", tokenizer.get_chat_template(), flags=re.DOTALL)
    layout = Layout(model.name, source, opens, turn, own)
    return plan(layout, chat.template_args, chat.prefix, chat.thinking)


def _before_answer(
    tokenizer: Any, talk: list[dict[str, str]], opened: str, args: Mapping[str, Any]
) -> str:
    """What the template itself puts between its generation prompt and an answer; "" if unknown.

    Found by letting it lay out an answer: "[/INST]" and "[/INST] answer" differ by a blank.
    """
    answer = {"role": "assistant", "content": _MARK}
    try:
        whole: str = tokenizer.apply_chat_template(
            [*talk, answer], add_generation_prompt=False, tokenize=False, **args
        )
    except TemplateError:
        return ""
    before = whole.rpartition(_MARK)[0]
    return before[len(opened) :] if before.startswith(opened) else ""


def _lead(tokenizer: Any, talk: list[dict[str, str]], opened: str, chat: Chat) -> str:
    """The blanks that the template puts between its generation prompt and an answer.

    Where it writes words there, as some do around past thoughts, nothing is taken over.
    """
    lead = _before_answer(tokenizer, talk, opened, chat.template_args)
    if "<|message|>" in lead and "<|message|>" not in chat.prefix:
        raise ValueError(
            f"the model's chat template puts {lead!r} before an answer, which is part of the "
            f"turn's head; give it: Chat(prefix={lead + 'Answer:'!r})"
        )
    return lead if lead.isspace() else ""
