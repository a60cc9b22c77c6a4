"""The site that `make docs` builds: pages, the API reference and the notebooks as they are saved.

The source is the whole checkout, so that links between README, docs/ and notebooks/ hold in the
site as they do in the repository. Nothing is executed and nothing is fetched.
"""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

HERE = Path(__file__).parent.parent
sys.path.insert(0, str(HERE))

import simkit  # noqa: E402
from simkit.reports.markdown import mathml  # noqa: E402

project, author, copyright = "simkit", "the simkit authors", "the simkit authors"
version = release = simkit.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "myst_nb"]
root_doc = "docs/index"
include_patterns = [
    *("docs/*.md", "docs/api/*.md", "docs/how-to/*.md", "notebooks/*.ipynb"),
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *("benchmarks/*.md", "benchmarks/vllm/*.md", "data/models/*/README.md"),
]
exclude_patterns = [".*", "build", "dist", "reports", "simkit", "simkit-reports", "tests"]

html_theme = "furo"
html_title = f"simkit {version}"
html_show_sourcelink = False
html_math_renderer = "mathml"

autodoc_typehints = "none"  # the docstrings say it, in the words of the field
autodoc_preserve_defaults = True  # as the source writes them, not the value that they have
autosummary_generate = False
numpydoc_show_class_members = False
nb_execution_mode = "off"  # the outputs are those that nbval holds
nb_render_markdown_format = "gfm"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
# A notebook is no chapter: its table of contents may begin below a title of its own.
suppress_warnings = ["mystnb.unknown_mime_type"]


def public(face: str) -> dict[str, Any]:
    """What a face lists in `__all__`, but modules and what an earlier face documents already."""
    module = import_module(face)
    values = {name: getattr(module, name) for name in module.__all__ if not name.startswith("_")}
    return {name: value for name, value in values.items() if not inspect.ismodule(value)}


class Face(SphinxDirective):
    """Everything public of a face: a table of all names, then each name in full.

    A name that `import simkit as sk` gives is documented there and only linked elsewhere.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        face = self.arguments[0]
        short = simkit.__all__ if face != "simkit" else []
        names = public(face)
        calls = sorted((n for n, value in names.items() if callable(value)), key=str.lower)
        homes = {name: "simkit" if name in short else face for name in calls}
        lines = [".. autosummary::", "   :nosignatures:", ""]
        lines += [f"   {home}.{name}" for name, home in homes.items()]
        for name, home in homes.items():
            if home == face and inspect.isclass(names[name]):
                lines += ["", f".. autoclass:: {face}.{name}", "   :members:"]
            elif home == face:
                lines += ["", f".. autofunction:: {face}.{name}"]
        for name in sorted(names.keys() - homes.keys()):  # constants have no docstring of their own
            value = " ".join(repr(names[name]).split())
            lines += ["", f".. py:data:: {face}.{name}", "", f"   ``{value[:80].strip()}``"]
        return self.parse_text_to_nodes("\n".join(["```{eval-rst}", *lines, "```"]))


def _plain_bars(*event: Any) -> None:
    """|x| in a docstring is an absolute value, never a substitution."""
    lines = event[-1]
    lines[:] = [re.sub(r"(?<!\\)\|", r"\\|", x) if "``" not in x else x for x in lines]


def _reference(app: Sphinx, env: Any, node: Any, content: nodes.Node) -> nodes.Node | None:
    """A name without its module, as docstrings write it: the one object that ends in it."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not target:
        return None
    python = env.get_domain("py")
    known = [n for n in python.objects if n == target or n.endswith("." + target.split(".")[-1])]
    if not known:
        return None
    place = python.objects[min(known, key=len)]
    return app.builder and nodes.reference(
        "", "", content, internal=True,
        refuri=app.builder.get_relative_uri(node["refdoc"], place.docname) + "#" + place.node_id,
    )  # fmt: skip


def _mathematics(writer: Any, node: nodes.Element) -> None:
    """MathML, which browsers show without a script from the network."""
    block = isinstance(node, nodes.math_block)
    text = mathml(node.astext())
    writer.body.append(f"<p>{text}</p>" if block else text)
    raise nodes.SkipNode


def _front(app: Sphinx, error: Exception | None) -> None:
    """The folder's own address leads to the first page."""
    if error is None and app.builder.name == "html":
        page = '<meta http-equiv="refresh" content="0; url=docs/index.html">'
        (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.add_directive("face", Face)
    app.add_html_math_renderer("mathml", (_mathematics, None), (_mathematics, None))
    app.connect("autodoc-process-docstring", _plain_bars, priority=900)
    app.connect("missing-reference", _reference)
    app.connect("build-finished", _front)
