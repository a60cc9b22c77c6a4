"""A module imports only from lower floors; the modules of one package may import each other."""

import ast
from pathlib import Path

import pytest

import simkit

ROOT = Path(simkit.__file__).parent

FLOORS = {
    "files": 0,
    "result": 0,
    "types": 0,
    "resources": 0,
    "templates": 0,
    "questions": 1,
    "datasets": 1,
    "store": 1,
    "cluster": 1,
    "estimators": 1,
    "survey": 3,  # people of a survey are told by personas.render
    "personas": 2,
    "worlds": 3,  # a world is told in the sentences of personas.render
    "scoring": 4,
    "plots": 5,
    "training": 5,
    "audit": 5,
    "reports": 6,
    "studies": 6,  # what single notebooks need of all rooms below
    "cli": 7,
}
# `simkit` itself hands out names of every floor, lazily; nothing inside may lean on it for them.
FREE = {"__version__"}


def unit_of(module: str) -> str:
    """The room of a dotted module: "simkit.reports.pages" -> "reports", "simkit" -> ""."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def module_of(path: Path, root: Path) -> str:
    parts = ("simkit", *path.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: str, module: str, package: bool) -> list[str]:
    """Dotted names of what the source imports from simkit, wherever in the file it does so."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] == "simkit"]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = module.split(".") if package else module.split(".")[:-1]
                kept = here[: len(here) - node.level + 1]
                base = ".".join([*kept, *([node.module] if node.module else [])])
            if base == "simkit":
                found += [f"simkit.{a.name}" for a in node.names if a.name not in FREE]
            elif base.startswith("simkit."):
                found.append(base)
    return found


def violations(root: Path) -> list[str]:
    wrong = []
    for path in sorted(root.rglob("*.py")):
        module = module_of(path, root)
        own = unit_of(module)
        if own == "":
            continue
        if own not in FLOORS:
            wrong.append(f"{module} is on no floor: add it to FLOORS")
            continue
        source = path.read_text(encoding="utf-8")
        for target in imports(source, module, path.name == "__init__.py"):
            other = unit_of(target)
            if other in ("", own):  # the package itself, for __version__, or a sibling
                continue
            if other not in FLOORS:
                wrong.append(f"{module} imports {target}, which is on no floor")
            elif FLOORS[other] >= FLOORS[own]:
                wrong.append(f"{module} (floor {FLOORS[own]}) imports {target} ({FLOORS[other]})")
    return wrong


def test_imports_go_down():
    assert violations(ROOT) == []


def between_studies(root: Path) -> list[str]:
    """Imports of one study's estimators by another's; `shared` is for all, and leans on none."""
    wrong = []
    for path in sorted((root / "estimators").glob("*/*.py")):
        module, own = module_of(path, root), path.parent.name
        for target in imports(path.read_text(encoding="utf-8"), module, path.stem == "__init__"):
            parts = target.split(".")
            if parts[1] == "estimators" and parts[2:3] not in ([own], ["shared"]):
                wrong.append(f"{module} imports {target}")
    return wrong


def test_no_study_of_the_estimators_leans_on_another(tmp_path):
    assert between_studies(ROOT) == []
    for folder, name in (("demand", "structure.x"), ("shared", "demand.curves"), ("demand", "")):
        file = tmp_path / "estimators" / folder / "new.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"from simkit.estimators{'.' * bool(name)}{name} import y")
        assert len(between_studies(tmp_path)) == 1
        file.unlink()


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("result.py", "from simkit.scoring import local"),  # up
        ("result.py", "from .scoring import local"),  # up, relative
        ("estimators/demand/curves.py", "from ...questions import Question"),  # sideways
        ("types.py", "import simkit.result"),  # sideways on the ground floor
        ("types.py", "def f():\n    from simkit import load_model"),  # unknown, nested
        ("mystery.py", "x = 1"),  # a module nobody placed
        ("worlds/deep/inner.py", "from simkit import cli"),  # a folder further down
    ],
)
def test_a_planted_violation_is_caught(tmp_path, file, line):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(line)
    assert len(violations(tmp_path)) == 1


def test_what_is_allowed_passes(tmp_path):
    (tmp_path / "scoring").mkdir()
    lines = "from .other import x\nfrom ..questions import Question\nfrom simkit import __version__"
    (tmp_path / "scoring" / "local.py").write_text(lines)
    (tmp_path / "__init__.py").write_text("from simkit.cli import app")
    assert violations(tmp_path) == []
