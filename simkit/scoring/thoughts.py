"""Thoughts that a chat template opens before an answer, or lets a model open, and their end.

The model's turn begins in one of four ways. It is plain (the template knows no thoughts), or a
thought was closed or switched off there, or one is open (the template wrote "<think>"), or the
model may open one itself ("<|im_start|>assistant" of a template with an `enable_thinking` that is
on; "<|start|>assistant" of one with channels). In the last two an answer would be scored where the
model does not answer.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simkit.scoring.runs.asked import Ask, Writing
from simkit.scoring.types import renamed_rows

__all__ = ["CUT", "SAMPLED", "THINKING", "Layout", "Thought", "answer_of", "plan", "think"]

THINKING = ("refuse", "close", "sample")
ANSWER, CLOSED, FINAL = "answer", "answer after a closed thought", "final"
SAMPLED, CUT = "answer after a sampled thought", "answer after a thought cut short"
SWITCHES = re.compile(r"\b(?:enable_thinking|thinking)\b")
_FINAL = "<|channel|>final<|message|>"
# How templates open a thought, and how they close it.
_THOUGHT = r"(?:\w+:)?(?:think\w*|thoughts?|reason\w*|reflect\w*|analysis|scratch_?pad)"
_OPENED = re.compile(
    rf"<{_THOUGHT}>|\[{_THOUGHT}\]|◁{_THOUGHT}▷|<\|(?:begin_of_|start_)?{_THOUGHT}(?:_start)?\|>"
    r"|<start_working_out>|<\|channel\|?>\s*(?:analysis|commentary|thought)\b",
    re.IGNORECASE,
)
_ENDED = (
    rf"</{_THOUGHT}>|\[/{_THOUGHT}\]|◁/{_THOUGHT}▷|<\|(?:end_of_|end_|/){_THOUGHT}\|>"
    rf"|<\|{_THOUGHT}_end\|>|<end_working_out>|<channel\|>"
    r"|<\|channel\|>\s*final\b(?:<\|message\|>)?"
)
_CLOSED = re.compile(rf"{_ENDED}|<\|end\|>", re.IGNORECASE)  # behind a mark that opens
_SHUT = re.compile(_ENDED, re.IGNORECASE)  # by itself: "<|end|>" ends turns of all kinds
_DUMMY = ((" a",), (" b",))  # options that no one reads: thoughts alone are wanted

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layout:
    """A template as far as thoughts go.

    name : of the model. source : of the template, without comments. turn : {further names for it}
    -> what it writes from the end of the user's text to where the model begins; the whole
    conversation is `opens`. own : what it puts between that and an answer in a past turn.
    """

    name: str
    source: str
    opens: Callable[[Mapping[str, Any]], str]
    turn: Callable[[Mapping[str, Any]], str]
    own: Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class Thought:
    """What is done about a thought.

    args : further names for the template. head : written at the head of the model's turn. end,
    after : the mark that ends a thought which the model is to write first, and what follows it;
    "" where it is to write none. channel : what is scored then, None where the template knows no
    thoughts. by_prefix : whether it is the answer's own prefix that closes an open thought.
    """

    args: Mapping[str, Any] = field(default_factory=dict)
    head: str = ""
    end: str = ""
    after: str = ""
    channel: str | None = None
    by_prefix: bool = False


def answer_of(prefix: str) -> str:
    """What of a prefix is the answer's: all, or what follows its last mark that ends a thought."""
    closed = [*_CLOSED.finditer(prefix)]
    return prefix[closed[-1].end() :].lstrip() if closed else prefix


def plan(layout: Layout, args: Mapping[str, Any], prefix: str, thinking: str) -> Thought:
    """What is to be done so that an answer stands outside any thought.

    Raises ValueError, with the ways out, for thinking="refuse" where it would stand in one.
    """
    switch = _switch(layout, args)
    if thinking == "sample" and switch is not None and switch not in args:
        args = {**args, switch: True}
    found = _as_it_stands(layout, args, prefix, switch)
    if found is not None:
        return found
    if thinking == "refuse":
        raise ValueError(_refusal(layout, args, prefix, switch))
    if thinking == "sample":
        return _sampled(layout, args)
    if switch is not None and switch not in args:
        off = _as_it_stands(layout, {**args, switch: False}, prefix, switch)
        if off is not None:
            return off
    head = _close(layout, args)
    return Thought(args, head, channel=FINAL if _FINAL in head else CLOSED)


def _as_it_stands(
    layout: Layout, args: Mapping[str, Any], prefix: str, switch: str | None
) -> Thought | None:
    """What the template does, if an answer behind the prefix stands outside any thought."""
    turn = layout.turn(args)
    whole = turn + prefix
    if _open(whole):
        return None
    if _OPENED.search(whole) or _SHUT.search(whole):
        channel = FINAL if re.search(r"<\|channel\|>\s*final\b", whole) else CLOSED
        return Thought(args, channel=channel, by_prefix=bool(_open(turn)))
    if switch is not None:
        on = layout.opens(args) != layout.opens({**args, switch: False})
        return None if on else Thought(args, channel=ANSWER)
    return None if _marks(layout.source) else Thought(args)


def _open(text: str) -> str:
    """The mark of a thought that is open at the end of a text, "" for none."""
    opened = [*_OPENED.finditer(text)]
    return "" if not opened or _CLOSED.search(text, opened[-1].end()) else opened[-1][0]


def _switch(layout: Layout, args: Mapping[str, Any]) -> str | None:
    """The name that turns thoughts on and off: one by which the template's text differs."""
    for name in dict.fromkeys(SWITCHES.findall(layout.source)):
        try:
            if layout.opens({**args, name: True}) != layout.opens({**args, name: False}):
                return str(name)
        except ValueError:  # it does not take this
            continue
    return None


def _marks(source: str) -> tuple[str, str] | None:
    """The marks of thoughts that a template's source holds: what opens one, and what ends it."""
    opened = _OPENED.search(source)
    if opened is not None:
        return opened[0], _end_of(opened[0])
    if "<|channel|>" in source:
        return "<|channel|>analysis", "<|end|>"
    ended = _SHUT.search(source)
    if ended is None:
        return None
    opening = re.sub(r"^([<\[◁]\|?)/", r"\1", ended[0])
    opening = opening.replace("end_of_", "begin_of_").replace("_end|>", "_start|>")
    opening = opening.replace("<|end_", "<|start_").replace("<|END_", "<|START_")
    opening = opening.replace("<end_working", "<start_working")
    return ("<|channel>thought", ended[0]) if ended[0] == "<channel|>" else (opening, ended[0])


def _end_of(mark: str) -> str:
    """What ends a thought that this mark opens."""
    if "<|channel|>" in mark:
        return "<|end|>"
    if "<|channel>" in mark:
        return "<channel|>"
    close = re.sub(r"^([<\[◁])(?!\|)", r"\1/", mark)
    for start, end in (("begin_of_", "end_of_"), ("start_", "end_"), ("START_", "END_")):
        close = close.replace("/" + start, start).replace(start, end)
    close = close.replace("_start|>", "_end|>")
    return close.replace("<|", "<|/", 1) if close == mark else close


def _after(own: str, end: str) -> str:
    """What stands between the end of a thought and an answer."""
    if end == "<|end|>":
        return f"<|start|>assistant{_FINAL}"
    if end in own:  # as the template has it
        return own.rpartition(end)[2]
    return "" if end == "<channel|>" else "\n\n"


def _close(layout: Layout, args: Mapping[str, Any]) -> str:
    """What, written at the head of the model's turn, leaves no thought open."""
    turn, own = layout.turn(args), layout.own(args)
    if _SHUT.search(own) and not _open(turn + own):
        return own  # as the template has it before an answer without a thought
    mark = _open(turn)
    if mark:
        return _end_of(mark) + _after(own, _end_of(mark))
    marks = _marks(layout.source)
    if marks is None:
        raise ValueError(_no_mark(layout, "closes"))
    if marks[1] == "<|end|>":
        return _FINAL
    blank = "" if marks[1] == "<channel|>" else "\n\n"
    return marks[0] + blank + marks[1] + _after(own, marks[1])


def _sampled(layout: Layout, args: Mapping[str, Any]) -> Thought:
    """A thought that the model is to write to its end: opened for it where it would do that."""
    turn, own = layout.turn(args), layout.own(args)
    mark, head = _open(turn), ""
    if not mark:
        opened, marks = _OPENED.search(own), _marks(layout.source)
        if opened is not None:
            mark, head = opened[0], own[: opened.end()]
            head += "\n" if own[opened.end() :].startswith("\n") else ""
        elif marks is None:
            raise ValueError(_no_mark(layout, "opens"))
        else:
            mark = marks[0]
            head = mark + ("<|message|>" if "<|channel|>" in mark else "\n")
    end = _end_of(mark)
    return Thought(args, head, end, _after(own, end), SAMPLED)


def _no_mark(layout: Layout, does: str) -> str:
    return (
        f"{layout.name}'s chat template shows no mark that {does} a thought; give what closes it "
        "before the answer, as Chat(prefix='</think>\\n\\nAnswer:'), or switch thoughts off by "
        "template_args"
    )


def _refusal(layout: Layout, args: Mapping[str, Any], prefix: str, switch: str | None) -> str:
    mark = _open(layout.turn(args) + prefix)
    what = "lets the model open a thought before it answers"
    if mark:
        what = f"opens a thought with {mark!r} and leaves it open"
        if not _open(layout.turn(args)):
            what = f"is followed by a prefix that opens a thought with {mark!r}"
    off = f"Chat(template_args={{{switch!r}: False}}) or " if switch is not None else ""
    try:
        own = f"{off}Chat(prefix={_close(layout, args) + 'Answer:'!r})"
    except ValueError:
        own = f"{off}Chat(prefix=...) with what closes it"
    return (
        f"the model's chat template {what}, so that the answer would stand in the thought; take "
        f"thinking='close' (no thought), thinking='sample' (the model writes it first), or close "
        f"it yourself: {own}"
    )


def think(
    model: Any, texts: Sequence[str], thought: Thought, most: int
) -> tuple[list[str], list[bool]]:
    """The texts with a thought behind each, its end included; and which had to be cut short.

    Written at temperature 1 in up to `most` tokens, each by a stream of its text: equal texts have
    equal thoughts. Raises TypeError for a model that writes no runs.
    """
    if getattr(model, "runs", None) is None:
        raise TypeError(
            f"{model.name} ({type(model).__name__}) has no `runs`, which thinking='sample' needs; "
            "take thinking='close', or a language model from simkit.load"
        )
    first: dict[str, int] = {}
    rows = [i for i, text in enumerate(texts) if first.setdefault(text, i) == i]
    asked = [Ask(i, text, _DUMMY, 0) for i, text in enumerate(first)]
    row = np.arange(len(asked))
    found: dict[str, tuple[str, bool]] = {}
    how = Writing(0, thought.end, True, most, 1.0)
    with renamed_rows(rows):
        try:
            for block in model.runs(asked, row, np.zeros_like(row), how):
                for i, number in zip(block.row.tolist(), block.number.tolist(), strict=True):
                    end = block.ends[number]
                    text = asked[i].text
                    found[text] = f"{text}{end.reasoning}{thought.end}{thought.after}", end.forced
        except ValueError as error:
            if f"max_tokens {most}" not in str(error):
                raise
            said = str(error).replace("max_tokens", "a thought (Chat's thought_tokens) of up to")
            raise ValueError(said) from error
    cut = [found[text][1] for text in texts]
    if any(cut):
        _log.warning(
            "%d of %d thoughts did not end within %d tokens: closed there by %r",
            sum(cut), len(cut), most, thought.end,
        )  # fmt: skip
    return [found[text][0] for text in texts], cut
