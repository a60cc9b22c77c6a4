"""A model of this machine as a GGUF file, for llama.cpp and what is built on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch

from simkit.files import as_path
from simkit.scoring.local import LocalModel, check_local
from simkit.types import FloatArray

__all__ = ["export_gguf"]

_SPLIT = r" ?\$?\d+(?:\.\d+)?| ?\p{L}+|\n| ?[^\s\p{L}\d]|\s+"  # the glass box's pieces
_BLOCK = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}  # fmt: skip
_ENDS = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def export_gguf(model: LocalModel, file: str | Path) -> Path:
    """Write a glass box, bundled or fine-tuned, as a GGUF file in float32.

    Its tokenizer cuts texts as no BPE of llama.cpp does. But none of its tokens spans two pieces,
    so it is written as llama.cpp's "llama" (SentencePiece) tokenizer, which joins neighbours
    without cutting first, best score first: the earlier a token was learnt, the higher its score.
    Texts of the worlds have the same tokens so (tested on 6,000). "1.00.50", and words behind
    several blanks in a row, have not.

    Parameters
    ----------
    model : LocalModel
        Of Llama's architecture, with the glass box's tokenizer.
    file : str or path
        To be written, "….gguf". It is replaced if it is there.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        For a model that is none of these; llama.cpp's own `convert_hf_to_gguf.py` takes many.

    Examples
    --------
    >>> import tempfile
    >>> import simkit as sk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sk.export_gguf(sk.load("glassbox"), f"{folder}/box.gguf").name
    'box.gguf'
    """
    check_local(model)
    config, file = model.network.config, as_path(file, "file")
    _refuse_other(model)
    if file.suffix != ".gguf":
        raise ValueError(f"file is {str(file)!r}; its name must end with .gguf")
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_name(model.name)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _add_tokenizer(writer, model.tokenizer, config.vocab_size)
    for name, weight in model.network.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = weight.detach().to("cpu", torch.float32).numpy()
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
        part = name.split(".")[-2]
        writer.add_tensor(_renamed(name), _turned(values, heads[part]) if part in heads else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _refuse_other(model: LocalModel) -> None:
    """ValueError for a model that this module does not know how to write."""
    config = model.network.config
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    cut = json.loads(backend.to_str())["pre_tokenizer"] if backend is not None else {}
    first = ((cut or {}).get("pretokenizers") or [{}])[0]
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type")
    plain = config.model_type == "llama" and rope == "default" and not config.attention_bias
    if not plain or first.get("pattern") != {"Regex": _SPLIT}:
        raise ValueError(
            f"{model.name} is no glass box (architecture {config.model_type!r}); for other models "
            "llama.cpp has convert_hf_to_gguf.py, which reads the folder of `save_pretrained`"
        )


def _renamed(name: str) -> str:
    """A weight's name as GGUF has it."""
    stem = name.removesuffix(".weight")
    if stem in _ENDS:
        return f"{_ENDS[stem]}.weight"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{_BLOCK[part]}.weight"


def _turned(values: FloatArray, heads: int) -> Any:
    """Rows of queries or keys in llama.cpp's order: it rotates neighbours, Llama two halves.

    Of each head the rows 0 1 2 3 | 4 5 6 7 become 0 4 1 5 2 6 3 7.
    """
    rows, width = values.shape
    halves = values.reshape(heads, 2, rows // heads // 2, width)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, width))


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Any, size: int) -> None:
    """Tokens as text, with scores that let them be joined in the order of the merges."""
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    texts: list[str] = []
    kinds: list[gguf.TokenType] = []
    for i in range(size):
        written = tokenizer.convert_ids_to_tokens(i)
        raw = bytes(_BYTES[c] for c in written) if i not in special else b""
        if i in special:
            texts.append(written)
            kinds.append(gguf.TokenType.CONTROL)
        elif len(raw) == 1 and raw[0] > 127:  # part of a character
            texts.append(f"<0x{raw[0]:02X}>")
            kinds.append(gguf.TokenType.BYTE)
        else:
            texts.append(raw.decode().replace(" ", "▁"))
            kinds.append(gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(texts)
    writer.add_token_scores([-float(i) for i in range(size)])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_unk_token_id(tokenizer.pad_token_id)  # never used: every byte has a token
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)


def _byte_letters() -> dict[str, int]:
    """The letters by which byte-level tokenizers write bytes: printable ones stand for themselves,
    the others, in order, for the letters from 256 on."""
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in own]
    return {chr(b): b for b in own} | {chr(256 + k): b for k, b in enumerate(rest)}


_BYTES = _byte_letters()
