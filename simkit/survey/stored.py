"""A survey as one parquet file: its people as a table, all else in the file's metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from simkit.files import replacing
from simkit.survey.item import MISSING, SurveyItem

__all__ = ["read", "write"]

KEY = b"simkit.survey"


def write(survey: Any, path: Path) -> None:
    """Write people, items, reasons and notes; questions and designs are made of them anew."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(survey.people)
    items = [
        [name, {"text": i.text, "scale": i.scale, "tell": i.tell, "labels": [*i.labels.items()],
                "missing": [*i.missing.items()]}]
        for name, i in survey.items.items()
    ]  # fmt: skip
    rows = survey.missing.groupby(["column", "code", "reason"], sort=False)["row"]
    missing = [[*key, [int(r) for r in at]] for key, at in rows]
    named = {n: getattr(survey, n) for n in ("name", "weights", "strata", "clusters", "notes")}
    record = json.dumps({**named, "items": items, "missing": missing}, default=_plain)
    metadata = {**(table.schema.metadata or {}), KEY: record.encode()}
    with replacing(path) as part:
        pq.write_table(table.replace_schema_metadata(metadata), part)


def read(path: Path) -> dict[str, Any] | None:
    """The fields of the survey whose file `write` made, None for another parquet file."""
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, ValueError):  # no parquet file: told by whoever reads it as one
        return None
    if KEY not in metadata:
        return None
    record = json.loads(metadata[KEY])
    items = {
        name: SurveyItem(i["text"], _pairs(i["labels"]), i["scale"], _pairs(i["missing"]),
                         i["tell"])
        for name, i in record.pop("items")
    }  # fmt: skip
    rows = [(c, r, code, why) for c, code, why, at in record.pop("missing") for r in at]
    missing = pd.DataFrame(rows, columns=list(MISSING)).astype({"code": object})
    notes = tuple(record.pop("notes"))
    people = pq.read_table(path).to_pandas()
    for column in people.select_dtypes("str"):
        people[column] = people[column].astype(object).where(people[column].notna(), None)
    return {**record, "people": people, "items": items, "missing": missing, "notes": notes}


def _pairs(pairs: list[Any]) -> dict[Any, str]:
    return dict(pairs)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
