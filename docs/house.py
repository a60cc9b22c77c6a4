"""How large the house is, and how its rooms hang together: `python -m docs.house [--against REF]`.

All is read from the source, so that an older revision is measured alike. A room is a first-level
module or package of simkit; those of simkit.estimators are rooms of their own. A package's face (an
`__init__` that only hands names on) is not followed: who takes a name from it reaches the module
that the name is from.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import json
import re
import subprocess
import tempfile
import tokenize
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent.parent


class House:
    """The source below a folder: modules of simkit by dotted name, notebooks, and documents."""

    def __init__(self, root: Path) -> None:
        paths = sorted((root / "simkit").rglob("*.py"))
        self.texts = {_module(p.relative_to(root)): p.read_text("utf-8") for p in paths}
        packages = {_module(p.relative_to(root)) for p in paths if p.name == "__init__.py"}
        own = r"(?m)^def [a-z]|^class "
        self.faces = {name for name in packages if not re.search(own, self.texts[name])}
        self.trees = {name: ast.parse(text) for name, text in self.texts.items()}
        self.cells = {p.stem: _cells(p) for p in sorted((root / "notebooks").glob("*.ipynb"))}
        self.outside = [_parsed(cell) for cells in self.cells.values() for cell in cells]
        for path in [*(root / "docs").rglob("*.[pm]*"), root / "README.md"]:
            text = path.read_text("utf-8") if path.suffix in (".py", ".md") else ""
            blocks = re.findall(r"```(?:python|pycon)\n(.*?)```", text, re.DOTALL)
            self.outside += [_parsed(b) for b in ([text] if path.suffix == ".py" else blocks)]
        rooms = [(m, tree) for m, tree in self.trees.items() if m not in self.faces]
        self.imports = {m: set(self.uses(tree)) - {m} for m, tree in rooms}

    def home(self, module: str, name: str) -> str:
        """The module that `name` of `module` is from: another, where a face hands it on."""
        if f"{module}.{name}" in self.trees:
            return f"{module}.{name}"
        for node in ast.walk(self.trees[module]) if module in self.faces else ():
            if isinstance(node, ast.ImportFrom) and node.module in self.trees:
                listed = [a.name for a in node.names]
                if name in (self.names(node.module) if listed == ["*"] else listed):
                    return self.home(node.module, name)
        return module

    def names(self, module: str) -> list[str]:
        """What a module lists in `__all__`; `*other.__all__` is what the other one lists."""
        out: list[str] = []
        for node in self.trees[module].body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                for part in getattr(node.value, "elts", []):
                    if isinstance(part, ast.Starred):
                        other = self.home(module, ast.unparse(part.value).split(".")[0])
                        out += self.names(other)
                    else:
                        out.append(part.value)
        return out

    def uses(self, tree: ast.AST) -> Iterator[str]:
        """The modules that a piece of code takes something from."""
        known: dict[str, str] = {}
        for node in _nodes(tree):
            if isinstance(node, ast.ImportFrom) and node.module in self.trees:
                known |= {a.asname or a.name: self.home(node.module, a.name) for a in node.names}
            elif isinstance(node, ast.Import):
                known |= {a.asname or a.name: a.name for a in node.names if a.name in self.trees}
        yield from known.values()
        for node in _nodes(tree):
            names = ast.unparse(node).split(".") if isinstance(node, ast.Attribute) else [""]
            if module := known.get(names[0], ""):
                for name in names[1:]:
                    module = self.home(module, name)
                yield module

    def reach(self, start: set[str]) -> set[str]:
        """All that is imported from `start` on, in any number of steps."""
        while more := {m for one in start for m in self.imports.get(one, ())} - start:
            start = start | more
        return start

    def functions(self, module: str) -> list[ast.FunctionDef]:
        """Those that a module, or the modules behind a face, list in `__all__`."""
        places = [(self.trees[self.home(module, name)], name) for name in self.names(module)]
        nodes = [(node, name) for tree, name in places for node in tree.body]
        return [n for n, name in nodes if isinstance(n, ast.FunctionDef) and n.name == name]

    def optional(self) -> tuple[int, int]:
        """Optional parameters of public functions: how many nobody passes, and how many in all."""
        public = [f for m in self.trees if m not in self.faces for f in self.functions(m)]
        passed = {function.name: set[object]() for function in public}
        for tree in [*self.trees.values(), *self.outside]:
            words = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
            words += [n.arg for n in ast.walk(tree) if isinstance(n, ast.keyword)]
            texts = {str(word).lstrip("-").replace("-", "_") for word in words}  # options are names
            for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
                args, name = call.args, ast.unparse(call.func).split(".")[-1]
                if name == "partial" and args:
                    args, name = args[1:], ast.unparse(args[0]).split(".")[-1]
                if name in passed:
                    passed[name] |= {k.arg for k in call.keywords} | set(range(len(args)))
                    if any(k.arg is None for k in call.keywords):  # **settings: any name near it
                        passed[name] |= texts
        unused = [not names & passed[f.name] for f in public for names in _optional(f)]
        return sum(unused), len(unused)

    def measures(self) -> dict[str, int]:
        """What the house is measured by."""
        pairs = {(_room(m), _room(other)) for m, uses in self.imports.items() for other in uses}
        arrows = [(a, b) for a, b in pairs if a != b and b != "simkit"]
        inside = [pair for pair in arrows if all(r.count(".") == 2 for r in pair)]
        loops = [m for m, uses in self.imports.items() if m in self.reach(uses)]
        leading = {tuple(_places(f)[:2]) for f in self.functions("simkit.estimators")}
        top = [module for module in self.trees if module.count(".") < 2]
        unused, total = self.optional()
        codes = ["\n".join(cells) for cells in self.cells.values()]
        long = re.findall("(?m)^.{101,}$", "\n".join(codes))
        reached = [self.reach(set(self.uses(_parsed(code)))) for code in codes]
        alone = [m for m in self.imports if sum(m in modules for modules in reached) == 1]
        size = {module: text.count("\n") for module, text in self.texts.items()}
        return {
            "modules": len(self.trees),
            "lines of simkit/": sum(size.values()),
            "lines of code in simkit/": sum(_code_lines(text) for text in self.texts.values()),
            "rooms": len({_room(m) for m in self.trees}),
            "imports between rooms": len(arrows),
            "imports between rooms of simkit.estimators": len(inside),
            "modules in import cycles": len(loops),
            "exported names": sum(len(self.names(module)) for module in top),
            "distinct leading signatures of simkit.estimators": len(leading),
            "lines of simkit/ that one notebook alone reaches": sum(size[m] for m in alone),
            "code lines over 100 characters in notebooks": len(long),
            "optional parameters of public functions": total,
            "optional parameters that nobody passes": unused,
        }


def _code_lines(text: str) -> int:
    """Lines that hold code: no docstring, comment or blank line."""
    lines: set[int] = set()
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in blank | {tokenize.ENDMARKER}:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        named = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, named) and ast.get_docstring(node, clean=False) is not None:
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(lines)


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _room(module: str) -> str:
    return ".".join(module.split(".")[: 3 if module.startswith("simkit.estimators.") else 2])


def _places(function: ast.FunctionDef) -> list[str]:
    return [p.arg for p in [*function.args.posonlyargs, *function.args.args]]


def _optional(function: ast.FunctionDef) -> list[set[object]]:
    """Name, and position if it has one, of each parameter with a default."""
    args, names = function.args, list(enumerate(_places(function)))
    by_place = names[len(names) - len(args.defaults) :]
    by_name = zip(args.kwonlyargs, args.kw_defaults, strict=True)
    return [*({name, i} for i, name in by_place), *({p.arg} for p, d in by_name if d is not None)]


def _cells(path: Path) -> list[str]:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]


def _parsed(text: str) -> ast.Module:
    """The syntax tree of a piece of code; of a session the lines behind its prompts."""
    lines = re.findall(r"^(?:>>>|\.\.\.) (.*)$", text, re.MULTILINE)
    with contextlib.suppress(SyntaxError):
        return ast.parse("\n".join(lines) or text)
    return ast.Module([], [])


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from _nodes(node)


def at(revision: str) -> House:
    """The house as it was committed."""
    call = ["git", "archive", revision, "simkit", "notebooks", "docs", "README.md"]
    archive = subprocess.run(call, cwd=HERE, capture_output=True, check=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        return House(Path(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", metavar="REF", help="a revision to print beside it")
    against = parser.parse_args().against
    columns = {against: at(against).measures()} if against else {}
    columns["now"] = House(HERE).measures()
    print("|", *(f"| {name}" for name in columns), "|\n|---" + "|---:" * len(columns) + "|")
    for name in columns["now"]:
        print(f"| {name}", *(f"| {column[name]:,}" for column in columns.values()), "|")


if __name__ == "__main__":
    main()
