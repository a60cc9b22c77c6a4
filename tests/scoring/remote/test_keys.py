"""A key planted in the environment: it reaches the server, and nothing that a run leaves behind."""

from __future__ import annotations

import logging

import pandas as pd
import pytest

import simkit as sk
from simkit import reports
from simkit.scoring.remote import ServerError

PART = "7Qd2vXw9"
KEY = f"sk-planted-{PART}"
ASK = sk.Question("buy it at ${price}?", ["yes", "no"])
DESIGN = pd.DataFrame({"price": [1, 2]})


@pytest.mark.parametrize("speaks", ["llama.cpp", "vllm", "sglang", "echo", "chat"])
def test_a_planted_key_is_found_nowhere(served, speaks, monkeypatch, tmp_path, caplog, capfd):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    state, address = served
    state.speaks = speaks
    lm = sk.load(address, cache=tmp_path / "answers.sqlite", tries=2)
    assert all(h["Authorization"] == f"Bearer {KEY}" for h in state.headers)
    table = sk.believe(lm, ASK, DESIGN, least_mass=0)
    table.to_parquet(tmp_path / "table.parquet")
    shown = [repr(lm), str(lm.identity), str(lm.abilities), str(lm.spent), table.to_csv()]
    shown += [repr(vars(lm.dialect)), repr(vars(lm.dialect.client))]
    numbers = [{"name": "belief", "value": float(table["belief"][0])}]
    kept = reports.record("planted", numbers, model=lm, parameters={"model": address})
    shown += [
        repr(kept),
        str(kept._repr_mimebundle_() if hasattr(kept, "_repr_mimebundle_") else ""),
    ]
    for status in (401, 500):
        said = f'{{"error": "no such key: {KEY}", "model": "{KEY}"}}'.encode()
        state.fault = lambda path, payload, s=status, t=said: (s, {}, t)
        with pytest.raises(ServerError) as error:
            sk.believe(lm, ASK, pd.DataFrame({"price": [3, 4]}), least_mass=0)
        chain, cause = [str(error.value), repr(vars(error.value))], error.value
        while cause := cause.__cause__ or cause.__context__:
            chain.append(repr(cause))
        shown += chain
        assert "***" in chain[0]
    out = capfd.readouterr()
    shown += [caplog.text, out.out, out.err]
    files = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) >= 2
    assert not [text for text in shown if PART in text]
    assert not [content for content in files if PART.encode() in content]
