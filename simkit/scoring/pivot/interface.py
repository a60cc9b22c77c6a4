"""What an interface would have recorded of a text, from a model that is at hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from simkit.scoring.engine.tokens import unpack
from simkit.scoring.local import LocalModel, check_local
from simkit.types import shown

__all__ = ["as_recorded"]


@torch.inference_mode()
def as_recorded(model: LocalModel, prompt: str, text: str, *, top: int = 20) -> dict[str, Any]:
    """A chat response with the log-probabilities of the `top` likeliest tokens of each place.

    It shows what is lost where only such records can be had: `read_recorded` reads it. Raises
    ValueError for another model, for a `top` below 1, and where prompt and text are not tokenized
    apart.
    """
    check_local(model)
    if not isinstance(prompt, str) or not isinstance(text, str):
        raise ValueError(f"prompt is {shown(prompt)} and text {shown(text)}; both must be strings")
    if not isinstance(top, int | np.integer) or isinstance(top, bool) or top < 1:
        raise ValueError(f"top is {shown(top)}; legal are whole numbers from 1")
    (context,), ((answer,),) = model._reader.read([prompt], [(text,)], [0])
    written = unpack(answer).tolist()
    ids = torch.tensor([[*unpack(context).tolist(), *written]], device=model.device)
    logits = model.network(ids).logits[0]
    logprob = logits[-len(written) - 1 : -1].float().log_softmax(-1).cpu()
    content = [
        _place(model.tokenizer, row, token, top)
        for row, token in zip(logprob, written, strict=True)
    ]
    choice = {
        "message": {"role": "assistant", "content": text},
        "logprobs": {"content": content},
        "finish_reason": "stop",
    }
    return {"model": model.name, "choices": [choice]}


def _place(tokenizer: Any, logprob: torch.Tensor, token: int, top: int) -> dict[str, Any]:
    best = torch.topk(logprob, min(top, len(logprob)))
    listed = [
        _entry(tokenizer, i, v) for v, i in zip(best[0].tolist(), best[1].tolist(), strict=True)
    ]
    return {**_entry(tokenizer, token, logprob[token].item()), "top_logprobs": listed}


def _entry(tokenizer: Any, token: int, logprob: float) -> dict[str, Any]:
    text = tokenizer.decode([token], clean_up_tokenization_spaces=False)
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}
