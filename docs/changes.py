"""Which published numbers a change moved: `python -m docs.changes REVISION`, as a Markdown table.

Compares the committed records of a revision with those in the working tree, fast and full. A row
is a headline number whose verdict changed, that is new, or that is gone; moved values alone are
counted.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from docs.tables import HERE, Record, _cell, _short, _table, records
from simkit.reports.numbers import row

FOLDERS = ("reports", "reports/full", "reports/smollm2")


def at(revision: str, folder: str) -> dict[str, Record]:
    """The records of a folder at a revision, by study."""
    paths = _git("ls-tree", "--name-only", revision, f"{folder}/").split("\n")
    texts = (_git("show", f"{revision}:{path}") for path in paths if path.endswith(".json"))
    return {
        record["study"]: {**record, "numbers": [row(n) for n in record["numbers"]]}
        for record in map(json.loads, texts)
    }


def changes(old: dict[str, Record], new: dict[str, Record], profile: str) -> list[list[str]]:
    """A row per number that is new, gone or judged otherwise."""
    rows = []
    for study in new:
        before, after = (_by_name(records.get(study)) for records in (old, new))
        for name in {**before, **after}:
            a, b = before.get(name), after.get(name)
            if a is None or b is None or a["verdict"] != b["verdict"]:
                told = ["-" if x is None else _short(x) for x in (a, b)]
                rows.append([f"`{study}`, {profile}", _cell(name), *told])
    return rows


def _by_name(record: Record | None) -> dict[str, dict[str, Any]]:
    return {n["name"]: n for n in record["numbers"]} if record else {}


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=HERE, capture_output=True, text=True, check=True
    ).stdout.strip()


def main(revision: str) -> None:
    rows = []
    for folder in FOLDERS:
        profile = folder.partition("/")[2] or "fast"
        rows += changes(at(revision, folder), records(HERE / folder), profile)
    print(_table(("study, profile", "headline number", "before", "after"), rows))


if __name__ == "__main__":
    main(sys.argv[1])
