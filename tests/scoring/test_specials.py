"""Special tokens once and none behind the prompt; tokens and texts that a model cannot take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

import simkit as sk
from simkit.scoring.engine.tokens import Reader, unpack
from simkit.scoring.local import LocalModel
from simkit.scoring.runs.sampling import sample_runs
from simkit.training.packing import encode
from tests.scoring.conftest import make_network, make_tokenizer

PROMPTS, OPTIONS = ["It is hot.", "The price is $3.50."], [" yes", " definitely not"]
# What a tokenizer puts around a text: GLM's, BERT's, a plain BOS, an end only, both.
AROUND = {
    "two": (("[gMASK]", "<sop>"), ()),
    "three": (("[a]", "[b]", "[c]"), ()),
    "bert": (("[CLS]",), ("[SEP]",)),
    "bos": (("<s>",), ()),
    "end": ((), ("</s>",)),
    "bos and end": (("<s>",), ("</s>",)),
}


def around(name: str, *, lowercase: bool = False, **names: str) -> PreTrainedTokenizerFast:
    front, tail = AROUND[name]
    backend = make_tokenizer(bos=False).backend_tokenizer
    backend.add_special_tokens([*front, *tail])
    if lowercase:  # read in full, not piece by piece
        backend.normalizer = normalizers.Lowercase()
    special = [(t, backend.token_to_id(t)) for t in (*front, *tail)]
    backend.post_processor = processors.TemplateProcessing(
        single=" ".join([*front, "$A", *tail]), special_tokens=special
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>", **names)


def by_hand(network: Any, start: list[int], ids: list[int]) -> float:
    with torch.inference_mode():
        logp = network(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return sum(logp[i - 1, ids[i]].item() for i in range(len(start), len(ids)))


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("name", AROUND)
def test_what_goes_before_a_text_stands_there_once(name: str, lowercase: bool) -> None:
    tokenizer = around(name, lowercase=lowercase)
    front, _ = AROUND[name]
    ahead = tokenizer.convert_tokens_to_ids(list(front))
    reader = Reader(tokenizer)
    assert reader.by_pieces != lowercase
    bare = tokenizer("it is hot.", add_special_tokens=False)["input_ids"]
    # However much of it the text writes itself: all, its end, its beginning, one from within.
    for written in {"", *("".join(front[i:j]) for i in range(3) for j in range(i, 4))}:
        found = unpack(reader.encode([f"{written}it is hot."])[0]).tolist()
        assert found == [*ahead, *bare]
    # Behind an empty line, as some templates begin, it stands in the text's own place.
    if front:
        text = "\n " + "".join(front) + "it is hot."
        own = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert unpack(reader.encode([text])[0]).tolist() == own
    # Twice in the text is twice.
    if len(front) == 1:
        found = unpack(reader.encode([front[0] * 2 + "it is hot."])[0]).tolist()
        assert found == [*ahead, *ahead, *bare]


@pytest.mark.parametrize("name", AROUND)
def test_scores_are_those_of_the_text_without_an_end(name: str) -> None:
    tokenizer = around(name)
    network = make_network("llama", len(tokenizer)).eval()
    model = LocalModel(name, network, tokenizer)
    ahead = tokenizer.convert_tokens_to_ids(list(AROUND[name][0]))
    want = []
    for prompt in PROMPTS:
        start = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        after = [tokenizer(prompt + o, add_special_tokens=False)["input_ids"] for o in OPTIONS]
        want.append([by_hand(network, ahead + start, ahead + ids) for ids in after])
    np.testing.assert_allclose(sk.score(model, PROMPTS, OPTIONS), want, atol=1e-5, rtol=0)
    question = sk.Question("", ["yes", "no"], template="{context}")
    design = pd.DataFrame({"context": PROMPTS})
    table = sample_runs(model, question, design, runs=1, max_tokens=3, forced=True)
    assert np.isfinite(table["logprob"]).all()


def test_a_bos_that_has_another_name() -> None:
    # It is the pad token that opens a text here; the bos_token that is named is never put there.
    tokenizer = around("two", bos_token="<s>", pad_token="<sop>")
    ids = unpack(Reader(tokenizer).encode(["[gMASK]<sop><s>It is hot."])[0]).tolist()
    assert tokenizer.convert_ids_to_tokens(ids)[:4] == ["[gMASK]", "<sop>", "<s>", "It"]


@pytest.mark.parametrize("name", ["two", "bert", "bos and end"])
def test_a_template_that_writes_them_too(name: str) -> None:
    tokenizer, (front, _) = around(name), AROUND[name]
    tokenizer.chat_template = (
        "".join(front) + "{% for m in messages %}[{{ m.role }}]\n{{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}[assistant]\n{% endif %}"
    )
    network = make_network("llama", len(tokenizer)).eval()
    model = LocalModel(name, network, tokenizer)
    design = pd.DataFrame({"context": ["It is hot."]})
    table = sk.believe(model, sk.Question("Buy?", ["yes", "no"]), design, chat=True)
    turn = [{"role": "user", "content": "It is hot.\nQuestion: Buy?"}]
    # As transformers feeds it, and the answer behind.
    start = tokenizer.apply_chat_template(turn, add_generation_prompt=True)["input_ids"]
    start += tokenizer("Answer:", add_special_tokens=False)["input_ids"]
    want = [
        by_hand(network, start, start + tokenizer(o, add_special_tokens=False)["input_ids"])
        for o in (" yes", " no")
    ]
    np.testing.assert_allclose(table["logprob"], want, atol=1e-5, rtol=0)


class Whimsical(PreTrainedTokenizerFast):
    """Puts an end behind texts of more than six tokens: no rule that two texts would show."""

    def __call__(self, text: list[str], add_special_tokens: bool = True, **more: Any) -> Any:
        found = super().__call__(text, add_special_tokens=False, **more)
        if add_special_tokens:
            found["input_ids"] = [
                [*ids, self.eos_token_id] if len(ids) > 6 else ids for ids in found["input_ids"]
            ]
        return found


def test_an_end_that_cannot_be_told_apart_is_named() -> None:
    backend = make_tokenizer(bos=False).backend_tokenizer
    reader = Reader(Whimsical(tokenizer_object=backend, eos_token="</s>"))
    prompt = "The price is $3.50. Does the customer buy it?"
    with pytest.raises(sk.BoundaryError, match=r"row 3: .*'</s>' behind every text.*add_eos_token"):
        reader.read([prompt], [(" yes", " no")], [3])


# --- tokens and texts that cannot be taken ------------------------------------------------------


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("path", ["tree", "padded"])
def test_tokens_without_weights_are_named(architecture: str, path: str) -> None:
    tokenizer = make_tokenizer(bos=False)
    network = make_network(architecture, len(tokenizer)).eval()
    tokenizer.add_tokens(["<persona>"])
    model = LocalModel("short", network, tokenizer, asked=path)
    remedy = r".*'<persona>' \(id 335\).*those of 335 tokens.*resize_token_embeddings"
    with pytest.raises(ValueError, match="row 1: the prompt holds" + remedy):
        sk.score(model, ["It is hot.", "<persona> It is hot."], OPTIONS)
    with pytest.raises(ValueError, match="row 0: option '<persona>' holds" + remedy):
        sk.score(model, ["It is hot."], ["<persona>", " yes"])
    question = sk.Question("", ["yes", "no"], template="{context}")
    design = pd.DataFrame({"context": ["It is hot.", "<persona> It is hot."]})
    with pytest.raises(ValueError, match="row 1: the prompt holds" + remedy):
        sample_runs(model, question, design, runs=1)
    network.resize_token_embeddings(len(tokenizer))  # the remedy
    prompt = "<persona> It is hot."
    start = tokenizer(prompt)["input_ids"]
    want = [by_hand(network, start, tokenizer(prompt + o)["input_ids"]) for o in OPTIONS]
    found = sk.score(LocalModel("whole", network, tokenizer, asked=path), [prompt], OPTIONS)
    np.testing.assert_allclose(found, [want], atol=1e-5, rtol=0)


def test_tokens_without_weights_are_not_trained_on() -> None:
    tokenizer = make_tokenizer(bos=False)
    network = make_network("llama", len(tokenizer))
    tokenizer.add_tokens(["<persona>"])
    frame = pd.DataFrame(
        {"prompt": ["It is hot.", "<persona> It is hot."], "options": [(" yes", " no")] * 2,
         "question": "q", "option_id": 0, "value": 1.0, "values": None, "weight": 1.0}
    )  # fmt: skip
    assert len(encode(frame[:1], tokenizer, network=network)) == 1
    with pytest.raises(ValueError, match="row 1: the prompt holds the token '<persona>'"):
        encode(frame, tokenizer, network=network)


def test_options_beyond_the_head_are_named() -> None:
    tokenizer = make_tokenizer(bos=False)
    network = make_network("llama", len(tokenizer)).eval()
    network.lm_head = torch.nn.Linear(48, 300, bias=False)  # fewer words than it can read
    model = LocalModel("narrow", network, tokenizer)
    late = next(w for w in (" yes", " no", " maybe") if tokenizer(w)["input_ids"][-1] >= 300)
    with pytest.raises(ValueError, match=rf"row 0: option '{late}' .*those of 300 tokens"):
        sk.score(model, ["It is hot."], [late, "."])


def test_a_word_that_the_tokenizer_does_not_know() -> None:
    words = Tokenizer(models.WordLevel({"it": 0, "is": 1, "hot": 2, "yes": 3}))  # no unknown word
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words)
    model = LocalModel("words", make_network("llama", 4).eval(), tokenizer)
    assert np.isfinite(sk.score(model, ["it is"], [" hot", " yes"])).all()
    with pytest.raises(ValueError, match=r"row 1: the tokenizer makes no token ids of 'it was'"):
        sk.score(model, ["it is", "it was"], [" hot", " yes"])
    with pytest.raises(ValueError, match=r"row 0: the tokenizer makes no token ids"):
        sk.score(model, ["it is"], [" hot", " no"])


@pytest.mark.parametrize("lost", [None, -1])
def test_ids_that_are_none(lost: Any) -> None:
    class Losing(PreTrainedTokenizerFast):
        def __call__(self, text: list[str], **more: Any) -> Any:
            found = super().__call__(text, **more)
            found["input_ids"] = [
                [*ids, lost] if "Hm" in one else ids
                for one, ids in zip(text, found["input_ids"], strict=True)
            ]
            return found

    tokenizer = Losing(tokenizer_object=make_tokenizer(bos=False).backend_tokenizer)
    model = LocalModel("losing", make_network("llama", 379).eval(), tokenizer)
    with pytest.raises(ValueError, match=r"row 1: the tokenizer makes no token ids of 'Hm"):
        sk.score(model, ["It is hot.", "Hm Hm"], OPTIONS)


@pytest.mark.parametrize("cache", [False, True])
def test_half_a_surrogate_pair_is_named(cache: bool, tmp_path: Any) -> None:
    tokenizer = make_tokenizer(bos=True)
    network = make_network("llama", len(tokenizer)).eval()
    model: Any = LocalModel("m", network, tokenizer)
    model = sk.Cached(model, tmp_path / "scores.sqlite") if cache else model
    with pytest.raises(ValueError, match=r"row 1: .*'It is \\ud83d hot.*surrogate pair"):
        sk.score(model, ["é", "It is \ud83d hot."], OPTIONS)
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        sk.score(model, ["It is hot."], [" yes", " \udc00no"])
    assert np.isfinite(sk.score(model, ["It is \U0001f600 hot."], OPTIONS)).all()


# --- options that are the same to a tokenizer ---------------------------------------------------


def lower() -> LocalModel:
    tokenizer = make_tokenizer(bos=True)
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    network = make_network("llama", len(tokenizer)).eval()
    return LocalModel("lower", network, tokenizer)


@pytest.mark.parametrize("path", ["tree", "padded"])
def test_options_of_equal_tokens_are_refused(path: str) -> None:
    model = LocalModel("lower", lower().network, lower().tokenizer, asked=path)
    said = r"row 0: the options ' yes' and ' YES' are the same tokens, \['Ġyes'\].*lower"
    with pytest.raises(ValueError, match=said):
        sk.score(model, PROMPTS, [" yes", " no", " YES"])
    with pytest.raises(ValueError, match=r"row 1: the options ' hot' and ' HOT'"):
        sk.score(model, PROMPTS, [[" yes", " no"], [" hot", " HOT"]])


def test_spellings_of_one_option_may_be_equal_those_of_two_may_not(tmp_path: Any) -> None:
    model = sk.Cached(lower(), tmp_path / "scores.sqlite")
    design = pd.DataFrame({"context": PROMPTS})
    plain = sk.believe(model, sk.Question("Buy?", ["yes", "no"]), design)
    forms = sk.Question("Buy?", ["yes", "no"], forms={"yes": ["Yes", "YES"]})
    found = sk.believe(model, forms, design)
    np.testing.assert_allclose(found["belief"], plain["belief"], atol=1e-6)
    # The same spellings as options, which the store knows by now.
    with pytest.raises(ValueError, match="row 0: the options ' yes' and ' Yes'"):
        sk.believe(model, sk.Question("Buy?", ["yes", "Yes", "YES", "no"]), design)
    across = sk.Question("Buy?", ["yes", "no"], forms={"no": ["YES"]})
    with pytest.raises(ValueError, match="row 0: the options ' yes' and ' YES'"):
        sk.believe(model, across, design)
    with pytest.raises(ValueError, match="row 0: the options ' yes' and ' YES'"):
        sample_runs(model, across, design, runs=1)


def test_an_option_that_begins_another_is_another() -> None:
    found = sk.score(lower(), PROMPTS, [" yes", " yes, definitely"])
    assert (found[:, 1] < found[:, 0]).all()
