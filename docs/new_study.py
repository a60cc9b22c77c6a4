"""A notebook to begin a study from: `make new-study NAME=my_study`, or `python -m docs.new_study`.

It copies docs/my_study.ipynb to the next number in notebooks/ and puts the name in.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent.parent
TEMPLATE = HERE / "docs" / "my_study.ipynb"


def create(name: str, folder: Path = HERE / "notebooks") -> Path:
    """The new notebook. Raises ValueError for a name that is none or is taken."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise ValueError(f"NAME is {name!r}; it must be lower-case words, such as my_study")
    present = {path.stem.partition("_")[2]: path for path in sorted(folder.glob("[0-9]*.ipynb"))}
    if name in present:
        raise ValueError(f"there is a study {name} already: {present[name]}")
    number = 1 + max((int(path.stem.partition("_")[0]) for path in present.values()), default=0)
    title = name.replace("_", " ").capitalize()
    text = TEMPLATE.read_text(encoding="utf-8")
    path = folder / f"{number:02d}_{name}.ipynb"
    path.write_text(text.replace("my_study", name).replace("My study", title), encoding="utf-8")
    return path


def main() -> None:
    try:
        path = create(*sys.argv[1:2] or [""])
    except ValueError as error:
        sys.exit(str(error))
    print(f"Next: make lab, write it, make notebooks, make test. See CONTRIBUTING.md.\n{path}")


if __name__ == "__main__":
    main()
