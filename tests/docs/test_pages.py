"""The pages of docs/: their sessions give what they show, and every public name is on one."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import simkit

HERE = Path(__file__).parents[2]
PAGES = [HERE / "README.md", HERE / "CONTRIBUTING.md", *sorted((HERE / "docs/how-to").glob("*.md"))]
API = {p.stem: p.read_text(encoding="utf-8") for p in sorted((HERE / "docs/api").glob("*.md"))}
DOCUMENTED = [face for text in API.values() for face in re.findall(r"```{face} (\S+)", text)]


def sessions(text: str) -> str:
    """All sessions of a page as one, without the indentation of a list."""
    blocks = re.findall(r"^( *)```pycon\n(.*?)```", text, flags=re.DOTALL | re.MULTILINE)
    return "\n".join(re.sub(f"(?m)^{indent}", "", block) for indent, block in blocks)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_sessions_of_a_page_give_what_they_show(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(HERE)
    name = str(page.relative_to(HERE))
    text = sessions(page.read_text(encoding="utf-8"))
    example = doctest.DocTestParser().get_doctest(text, {}, name, name, 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert runner.run(example).failed == 0


def faces() -> list[str]:
    """simkit, and each package in it that lists names; not the command, which is no API."""
    packages = [m.name for m in pkgutil.walk_packages(simkit.__path__, "simkit.") if m.ispkg]
    packages.remove("simkit.cli")
    return [m for m in ("simkit", *packages) if getattr(importlib.import_module(m), "__all__", [])]


def test_every_public_name_is_on_an_api_page() -> None:
    """A face's directive shows all that it lists; that of simkit.estimators only hands on."""
    listed = {id(_value(face, name)) for face in DOCUMENTED for name in _names(face)}
    missing = [
        f"{face}.{name}"
        for face in faces()
        for name in _names(face)
        if id(_value(face, name)) not in listed and not hasattr(_value(face, name), "__path__")
    ]
    assert missing == []
    assert len(DOCUMENTED) == len(set(DOCUMENTED))


def _names(face: str) -> list[str]:
    return [n for n in importlib.import_module(face).__all__ if not n.startswith("_")]


def _value(face: str, name: str) -> object:
    return getattr(importlib.import_module(face), name)


@pytest.mark.parametrize("folder", ["how-to", "api"])
def test_every_page_is_in_the_contents(folder: str) -> None:
    contents = (HERE / "docs/index.md").read_text(encoding="utf-8")
    for page in (HERE / "docs" / folder).glob("*.md"):
        assert f"{folder}/{page.stem}" in contents


def test_links_between_files_lead_somewhere() -> None:
    for page in [*HERE.glob("*.md"), *HERE.glob("docs/**/*.md"), *HERE.glob("benchmarks/**/*.md")]:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)#\s]+)", text):
            assert "://" in link or (page.parent / link).exists(), f"{page}: {link}"
