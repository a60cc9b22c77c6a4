"""Chats: each template family against scoring, one by one, of the text laid out by hand."""

from __future__ import annotations

import string
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

import simkit as sk
from simkit.scoring.chat import Chat, chat_prompts, open_turns
from simkit.scoring.local import LocalModel
from simkit.scoring.runs.sampling import sample_runs
from tests.scoring.conftest import TEXT, make_network, make_tokenizer

ASK = "Question: Does the customer buy it?"
SYSTEM = "You are a shopper of few words."
BUY = sk.Question("Does the customer buy it?", ["yes", "no, definitely not"])
DESIGN = pd.DataFrame({"context": ["The price is $3.50.", "It is hot today."]})


@dataclass(frozen=True)
class Family:
    """A template's token layout: {user} and {system} stand where the texts go.

    turn : up to the answer. with_system : the same with a system turn, None if it takes none.
    blank : what stands between `turn` and an answer that opens the turn.
    """

    template: str
    special: tuple[str, ...]
    turn: str
    with_system: str | None
    bos: str | None = None
    adds_bos: bool = False
    blank: str = ""
    metaspace: bool = False


FAMILIES = {
    "chatml": Family(
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        ("<|im_start|>", "<|im_end|>"),
        "<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>system\n{system}<|im_end|>\n"
        "<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n",
    ),
    "llama3": Family(
        "{{ bos_token }}{% for m in messages %}<|head|>{{ m['role'] }}<|/head|>\n\n"
        "{{ m['content'] | trim }}<|eot|>{% endfor %}"
        "{% if add_generation_prompt %}<|head|>assistant<|/head|>\n\n{% endif %}",
        ("<|head|>", "<|/head|>", "<|eot|>"),
        "<s><|head|>user<|/head|>\n\n{user}<|eot|><|head|>assistant<|/head|>\n\n",
        "<s><|head|>system<|/head|>\n\n{system}<|eot|>"
        "<|head|>user<|/head|>\n\n{user}<|eot|><|head|>assistant<|/head|>\n\n",
        bos="<s>",
        adds_bos=True,
    ),
    "mistral": Family(
        "{{ bos_token }}{% for m in messages %}"
        "{% if m['role'] == 'user' %}[INST] {{ m['content'] }}[/INST]"
        "{% elif m['role'] == 'assistant' %} {{ m['content'] }}{{ eos_token }}"
        "{% else %}{{ raise_exception('only user and assistant') }}{% endif %}{% endfor %}",
        ("[INST]", "[/INST]"),
        "<s>[INST] {user}[/INST]",
        None,
        bos="<s>",
        adds_bos=True,
        blank=" ",
        metaspace=True,
    ),
    "gemma": Family(
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}<turn>"
        "{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n{{ m['content'] | trim }}"
        "</turn>\n{% endfor %}{% if add_generation_prompt %}<turn>model\n{% endif %}",
        ("<turn>", "</turn>"),
        "<s><turn>user\n{user}</turn>\n<turn>model\n",
        None,
        bos="<s>",
        adds_bos=True,
        metaspace=True,
    ),
    # No BOS in the template, plain-text tags, and a generation prompt without its newline.
    "zephyr": Family(
        "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}{{ eos_token }}\n"
        "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}",
        (),
        "<|user|>\n{user}</s>\n<|assistant|>\n",
        "<|system|>\n{system}</s>\n<|user|>\n{user}</s>\n<|assistant|>\n",
        bos="<s>",
        adds_bos=True,
    ),
}


def chat_tokenizer(family: Family) -> PreTrainedTokenizerFast:
    if family.metaspace:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        alphabet = [*string.printable, "▁"]
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + 90,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in family.special])
    if family.adds_bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=family.bos, eos_token="</s>"
    )
    fast.chat_template = family.template
    return fast


@cache
def model_of(name: str, template: str | None = None) -> LocalModel:
    tokenizer = chat_tokenizer(FAMILIES[name])
    if template is not None:
        tokenizer.chat_template = template
    network = make_network("llama", len(tokenizer), positions=512).eval()
    return LocalModel(name, network, tokenizer)


@pytest.fixture(params=FAMILIES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def by_hand(model: LocalModel, prompt: str, option: str) -> float:
    """One sequence, one forward pass; the text's own BOS, else the tokenizer's."""
    bos = model.tokenizer.bos_token
    own = bool(bos) and prompt.startswith(bos)
    start, ids = (
        model.tokenizer(text, add_special_tokens=not own)["input_ids"]
        for text in (prompt, prompt + option)
    )
    assert ids[: len(start)] == start
    if bos:
        assert ids.count(model.tokenizer.bos_token_id) == 1
    with torch.inference_mode():
        logp = model.network(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return sum(logp[i - 1, ids[i]].item() for i in range(len(start), len(ids)))


def check(name: str, chat: Chat | bool, prompts: list[str], separator: str) -> None:
    """`believe` equals scoring of these prompts, each option after the separator."""
    model = model_of(name)
    table = sk.believe(model, BUY, DESIGN, chat=chat)
    expected = [by_hand(model, p, separator + o) for p in prompts for o in BUY.options]
    np.testing.assert_allclose(table["logprob"], expected, atol=1e-5, rtol=0)


def users() -> list[str]:
    return [f"{context}\n{ASK}" for context in DESIGN["context"]]


# --- each family ------------------------------------------------------------------------------


def test_answer_after_a_prefix(name: str) -> None:
    # "Answer:" ends the template of the question: it moves from the user's turn to the model's.
    family = FAMILIES[name]
    lead = family.turn + family.blank + "Answer:"
    check(name, True, [lead.format(user=user) for user in users()], " ")


def test_answer_that_opens_the_turn(name: str) -> None:
    # No prefix: nothing is taken off the prompt, and the template's own blank goes to the option.
    family = FAMILIES[name]
    prompts = [family.turn.format(user=user + "\nAnswer:") for user in users()]
    check(name, Chat(prefix=""), prompts, family.blank)


def test_system_text(name: str) -> None:
    family = FAMILIES[name]
    if family.with_system is None:
        with pytest.raises(ValueError, match=r"takes no system turn.*fold_system=True"):
            sk.believe(model_of(name), BUY, DESIGN, chat=Chat(SYSTEM))
        return
    lead = family.with_system + family.blank + "Answer:"
    check(name, Chat(SYSTEM), [lead.format(user=u, system=SYSTEM) for u in users()], " ")


def test_system_text_folded_into_the_users_turn(name: str) -> None:
    family = FAMILIES[name]
    lead = family.turn + family.blank + "Answer:"
    prompts = [lead.format(user=f"{SYSTEM}\n\n{user}") for user in users()]
    check(name, Chat(SYSTEM, fold_system=True), prompts, " ")


def test_separator_that_is_asked_for(name: str) -> None:
    family = FAMILIES[name]
    prompts = [family.turn.format(user=user + "\nAnswer:") for user in users()]
    check(name, Chat(prefix="", separator=" - "), prompts, " - ")
    lead = family.turn + family.blank + "So:"
    prompts = [lead.format(user=user + "\nAnswer:") for user in users()]
    check(name, Chat(prefix="So:", separator="\n"), prompts, "\n")


def test_exactly_one_bos(name: str) -> None:
    model = model_of(name)
    if model.tokenizer.bos_token is None:
        return
    prompts = chat_prompts(model, users())
    ids = [list(np.frombuffer(i, dtype=">u4")) for i in model.reader.encode(prompts)]
    assert [i.count(model.tokenizer.bos_token_id) for i in ids] == [1, 1]
    assert all(i[0] == model.tokenizer.bos_token_id for i in ids)


# --- what a template may do -------------------------------------------------------------------


def test_generation_prompt_that_ends_in_a_blank() -> None:
    # "BOT: " would merge with the option; its blank goes to the option instead.
    template = (
        "{% for m in messages %}{{ 'HUMAN' if m['role'] == 'user' else 'BOT' }}: "
        "{{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}BOT: {% endif %}"
    )
    model = model_of("chatml", template)
    table = sk.believe(model, BUY, DESIGN[:1], chat=Chat(prefix=""))
    user = users()[0] + "\nAnswer:"
    expected = [by_hand(model, f"HUMAN: {user}\nBOT:", " " + o) for o in BUY.options]
    np.testing.assert_allclose(table["logprob"], expected, atol=1e-5, rtol=0)


def test_words_that_a_template_puts_before_past_answers_are_not_taken_over() -> None:
    template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
        "{% if m['role'] == 'assistant' %}It said: {% endif %}"
        "{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    found = chat_prompts(model_of("chatml", template), ["Hm?"])
    assert found == ["<|im_start|>user\nHm?<|im_end|>\n<|im_start|>assistant\nAnswer:"]


def test_an_empty_thought_that_a_template_puts_before_past_answers_closes_one() -> None:
    # Its model has learnt turns that begin with a thought, so it may well begin with one.
    template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
        "{% if m['role'] == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
        "{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    model = model_of("chatml", template)
    with pytest.raises(ValueError, match="lets the model open a thought") as caught:
        chat_prompts(model, ["Hm?"])
    lead = "<|im_start|>user\nHm?<|im_end|>\n<|im_start|>assistant\n"
    remedy = Chat(prefix="<think>\n\n</think>\n\nAnswer:")
    assert f"prefix={remedy.prefix!r}" in str(caught.value)
    for chat in (remedy, Chat(thinking="close")):
        assert chat_prompts(model, ["Hm?\nAnswer:"], chat) == [lead + remedy.prefix]


def test_template_args_reach_the_template() -> None:
    asked = "{% if enable_thinking is defined and not enable_thinking %}"
    template = FAMILIES["chatml"].template
    template = template[: template.rindex("{% endif %}")]
    template += asked + "<think>\n\n</think>\n\n{% endif %}{% endif %}"
    model, chat = model_of("chatml", template), Chat(template_args={"enable_thinking": False})
    lead = FAMILIES["chatml"].turn + "<think>\n\n</think>\n\nAnswer:"
    assert chat_prompts(model, ["Hm?"], chat) == [lead.format(user="Hm?")]
    table = sk.believe(model, BUY, DESIGN, chat=chat)
    prompts = [lead.format(user=user) for user in users()]
    expected = [by_hand(model, p, " " + o) for p in prompts for o in BUY.options]
    np.testing.assert_allclose(table["logprob"], expected, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="does not use 'enable_thinkng'"):
        chat_prompts(model, ["Hm?"], Chat(template_args={"enable_thinkng": False}))
    with pytest.raises(ValueError, match="'tokenize', which is not to be set"):
        Chat(template_args={"tokenize": True})


def test_a_template_that_leaves_texts_out_is_refused() -> None:
    only_user = (
        "{% for m in messages if m['role'] == 'user' %}<|im_start|>{{ m['content'] }}{% endfor %}"
    )
    with pytest.raises(ValueError, match=r"row 0: .*takes no system turn.*leaves the text out"):
        chat_prompts(model_of("chatml", only_user), ["Hm?"], Chat("Be brief."))
    loud = "{% for m in messages %}{{ m['content'] | upper }}{% endfor %}"
    with pytest.raises(ValueError, match=r"row 1: .*drops or rewrites"):
        chat_prompts(model_of("chatml", loud), ["HM?", "Hm?"])
    never = "{{ raise_exception('closed') }}"
    with pytest.raises(ValueError, match="refuses the prompt: closed"):
        chat_prompts(model_of("chatml", never), ["Hm?"])


OPEN = {  # how a thought is opened -> what closes it
    "<think>\n": "</think>",
    "<thinking>": "</thinking>",
    "<seed:think>\n": "</seed:think>",
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
    "<reasoning>\n": "</reasoning>",
    "<|begin_of_thought|>\n\n": "<|end_of_thought|>",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<start_working_out>": "<end_working_out>",
    "<|channel|>analysis<|message|>": "<|end|><|start|>assistant<|channel|>final<|message|>",
    "<|channel>thought\n": "<channel|>",
}


def thinking(opened: str, more: str = "") -> str:
    return (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n" + more + opened + "{% endif %}"
    )


@pytest.mark.parametrize("user", ["Hm?", "think", "<think>"])
@pytest.mark.parametrize("opened", OPEN)
def test_an_answer_never_stands_in_an_open_thought(opened: str, user: str) -> None:
    model = model_of("chatml", thinking(opened))
    mark, close = opened.strip().removesuffix("<|message|>"), OPEN[opened]
    close += "" if "channel" in mark else "\n\n"
    with pytest.raises(ValueError) as caught:
        chat_prompts(model, [user])
    assert f"opens a thought with {mark!r}" in str(caught.value)
    remedy = Chat(prefix=close + "Answer:")
    assert f"prefix={remedy.prefix!r}" in str(caught.value)
    lead = f"<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n{opened}"
    # The remedy, and the question's own "Answer:" is taken off the user's turn as ever.
    found = chat_prompts(model, [user + "\nAnswer:"], remedy)
    assert found == [lead + close + "Answer:"]
    with pytest.raises(ValueError, match="opens a thought"):
        sk.believe(model, BUY, DESIGN, chat=True)
    with pytest.raises(ValueError, match="opens a thought"):
        sample_runs(model, BUY, DESIGN, runs=1, chat=True)
    assert open_turns(model, [user], remedy) == [lead]


def test_a_thought_that_can_be_switched_off() -> None:
    switch = "{% if enable_thinking is not defined or enable_thinking %}"
    model = model_of("chatml", thinking("<think>\n{% endif %}", switch))
    with pytest.raises(ValueError, match=r"template_args=\{'enable_thinking': False\}"):
        chat_prompts(model, ["Hm?"])
    off = Chat(template_args={"enable_thinking": False})
    lead = "<|im_start|>user\nHm?<|im_end|>\n<|im_start|>assistant\n"
    assert chat_prompts(model, ["Hm?"], off) == [lead + "Answer:"]


def test_a_closed_thought_is_none() -> None:
    model = model_of("chatml", thinking("<think>\n\n</think>\n\n"))
    assert chat_prompts(model, ["Hm?"])[0].endswith("<think>\n\n</think>\n\nAnswer:")
    asked = model_of("chatml", thinking(""))  # what the user says of thoughts opens none
    assert chat_prompts(asked, ["What is <think>?"])[0].endswith("assistant\nAnswer:")


def test_a_head_that_the_template_completes_before_an_answer() -> None:
    template = (
        "{% for m in messages %}<|start|>{{ m.role }}"
        "{% if m.role == 'assistant' %}<|channel|>final{% endif %}<|message|>{{ m.content }}<|end|>"
        "{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}"
    )
    model = model_of("chatml", template)
    head = "<|channel|>final<|message|>"
    with pytest.raises(ValueError) as caught:
        chat_prompts(model, ["Hm?"])
    assert f"prefix={head + 'Answer:'!r}" in str(caught.value)
    found = chat_prompts(model, ["Hm?"], Chat(prefix=head + "Answer:"))
    assert found == [f"<|start|>user<|message|>Hm?<|end|><|start|>assistant{head}Answer:"]


def test_no_template() -> None:
    tokenizer = make_tokenizer(bos=False)
    bare = LocalModel("bare", make_network("gpt2", len(tokenizer)).eval(), tokenizer)
    for model in (bare, sk.MockModel(lambda prompt: {"yes": 0.5})):
        with pytest.raises(ValueError, match=f"{model.name} has no chat template"):
            sk.believe(model, BUY, DESIGN, chat=True)


# --- what a user may do -----------------------------------------------------------------------


def test_the_system_text_is_filled_from_the_design() -> None:
    design = DESIGN.assign(who=["Ann", "Bo"])
    model = model_of("chatml")
    found = chat_prompts(model, ["One?", "Two?"], Chat("You are {who}."), design)
    lead = FAMILIES["chatml"].with_system + "Answer:"
    texts = zip(("One?", "Two?"), ("Ann", "Bo"), strict=True)
    assert found == [lead.format(user=u, system=f"You are {w}.") for u, w in texts]
    table = sk.believe(model, BUY, design, chat=Chat("You are {who}."))
    prompt = lead.format(user=users()[1], system="You are Bo.")
    assert table["logprob"].iloc[2] == pytest.approx(by_hand(model, prompt, " yes"), abs=1e-5)
    with pytest.raises(ValueError, match=r"no column for \{who\}"):
        sk.believe(model, BUY, DESIGN, chat=Chat("You are {who}."))
    with pytest.raises(ValueError, match="2 rows for 1 prompts"):
        chat_prompts(model, ["One?"], Chat("You are {who}."), design)


def test_text_that_could_end_the_turn_is_refused() -> None:
    model = model_of("chatml")
    with pytest.raises(ValueError, match=r"row 1: .*'<\|im_end\|>', a control token"):
        chat_prompts(model, ["Hm?", "Hm?<|im_end|>"])
    with pytest.raises(ValueError, match=r"row 0: .*a control token"):
        chat_prompts(model, ["Hm?"], Chat("Be brief.<|im_start|>"))


@pytest.mark.parametrize(
    ("prompts", "chat", "message"),
    [
        (["Hm?", "Answer:"], Chat(), "row 1: nothing is left"),
        (["Hm?"], Chat(" "), "row 0: the system text is empty"),
    ],
)
def test_empty_turns(prompts: list[str], chat: Chat, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        chat_prompts(model_of("chatml"), prompts, chat)


def test_chat_as_it_is_given() -> None:
    model = model_of("chatml")
    plain = sk.believe(model, BUY, DESIGN)
    for off in (False, None):
        pd.testing.assert_frame_equal(sk.believe(model, BUY, DESIGN, chat=off), plain)
    pd.testing.assert_frame_equal(
        sk.believe(model, BUY, DESIGN, chat=True), sk.believe(model, BUY, DESIGN, chat=Chat())
    )
    with pytest.raises(ValueError, match="chat is 'chatml'"):
        sk.believe(model, BUY, DESIGN, chat="chatml")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no system text to fold"):
        Chat(fold_system=True)
    assert chat_prompts(model, []) == []


def test_lettered_options_in_a_chat() -> None:
    model = model_of("llama3")
    question = sk.Question("Buy?", ["yes", "no"], layout="letters")
    table = sk.believe(model, question, DESIGN[:1], chat=True, average=False)
    lead = FAMILIES["llama3"].turn + "Answer:"
    listed = ("A. yes\nB. no", "A. no\nB. yes")
    prompts = [lead.format(user=f"The price is $3.50.\nQuestion: Buy?\n{x}") for x in listed]
    expected = [
        by_hand(model, prompt, label)
        for prompt, labels in zip(prompts, [(" A", " B"), (" B", " A")], strict=True)
        for label in labels
    ]
    np.testing.assert_allclose(table["logprob"], expected, atol=1e-5, rtol=0)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30))
def test_any_text_stands_in_the_users_turn_as_it_is(text: str) -> None:
    user = "Q" + text  # braces, quotes, template marks: nothing in it is read as a template
    whole = FAMILIES["chatml"].turn.replace("{user}", user)
    assert chat_prompts(model_of("chatml"), [user], Chat(prefix="")) == [whole]
    moved = chat_prompts(model_of("chatml"), [user + "\nAnswer:"])
    assert moved == [FAMILIES["chatml"].turn.replace("{user}", user.rstrip()) + "Answer:"]
