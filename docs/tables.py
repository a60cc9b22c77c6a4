"""All tables of numbers in README.md, findings.md and scale.md, made from what is recorded.

And the interfaces whose recorded answers are read, in docs/how-to/recorded.md, from the code.

`python -m docs.tables` writes them between their marks: `<!-- records: NAME -->` and
`<!-- records: end -->`. `make publish` calls it, and `make test` checks that they are what it
writes. In the README a row says which number it shows; everything else comes from reports/*.json,
reports/full/*.json, reports/smollm2/*.json (the real model) and benchmarks/results.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.table import summary
from docs import backends, scale
from simkit.files import write_text
from simkit.reports.records import read
from simkit.result import rounded
from simkit.scoring.pivot.payloads import families

HERE = Path(__file__).parent.parent
FILES = (
    "README.md", "docs/findings.md", "docs/scale.md", "docs/backends.md", "docs/how-to/recorded.md",
)  # fmt: skip
MARK = re.compile(r"(<!-- records: (?!end)(\S+) -->\n)(.*?)(<!-- records: end -->)", re.DOTALL)
HEAD = ("headline number", "value", "95 % interval", "claim", "verdict")

Record = dict[str, Any]


def records(folder: Path) -> dict[str, Record]:
    """The records of a folder by study, in the order of their pages."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            if (record := read(path)) is not None:
                found.append(record)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    return {r["study"]: r for r in sorted(found, key=lambda r: str(r["page"]))}


def regenerated(
    text: str,
    fast: dict[str, Record],
    full: dict[str, Record],
    real: dict[str, Record] | None = None,
) -> str:
    """`text` with every marked part made anew; `real` has the records of a real model."""

    def part(match: re.Match[str]) -> str:
        begin, name, old, end = match.groups()
        if name in REAL:
            return f"{begin}\n{REAL[name](fast, real or {})}\n\n{end}"
        return f"{begin}\n{_part(name, old, fast, full)}\n\n{end}"

    return MARK.sub(part, text)


def _part(name: str, old: str, fast: dict[str, Record], full: dict[str, Record]) -> str:
    if name == "picked":
        return _table(("study", *HEAD), [_picked(row, fast) for row in rows(old)])
    if name == "missed":
        return _table(("study", *HEAD[:-1]), _missed(fast))
    if name == "full":
        return _changes(fast, full)
    if name == "benchmark":
        return _benchmark()
    if name == "backends":
        return _table(backends.HEAD, backends.table())
    if name == "families":
        return _families()
    if name == "scale":
        return scale.tables()
    if name not in fast:
        raise ValueError(f"a mark names {name!r}; there are records of {', '.join(fast) or 'none'}")
    return f"{_origin(fast[name])}\n\n{_table(HEAD, map(line, fast[name]['numbers']))}"


def rows(table: str) -> list[list[str]]:
    """Cells of a Markdown table, without its head."""
    lines = [x for x in table.split("\n") if x.startswith("|")][2:]
    return [[c.strip() for c in re.split(r"(?<!\\)\|", x)[1:-1]] for x in lines]


def line(number: dict[str, Any]) -> list[str]:
    """The cells of one number."""
    whom = "" if number["about"] == "model" else f" ({number['about']})"
    return [
        _cell(number["name"] + whom),
        _value(number["value"]),
        _interval(number, "{} to {}"),
        _cell(number["claim"]),
        number["verdict"],
    ]


def _picked(row: list[str], fast: dict[str, Record]) -> list[str]:
    study, name = row[0].strip("`"), row[1]
    lines = {cells[0]: cells for cells in map(line, fast.get(study, {"numbers": []})["numbers"])}
    if name not in lines:
        raise ValueError(
            f"README.md shows {name!r} of {study!r}, which no record has; there are "
            f"{', '.join(lines) or 'no numbers of this study'}"
        )
    return [f"`{study}`", *lines[name]]


def _missed(fast: dict[str, Record]) -> list[list[str]]:
    """Every claim that does not hold."""
    return [
        [f"`{study}`", *line(number)[:-1]]
        for study, record in fast.items()
        for number in record["numbers"]
        if number["verdict"] == "does not hold"
    ]


def _changes(fast: dict[str, Record], full: dict[str, Record]) -> str:
    """Every verdict that differs, and how long the full profile took."""
    changed, shared = [], 0
    for study, record in full.items():
        before = {n["name"]: n for n in fast.get(study, {"numbers": []})["numbers"]}
        pairs = [(before[n["name"]], n) for n in record["numbers"] if n["name"] in before]
        shared += len(pairs)
        changed += [
            [f"`{study}`", _cell(after["name"]), _short(first), _short(after)]
            for first, after in pairs
            if first["verdict"] != after["verdict"]
        ]
    minutes = sum(record["seconds"] for record in full.values()) / 60
    told = (
        f"{len(full)} studies took {minutes:.0f} minutes; of {shared} verdicts {len(changed)} "
        "differ from those of the fast profile."
    )
    if not changed:
        return told
    head = ("study", "headline number", "fast profile", "full profile")
    return f"{told}\n\n{_table(head, changed)}"


def _beside(fast: dict[str, Record], real: dict[str, Record]) -> str:
    """The headline number of each study, on the glass box and on the real model."""
    pairs = [(fast[study], record) for study, record in real.items() if study in fast]
    if not pairs:
        return NO_REAL
    first, second = (record["provenance"]["model"] for record in pairs[0])
    head = ("study", "headline number", first, second, f"valid mass, {second}")
    return _table(head, [row for pair in pairs for row in _pair(*pair)])


def _pair(ours: Record, theirs: Record) -> list[list[str]]:
    """A row for the number that each record has first; one where that is the same."""
    stopped = theirs["status"] == "stopped"
    leading = [ours] if stopped else [theirs, ours]
    names = dict.fromkeys(record["numbers"][0]["name"] for record in leading)
    mass = next((n for n in theirs["numbers"] if n["name"].startswith("Valid mass")), None)
    return [
        [
            f"`{theirs['study']}`",
            _cell(name),
            _of(ours, name),
            ENDED if stopped else _of(theirs, name),
            "" if mass is None else _value(mass["value"]),
        ]
        for name in names
    ]


def _of(record: Record, name: str) -> str:
    return next((_short(n) for n in record["numbers"] if n["name"] == name), "–")


def _all_real(fast: dict[str, Record], real: dict[str, Record]) -> str:
    """Every number of the real model, study by study."""
    parts = []
    for study, record in real.items():
        ended = f" {ENDED.capitalize()}." if record["status"] == "stopped" else ""
        origin = f"`{study}`, model `{record['provenance']['model']}`.{ended}"
        parts.append(f"{origin}\n\n{_table(HEAD, map(line, record['numbers']))}")
    return "\n\n".join(parts) or NO_REAL


NO_REAL = "No record of a real model is here; `make publish` makes them."
ENDED = "ended: its question does not work on this model"
REAL = {"models": _beside, "real": _all_real}


def _benchmark() -> str:
    """The benchmark's table in short."""
    text = (HERE / "benchmarks" / "results.json").read_text(encoding="utf-8")
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in json.loads(text)["rows"]:
        groups.setdefault((row["model"], row["name"]), []).append(row)
    return "\n".join(summary(groups))


def _families() -> str:
    """The interfaces whose recorded answers are read."""
    head = ("interface", "log-probabilities", "ask for", "in parts", "what to know")
    body = [
        [f.calls, f.fields, f"`{f.ask}`", "yes" if f.streams else "no", f.hides] for f in families()
    ]
    return _table(head, ([_cell(text) for text in row] for row in body))


def _origin(record: Record) -> str:
    """Which model the numbers are of."""
    told = record["provenance"]
    content = f", content hash `{told['model_hash']}`" if told["model_hash"] else ""
    return f"Model `{told['model']}`{content}; from `reports/{record['study']}.json`."


def _table(head: Iterable[str], body: Iterable[Iterable[str]]) -> str:
    head = list(head)
    numeric = ("value", "95 % interval")
    rule = "|".join("---:" if name in numeric else "---" for name in head)
    lines = [" | ".join(cells) for cells in (head, *body)]
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])])


def _short(number: dict[str, Any]) -> str:
    return f"{_value(number['value'])}{_interval(number, ' [{}, {}]')}, {number['verdict']}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _value(value: float | None) -> str:
    """Three decimals; of a small number, which they would hide, three digits."""
    if value is None:
        return "undefined"
    return f"{rounded(value):.12g}" if 0 < abs(value) < 0.1 else f"{value:.3f}"


def _interval(number: dict[str, Any], form: str) -> str:
    low, high = number["low"], number["high"]
    if low is None and high is None:
        return ""
    over = f", over {number['over']}" if number.get("over") else ""
    return form.format(_value(low), _value(high)) + _cell(over)


def main() -> None:
    fast, full, real = (records(HERE / "reports" / name) for name in ("", "full", "smollm2"))
    for name in FILES:
        text = (HERE / name).read_text(encoding="utf-8")
        write_text(HERE / name, regenerated(text, fast, full, real))


if __name__ == "__main__":
    main()
