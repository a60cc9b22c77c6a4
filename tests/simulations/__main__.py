"""Write docs/coverage.md: `python -m tests.simulations [--only TEXT] [--jobs 2]`.

Every case with all its repetitions, about 20 minutes on two cores. Each repetition has a stream of
its own, so the page is the same on every machine. --only prints the cases whose name has a text
and writes nothing.
"""

from __future__ import annotations

import argparse
import multiprocessing
from itertools import groupby
from pathlib import Path

from simkit.files import write_text
from tests.simulations.case import Case, Found, simulate
from tests.simulations.cases import CASES

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"
HEAD = """# Coverage

How often the intervals that nominally hold 95 % contain the truth, and how often tests at 0.05
reject a true hypothesis, in simulations of known truth. Data are made by code that shares nothing
with the estimators (`tests/simulations`); `make coverage` writes this page anew. "±" is the
standard error of the simulation. A coverage from 0.93 to 0.97 and a size from 0.03 to 0.07 are as
they should be; where they are not, the last column says why, and the estimator's documentation or
notes say so too. **Bold** is what lies outside what is promised, by more than two standard errors.
"""
COLUMNS = ("quantity", "design", "found", "promised", "no interval", "why")


def line(case: Case, found: Found) -> str:
    share = f"{found.share:.3f} ± {found.error:.3f}"
    promised = f"{case.kind} {case.ends[0]:g} to {case.ends[1]:g}"
    cells = (
        case.quantity, case.design, share if found.fits(case, 2) else f"**{share}**", promised,
        f"{found.none} of {found.none + found.n}" if found.none else "", case.why,
    )  # fmt: skip
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def page(results: list[tuple[Case, Found]]) -> str:
    """The page: a table per estimator."""
    off = sum(not found.fits(case, 2) for case, found in results)
    parts = [HEAD, f"{len(results)} cases, {off} outside what is promised.\n"]
    results = sorted(results, key=lambda pair: pair[0].estimator)
    for name, group in groupby(results, key=lambda pair: pair[0].estimator):
        parts.append(f"\n## {name}\n")
        parts.append("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
        parts += [line(case, found) for case, found in group]
    return "\n".join(parts) + "\n"


def _found(number: int) -> Found:
    return simulate(CASES[number], CASES[number].repetitions)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", default="", metavar="TEXT")
    arguments.add_argument("--jobs", type=int, default=2)
    given = arguments.parse_args()
    chosen = [i for i, case in enumerate(CASES) if given.only in case.name]
    results = []
    with multiprocessing.Pool(given.jobs) as pool:  # cases are looked up by number: no pickling
        for i, found in zip(chosen, pool.imap(_found, chosen), strict=True):
            results.append((CASES[i], found))
            print(f"{found.share:.3f} of {found.n}: {CASES[i].name}", flush=True)
    if not given.only:
        write_text(PAGE, page(results))
        print(PAGE)


if __name__ == "__main__":
    main()
