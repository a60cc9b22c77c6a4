"""Template families: what is scored are the ids of the template's own tokenization of an answer.

Each family lays out a conversation that ends with the model's answer; its tokenizer makes ids of
it. What simkit scores, prompt and option, must be these ids up to the token that ends the turn.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

import simkit as sk
from simkit import audit
from simkit.audit import asking
from simkit.scoring.chat import Chat, chat_prompts
from simkit.scoring.engine.tokens import unpack
from simkit.scoring.local import LocalModel
from simkit.scoring.runs.asked import End, Runs
from simkit.scoring.types import Scores
from tests.scoring.conftest import TEXT, make_network

pytestmark = pytest.mark.filterwarnings("ignore::simkit.scoring.LowMassWarning")
OPTIONS = ["yes", "no", "no, definitely not"]
ASK = sk.Question("Does the customer buy it?", OPTIONS)
DESIGN = pd.DataFrame({
    "context": ["The price is $3.50.", "It is hot today."], "who": ["Ann", "Bo"],
})  # fmt: skip
SYSTEM = "You are {who}, a shopper."


@dataclass(frozen=True)
class Family:
    """A template in the layout of a family.

    special, plain : added tokens that are control tokens, and that are not. ends : what ends the
    model's turn. system : whether it takes a system turn. off : what switches thoughts off.
    """

    template: str
    special: tuple[str, ...]
    ends: str
    plain: tuple[str, ...] = ()
    bos: str | None = None
    system: bool = True
    metaspace: bool = False
    off: tuple[str, ...] = ()


_TURNS = "{%- for m in messages %}"
_LLAMA = "<|start_header_id|>{}<|end_header_id|>\n\n"
_QWEN = (
    "{%- set ns = namespace(last=0) %}"
    "{%- for m in messages if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endfor %}"
    + _TURNS + "{%- if m.role == 'assistant' and (loop.last or m.reasoning_content) %}"
    "{{- '<|im_start|>assistant\\n<think>\\n' + (m.reasoning_content or '') | trim + "
    "'\\n</think>\\n\\n' + m.content + '<|im_end|>\\n' }}"
    "{%- else %}{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{%- endif %}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
)  # fmt: skip
FAMILIES = {
    "chatml": Family(
        _TURNS + "{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
        "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}",
        ("<|im_start|>", "<|im_end|>"),
        "<|im_end|>",
    ),
    "llama3": Family(
        "{{- bos_token }}" + _TURNS
        + "{{- '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim"
        " + '<|eot_id|>' }}{%- endfor %}{%- if add_generation_prompt %}"
        "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}",
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "<|eot_id|>",
        bos="<|begin_of_text|>",
    ),
    "mistral": Family(  # the system text goes into the user's turn; a blank before the answer
        "{{- bos_token }}{%- if messages[0].role == 'system' %}{% set s = messages[0].content %}"
        "{%- endif %}{%- for m in messages if m.role != 'system' %}"
        "{%- if m.role == 'user' %}{{- '[INST] ' + (s + '\\n\\n' if s is defined and loop.last or "
        "s is defined and loop.first else '') + m.content + '[/INST]' }}"
        "{%- else %}{{- ' ' + m.content | trim + eos_token }}{%- endif %}{%- endfor %}",
        ("[INST]", "[/INST]"),
        "</s>",
        bos="<s>",
        metaspace=True,
    ),
    "gemma": Family(
        "{{- bos_token }}{%- if messages[0].role == 'system' %}"
        "{{- raise_exception('System role not supported') }}{%- endif %}" + _TURNS
        + "{{- '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' + "
        "m.content | trim + '<end_of_turn>\\n' }}{%- endfor %}{%- if add_generation_prompt %}"
        "{{- '<start_of_turn>model\\n' }}{%- endif %}",
        ("<start_of_turn>", "<end_of_turn>"),
        "<end_of_turn>",
        bos="<bos>",
        system=False,
        metaspace=True,
    ),
    "qwen": Family(  # thoughts by a switch that is on
        _QWEN + "{%- if enable_thinking is defined and enable_thinking is false %}"
        "{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}",
        ("<|im_start|>", "<|im_end|>"),
        "<|im_end|>",
        plain=("<think>", "</think>"),
        off=("enable_thinking",),
    ),
    "qwen-thinking": Family(  # always in an open thought
        _QWEN + "{{- '<think>\\n' }}{%- endif %}",
        ("<|im_start|>", "<|im_end|>"),
        "<|im_end|>",
        plain=("<think>", "</think>"),
    ),
    "gpt-oss": Family(  # thoughts in a channel of their own, which the model opens
        "{{- '<|start|>system<|message|>Reasoning: medium\\n\\n# Valid channels: analysis, "
        "commentary, final.<|end|>' }}" + _TURNS
        + "{%- if m.role == 'system' %}{{- '<|start|>developer<|message|># Instructions\\n\\n' + "
        "m.content + '\\n\\n<|end|>' }}"
        "{%- elif m.role == 'user' %}{{- '<|start|>user<|message|>' + m.content + '<|end|>' }}"
        "{%- else %}{%- if m.thinking %}{{- '<|start|>assistant<|channel|>analysis<|message|>' + "
        "m.thinking + '<|end|>' }}{%- endif %}"
        "{{- '<|start|>assistant<|channel|>final<|message|>' + m.content + '<|return|>' }}"
        "{%- endif %}{%- endfor %}{%- if add_generation_prompt %}{{- '<|start|>assistant' }}"
        "{%- endif %}",
        ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|return|>"),
        "<|return|>",
    ),
}  # fmt: skip
THINKING = ("qwen", "qwen-thinking", "gpt-oss")
PLAIN = tuple(name for name in FAMILIES if name not in THINKING)


def tokenizer_of(family: Family) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    if family.metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
        alphabet = [*string.printable, "▁"]
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    eos = "</s>" if family.ends == "</s>" else "<|endoftext|>"
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + 90,
        special_tokens=[t for t in (family.bos, eos) if t],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in family.special])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in family.plain])
    if family.bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{family.bos} $A",
            special_tokens=[(family.bos, tokenizer.token_to_id(family.bos))],
        )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=family.bos, eos_token=eos)
    fast.chat_template = family.template
    return fast


class Recording(LocalModel):
    """A model that keeps what it was asked to score, and whose thoughts may be given."""

    def __init__(self, *args: Any, thought: str | None = None) -> None:
        super().__init__(*args)
        vars(self).update(calls=[], thought=thought)

    def scores(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> Scores:
        self.calls.append((list(prompts), [tuple(row) for row in options]))
        return super().scores(prompts, options)

    def runs(self, asked: Any, row: Any, run: Any, how: Any, block: Any = None) -> Iterator[Runs]:
        if self.thought is None:
            yield from super().runs(asked, row, run, how, block)
            return
        ends = [End(ask, self.thought, 9, ask.text + self.thought + how.marker) for ask in asked]
        blank = np.full((len(ends), len(asked[0].spelled)), -1.0)
        yield Runs(row, run, np.full(len(row), 0.5), row, ends, blank, np.ones(len(ends)))


@cache
def _parts(name: str) -> tuple[Any, PreTrainedTokenizerFast]:
    tokenizer = tokenizer_of(FAMILIES[name])
    return make_network("llama", len(tokenizer), positions=1024).eval(), tokenizer


def model_of(name: str, thought: str | None = None) -> Recording:
    return Recording(name, *_parts(name), thought=thought)


def scored(model: Recording, chat: Chat, question: sk.Question = ASK) -> list[list[list[int]]]:
    """Ids of prompt and option of each row and spelling, as `believe` has them scored."""
    sk.believe(model, question, DESIGN, chat=chat)
    prompts, options = model.calls[0]
    contexts, answers = model.reader.read(prompts, options, range(len(prompts)))
    return [
        [unpack(context + option).tolist() for option in row]
        for context, row in zip(contexts, answers, strict=True)
    ]


def by_template(
    model: Recording, system: str | None, user: str, answer: str, **more: str
) -> list[int]:
    """Ids of the conversation with this answer, by the template's own tokenization."""
    talk: list[dict[str, str]] = [] if system is None else [{"role": "system", "content": system}]
    talk += [{"role": "user", "content": user}, {"role": "assistant", "content": answer, **more}]
    found = model.tokenizer.apply_chat_template(talk, tokenize=True, return_dict=False)
    return list(found)


def check(
    model: Recording, chat: Chat, systems: Sequence[str | None], said: Sequence[str],
    fold: bool = False, more: dict[str, str] | None = None,
) -> None:  # fmt: skip
    """Every option's ids are the template's own, up to the token that ends the turn."""
    bos, ends = model.tokenizer.bos_token_id, FAMILIES[model.name].ends
    rows = zip(scored(model, chat), DESIGN["context"], systems, strict=True)
    for found, context, system in rows:
        user = f"{context}\nQuestion: Does the customer buy it?"
        user += "" if chat.prefix else "\nAnswer:"
        if fold:
            user, system = f"{system}\n\n{user}", None
        assert len(found) == len(said)
        for ids, answer in zip(found, said, strict=True):
            lead = f"{chat.prefix} " if chat.prefix else ""
            whole = by_template(model, system, user, lead + answer, **(more or {}))
            assert whole[: len(ids)] == ids
            assert model.tokenizer.convert_ids_to_tokens(whole[len(ids)]) == ends
            assert bos is None or (ids.count(bos) == 1 and ids[0] == bos)


@pytest.fixture(params=FAMILIES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


CLOSE = Chat(thinking="close")  # changes nothing where a template knows no thoughts
WHO = [f"You are {who}, a shopper." for who in DESIGN["who"]]
HOW = "Answer with one of these: yes, no or no, definitely not."


# --- the ids are the template's own -----------------------------------------------------------


@pytest.mark.parametrize("prefix", ["Answer:", "So", ""])
def test_after_a_prefix_and_without_one(name: str, prefix: str) -> None:
    model = model_of(name)
    if prefix == "So":  # nothing of the prompt ends with it: the user's turn keeps "Answer:"
        question = sk.Question("{context} Buy?", OPTIONS, template="{question}")
        found = scored(model, replace(CLOSE, prefix="So"), question)
        for ids, context in zip(found, DESIGN["context"], strict=True):
            whole = by_template(model, None, f"{context} Buy?", "So yes")
            assert whole[: len(ids[0])] == ids[0]
        return
    check(model, replace(CLOSE, prefix=prefix), [None, None], OPTIONS)


@pytest.mark.parametrize(
    ("answer", "said"), [("", ""), ("auto", f" {HOW}"), ("Say {options}.", " Say yes, no or no, "
                                                         "definitely not.")]
)  # fmt: skip
def test_system_text_and_how_to_answer(name: str, answer: str, said: str) -> None:
    chat = replace(CLOSE, system=SYSTEM, answer=answer)
    if not FAMILIES[name].system:
        with pytest.raises(ValueError, match="takes no system turn"):
            scored(model_of(name), chat)
        return
    check(model_of(name), chat, [who + said for who in WHO], OPTIONS)
    # `asked` folds where it must, also where how to answer is all that is said.
    alone = replace(CLOSE, answer=answer)
    check(model_of(name), alone, [said.strip() or None] * 2, OPTIONS)


def test_system_text_folded_into_the_users_turn(name: str) -> None:
    chat = replace(CLOSE, system=SYSTEM, answer="auto", fold_system=True)
    check(model_of(name), chat, [f"{who} {HOW}" for who in WHO], OPTIONS, fold=True)


def test_spellings(name: str) -> None:
    said = [
        "yes", "Yes", "YES", "no", "No", "NO",
        "no, definitely not", "No, definitely not", "No, Definitely Not", "NO, DEFINITELY NOT",
    ]  # fmt: skip
    check(model_of(name), replace(CLOSE, spellings=True), [None, None], said)


@pytest.mark.parametrize(
    ("name", "more"), [("qwen", "reasoning_content"), ("qwen-thinking", "reasoning_content"),
                       ("gpt-oss", "thinking")]
)  # fmt: skip
@pytest.mark.parametrize("prefix", ["Answer:", ""])
def test_behind_a_thought_that_the_model_wrote(name: str, more: str, prefix: str) -> None:
    thought = "It is cheap."
    written = thought if more == "thinking" else thought + "\n"
    model = model_of(name, thought=written)
    chat = Chat(thinking="sample", prefix=prefix)
    check(model, chat, [None, None], OPTIONS, more={more: thought})


# --- what is done about thoughts --------------------------------------------------------------


def table_of(name: str, chat: Chat, **more: Any) -> pd.DataFrame:
    return sk.believe(model_of(name, **more), ASK, DESIGN, chat=chat)


@pytest.mark.parametrize("thinking", ["refuse", "close", "sample"])
@pytest.mark.parametrize("name", PLAIN)
def test_a_template_without_thoughts_is_left_as_it_is(name: str, thinking: str) -> None:
    table = table_of(name, Chat(thinking=thinking))
    pd.testing.assert_frame_equal(table, table_of(name, Chat()))
    assert "channel" not in table


@pytest.mark.parametrize("name", THINKING)
def test_an_answer_is_never_scored_where_a_model_would_think(name: str) -> None:
    with pytest.raises(ValueError, match=r"in the thought; take thinking='close'") as caught:
        table_of(name, Chat())
    with pytest.raises(ValueError, match="thinking='sample'"):
        sk.sample_runs(model_of(name), ASK, DESIGN, runs=1, chat=True)
    # The prefix that it suggests does what "close" does.
    prefix = str(caught.value).rpartition("Chat(prefix=")[2].removesuffix(")")
    by_hand = table_of(name, Chat(prefix=eval(prefix)))
    closed = table_of(name, CLOSE)
    pd.testing.assert_frame_equal(by_hand, closed)
    switch = "template_args={'enable_thinking': False}"
    assert (switch in str(caught.value)) == bool(FAMILIES[name].off)  # `thinking` of gpt-oss: none


@pytest.mark.parametrize(
    ("name", "head", "channel"),
    [
        ("qwen", "<think>\n\n</think>\n\n", "answer after a closed thought"),
        ("qwen-thinking", "<think>\n\n</think>\n\n", "answer after a closed thought"),
        ("gpt-oss", "<|channel|>final<|message|>", "final"),
    ],
)
def test_a_thought_is_closed_as_the_template_has_it(name: str, head: str, channel: str) -> None:
    (text,) = chat_prompts(model_of(name), ["Hm?"], CLOSE)
    assert text.endswith(f"assistant{'' if name == 'gpt-oss' else chr(10)}{head}Answer:")
    assert set(table_of(name, CLOSE)["channel"]) == {channel}


def test_the_switch_by_hand_and_a_switch_that_is_off() -> None:
    off = Chat(template_args={"enable_thinking": False})
    table = table_of("qwen", off)
    pd.testing.assert_frame_equal(table, table_of("qwen", CLOSE))
    for on in (True, "yes"):  # the user's own choice is not overruled by the switch
        chat = Chat(template_args={"enable_thinking": on})
        with pytest.raises(ValueError, match="lets the model open a thought"):
            table_of("qwen", chat)
        forced = table_of("qwen", replace(chat, thinking="close"))
        pd.testing.assert_frame_equal(forced, table)
    model = model_of("chatml")
    template = (  # off as it comes: the answer is scored, and the channel says so
        "{% if thinking %}Think: <think>{% endif %}" + FAMILIES["chatml"].template
    )
    model = Recording("quiet", model.network, _with(model.tokenizer, template))
    assert set(sk.believe(model, ASK, DESIGN, chat=True)["channel"]) == {"answer"}
    with pytest.raises(ValueError, match=r"template_args=\{'thinking': False\}"):
        chat_prompts(model, ["Hm?"], Chat(template_args={"thinking": True}))


def _with(tokenizer: Any, template: str) -> Any:
    other = tokenizer_of(FAMILIES["chatml"])
    other.chat_template = template
    return other


@pytest.mark.parametrize(
    ("more", "head"),
    [
        ("{# it may open <think> #}", None),  # a comment does nothing
        ("{% if '</think>' in messages[0].content %}{% endif %}", "<think>\n\n</think>\n\n"),
        ("{% set end = '[/THINK]' %}", "[THINK]\n\n[/THINK]\n\n"),
        ("{% set end = '<|end_of_thought|>' %}", "<|begin_of_thought|>\n\n<|end_of_thought|>\n\n"),
        ("{% set end = '<|END_THINKING|>' %}", "<|START_THINKING|>\n\n<|END_THINKING|>\n\n"),
        ("{% set on = enable_thinking %}", None),  # named, and of no effect
        ("{% set end = '<|end|>' %}", None),  # ends turns of all kinds
    ],
)
def test_marks_that_a_template_holds(more: str, head: str | None) -> None:
    model = Recording("held", _parts("chatml")[0], _with(None, more + FAMILIES["chatml"].template))
    (text,) = chat_prompts(model, ["Hm?"], CLOSE)
    assert text.endswith(f"<|im_start|>assistant\n{head or ''}Answer:")
    if head is None:
        assert chat_prompts(model, ["Hm?"]) == [text]
    else:
        with pytest.raises(ValueError, match="lets the model open a thought"):
            chat_prompts(model, ["Hm?"])


def test_a_prefix_that_opens_a_thought_is_refused() -> None:
    with pytest.raises(ValueError, match="followed by a prefix that opens a thought with '<think>"):
        table_of("chatml", Chat(prefix="<think>\nAnswer:"))


def test_a_thought_that_is_switched_on_without_a_mark() -> None:
    template = "{% if enable_thinking %}Think.{% endif %}" + FAMILIES["chatml"].template
    model = Recording("dark", _parts("chatml")[0], _with(None, template))
    for thinking in ("close", "sample"):
        chat = Chat(template_args={"enable_thinking": True}, thinking=thinking)
        with pytest.raises(ValueError, match=r"dark's chat template shows no mark that"):
            chat_prompts(model, ["Hm?"], chat)


# --- sampled ----------------------------------------------------------------------------------

SAMPLE = Chat(thinking="sample", thought_tokens=12)


@pytest.mark.parametrize("name", THINKING)
def test_a_thought_is_bounded_seeded_and_counted(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")
    end = "<|end|>" if name == "gpt-oss" else "</think>"
    texts = chat_prompts(model_of(name), ["Once?", "Why?", "Once?"], SAMPLE)
    assert texts[0] == texts[2] != texts[1]  # by the prompt's text
    assert f"3 of 3 thoughts did not end within 12 tokens: closed there by '{end}'" in caplog.text
    assert all(text.endswith("Answer:") and end in text for text in texts)
    assert chat_prompts(model_of(name), ["Why?"], SAMPLE) == texts[1:2]  # and nothing else
    table = table_of(name, SAMPLE)
    assert set(table["channel"]) == {"answer after a thought cut short"}
    longer = table_of(name, replace(SAMPLE, thought_tokens=20))
    assert (longer["logprob"] != table["logprob"]).any()
    ended = table_of(name, SAMPLE, thought="Cheap.\n")
    assert set(ended["channel"]) == {"answer after a sampled thought"}


def test_thoughts_are_kept_with_the_scores(tmp_path: Any) -> None:
    model = model_of("qwen")
    cached = sk.Cached(model, tmp_path / "scores.sqlite")
    plain = sk.believe(model, ASK, DESIGN, chat=SAMPLE)
    for _ in range(2):
        table = sk.believe(cached, ASK, DESIGN, chat=SAMPLE)
        pd.testing.assert_frame_equal(table, plain)
    assert cached.stored == 4  # 2 thoughts, 2 rows of scores
    first = sk.sample_runs(cached, ASK, DESIGN, runs=2, forced=True, max_tokens=5, chat=SAMPLE)
    again = sk.sample_runs(cached, ASK, DESIGN, runs=2, forced=True, max_tokens=5, chat=SAMPLE)
    pd.testing.assert_frame_equal(first, again)
    assert cached.stored == 8


@pytest.mark.parametrize("prefix", ["Answer:", ""])
@pytest.mark.parametrize("name", THINKING)
def test_the_reasoning_of_a_run_is_the_thought(name: str, prefix: str) -> None:
    model, chat = model_of(name), replace(SAMPLE, prefix=prefix)
    how: dict[str, Any] = {"runs": 3, "max_tokens": 6, "chat": chat}
    silent = sk.sample_runs(model, ASK, DESIGN, **how)
    assert silent["belief"].isna().all() and silent["channel"].isna().all()
    table = sk.sample_runs(model, ASK, DESIGN, forced=True, **how)
    assert set(table["channel"]) == {"answer after a thought cut short"}
    # As plain text: the prompt up to the thought, what was written, its end, and the answer.
    row = table.iloc[0]
    (cut,) = chat_prompts(model, [ASK.prompts(DESIGN)[0]], chat)
    head = cut[: cut.index("assistant", cut.rindex("buy it?"))]
    tail = {
        "gpt-oss": "<|end|><|start|>assistant<|channel|>final<|message|>",
    }.get(name, "</think>\n\n")  # fmt: skip
    opened = "<|channel|>analysis<|message|>" if name == "gpt-oss" else "\n<think>\n"
    text = f"{head}assistant{opened}{row['reasoning']}{tail}{prefix}"
    lead = " " if prefix else ""
    alone = sk.score(model, [text], [lead + option for option in OPTIONS])
    assert table["logprob"].to_numpy()[:3] == pytest.approx(alone[0], abs=1e-5)
    with pytest.raises(ValueError, match="leave marker out"):
        sk.sample_runs(model, ASK, DESIGN, marker="So:", **how)


def test_the_reasoning_of_a_run_stands_behind_a_closed_thought() -> None:
    table = sk.sample_runs(model_of("qwen"), ASK, DESIGN, runs=1, forced=True, chat=CLOSE)
    assert set(table["channel"]) == {"answer after a closed thought"}
    prefix = Chat(prefix="</think>\n\nAnswer:")  # the reasoning is the thought
    table = sk.sample_runs(model_of("qwen-thinking"), ASK, DESIGN, runs=1, forced=True, chat=prefix)
    assert set(table["channel"]) == {"answer after a thought cut short"}


def test_orders_keep_their_channels() -> None:
    question = sk.Question("Buy?", ["yes", "no"], layout="letters")
    by_order = sk.believe(model_of("qwen"), question, DESIGN, chat=CLOSE, average=False)
    average = sk.believe(model_of("qwen"), question, DESIGN, chat=CLOSE)
    pd.testing.assert_frame_equal(sk.scoring.average_orders(by_order), average)
    assert set(average["channel"]) == {"answer after a closed thought"}
    by_order.loc[by_order["order"] == 1, "channel"] = "answer after a thought cut short"
    both = "answer after a closed thought; answer after a thought cut short"
    assert set(sk.scoring.average_orders(by_order)["channel"]) == {both}
    own = by_order.assign(channel=[["shop"]] * len(by_order))  # a design's own, of any kind
    assert sk.scoring.average_orders(own)["channel"].tolist() == [["shop"]] * 4


def test_a_design_with_a_channel_of_its_own() -> None:
    design = DESIGN.assign(channel="shop")
    assert set(sk.believe(model_of("chatml"), ASK, design, chat=True)["channel"]) == {"shop"}
    for ask in (sk.believe, sk.sample_runs):
        more = {} if ask is sk.believe else {"runs": 1}
        with pytest.raises(ValueError, match="already has a column 'channel'"):
            ask(model_of("qwen"), ASK, design, chat=CLOSE, **more)


def test_where_no_thought_can_be_sampled(tmp_path: Any) -> None:
    source, out = tmp_path / "design.parquet", tmp_path / "beliefs.parquet"
    DESIGN.rename(columns={"context": "prompt"}).to_parquet(source)
    model = model_of("qwen")
    with pytest.raises(ValueError, match="which score_parquet does not; take thinking='close'"):
        sk.score_parquet(model, source, out, OPTIONS, chat=SAMPLE)
    sk.score_parquet(model, source, out, OPTIONS, chat=CLOSE)
    kept = pd.read_parquet(out)
    assert set(kept["channel"]) == {"answer after a closed thought"}
    question = sk.Question("", OPTIONS, template="{context}")
    table = sk.believe(model, question, DESIGN, chat=CLOSE)
    assert kept["belief"].to_numpy() == pytest.approx(table["belief"].to_numpy())

    class Mute:
        name, tokenizer, scores = "mute", model.tokenizer, model.scores

    with pytest.raises(TypeError, match=r"mute .* has no `runs`.*take thinking='close'"):
        sk.believe(Mute(), ASK, DESIGN, chat=SAMPLE)
    long = replace(SAMPLE, thought_tokens=2000)
    with pytest.raises(ValueError, match=r"row 0: .*thought_tokens\) of up to 2000"):
        sk.believe(model, ASK, DESIGN, chat=long)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"thinking": "maybe"}, "no thinking 'maybe'"), ({"thought_tokens": 0}, "thought_tokens")],
)
def test_what_a_chat_refuses(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Chat(**wrong)


# --- a study's parameters ---------------------------------------------------------------------


def test_a_study_passes_on_what_is_done_about_thoughts() -> None:
    asks = {"buys": (ASK, DESIGN)}
    with pytest.raises(ValueError, match="in the thought; take thinking='close'"):
        audit.asked(model_of("qwen"))
    for name in ("chatml", "gemma", "qwen", "gpt-oss"):
        lm = audit.asked(model_of(name), system=SYSTEM, thinking="close")  # {who} is filled later
        assert lm.chat.thinking == "close" and lm.chat.fold_system == (name == "gemma")
        assert len(audit.measure(lm, asks, prompts=2, written=False).mass) == 1
    thought = audit.asked(model_of("qwen", thought="Cheap.\n"), answer="", thinking="sample")
    works = audit.measure(thought, asks, prompts=2)
    assert "-p chat no" in works.end or "this study ends" in works.end.lower()
    assert audit.asked(model_of("chatml"), chat="no", thinking="close").chat is None
    with pytest.raises(ValueError, match="no thinking 'off'"):
        audit.asked(model_of("chatml"), thinking="off")


def test_the_remedy_of_a_failing_study_closes_thoughts() -> None:
    plain = audit.asked(model_of("qwen"), chat="no")
    ways = asking._ways(plain)
    assert "-p chat yes -p answer auto -p thinking close" in ways
    assert audit.asked(plain, **ways["-p chat yes -p answer '' -p thinking close"]).chat.spellings
    assert "-p chat yes -p answer auto" in asking._ways(audit.asked(model_of("gemma")))


def test_a_chat_of_its_own_stays_with_the_model(tmp_path: Any) -> None:
    lm = sk.with_chat(model_of("qwen"), CLOSE)
    said = sk.believe(lm, ASK, DESIGN)
    pd.testing.assert_frame_equal(said, table_of("qwen", CLOSE))
    for kept in (sk.Cached(lm, tmp_path / "a"), sk.with_chat(sk.Cached(model_of("qwen"),
                                                             tmp_path / "b"), CLOSE)):  # fmt: skip
        pd.testing.assert_frame_equal(sk.believe(kept, ASK, DESIGN), said)
    assert replace(LocalModel("m", *_parts("qwen")), chat=CLOSE, name="n").chat == CLOSE
