"""A table that ships says what it was made of; whether its data are here is told without them."""

import pandas as pd

from simkit import datasets
from simkit.studies import tables


def test_a_table_is_written_and_read(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "root", lambda name: tmp_path)
    made = pd.DataFrame({"a": [1.23456, 2.0]})
    table = tables.Table("toy.csv", ("twin2k", "anes96"), lambda: made)
    assert table.write() == tmp_path / "results" / "toy.csv"
    assert table.read()["a"].tolist() == [1.2346, 2.0]
    card = datasets.card("twin2k")
    assert f"{card.source} @ {card.revision[:12]}" in table.origin()
    assert f"SHA-256 {card.files[0].sha256[:16]}" in table.origin()


def test_data_of_a_package_are_here_if_they_load(monkeypatch):
    table = tables.Table("toy.csv", ("ces24",), pd.DataFrame)
    monkeypatch.setattr(datasets, "load", lambda name: None)
    assert table.here()

    def missing(name):
        raise datasets.DataError(name)

    monkeypatch.setattr(datasets, "load", missing)
    assert not table.here()
