"""Markdown to HTML for reports: mathematics as MathML, nothing loaded from elsewhere."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import tostring

import bleach
from bleach.css_sanitizer import CSSSanitizer
from latex2mathml.converter import convert_to_element
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

__all__ = ["Heading", "clean", "mathml", "render"]

Heading = tuple[int, str, str]  # level, id, HTML of its text

_TAGS = """a abbr b blockquote br caption code col colgroup dd details div dl dt em h1 h2 h3 h4
    h5 h6 hr i li ol p pre s small span strong sub summary sup table tbody td tfoot th thead tr u
    ul"""
_SAFE_LINK = re.compile(r"https?://|mailto:|#", re.IGNORECASE)
_ATTRIBUTES: dict[str, Any] = {
    "*": ["class", "title", "style", "lang", "dir"],
    "a": lambda _, name, value: name == "href" and bool(_SAFE_LINK.match(value)),
    "td": ["colspan", "rowspan", "headers"],
    "th": ["colspan", "rowspan", "headers", "scope"],
    "ol": ["start"],
}
_DROPPED = re.compile(r"<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)


def mathml(latex: str, *, block: bool = False) -> str:
    """LaTeX mathematics (without dollar signs) as a MathML element.

    What latex2mathml cannot read stays as its source, in a <code> element.
    """
    try:
        source = re.sub(
            r"\\(begin|end)\{aligned\}", r"\\\1{align*}", latex
        )  # the same, unknown to it
        root = convert_to_element(source, display="block" if block else "inline")
        for element in root.iter():
            # The library writes symbols as entities and un-escapes the finished text, so that
            # \text{<script>} would come out alive. Un-escape each text instead, before writing.
            element.text = html.unescape(element.text) if element.text else element.text
            element.attrib.pop("href", None)
        root.set("title", latex.strip())
        return tostring(root, encoding="unicode")
    except Exception:  # its parser raises many kinds, IndexError and StopIteration among them
        return f'<code class="math">{html.escape(latex)}</code>'


def render(source: str, *, headings: list[Heading] | None = None, **options: Any) -> str:
    """Markdown as HTML.

    With `headings` the text is the author's: HTML in it is kept, and its headings get ids and
    are appended to the list. Without, it is output, perhaps a model's words: HTML in it is shown
    as text, and links may not run scripts. `options` go to the renderer (attachments, path).
    """
    trusted = headings is not None
    renderer = _Renderer(trusted, [] if headings is None else headings, **options)
    return str(MarkdownWithMath(renderer=renderer).render(source))


def clean(source: str) -> str:
    """HTML output with nothing in it that acts: no script, style sheet, image, frame or form.

    Elements outside the list are shown as text, not dropped in silence; <script> and <style>
    (which pandas writes before every table) vanish with their content.
    """
    return str(
        bleach.clean(
            _DROPPED.sub("", source),
            tags=_TAGS.split(),
            attributes=_ATTRIBUTES,
            css_sanitizer=CSSSanitizer(),
        )
    )


class _Renderer(IPythonRenderer):
    def __init__(self, trusted: bool, headings: list[Heading], **options: Any) -> None:
        super().__init__(escape=not trusted, allow_harmful_protocols=False, **options)
        self.trusted, self.headings = trusted, headings

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        if not self.trusted:
            return f'<p class="heading">{text}</p>\n'
        used = {name for _, name, _ in self.headings}
        name = next(name for name in _slugs(text) if name not in used)
        self.headings.append((level, name, text))
        return f'<h{level} id="{name}">{text}</h{level}>\n'

    def image(self, text: str, url: str, title: str | None = None) -> str:
        source = self._embed_image_or_attachment(url)
        if not source.startswith("data:image/"):
            return f"<em>[image not in this file: {html.escape(text or url)}]</em>"
        return f'<img src="{html.escape(source)}" alt="{html.escape(text)}">'

    def inline_math(self, body: str) -> str:
        return mathml(body)

    def block_math(self, body: str) -> str:
        return mathml(body, block=True)

    def latex_environment(self, name: str, body: str) -> str:
        return mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", block=True)


def _slugs(text: str) -> Iterator[str]:
    plain = html.unescape(re.sub(r"<[^>]*>", "", text))
    slug = re.sub(r"[^\w]+", "-", plain.lower()).strip("-") or "section"
    yield slug
    yield from (f"{slug}-{n}" for n in range(2, 10_000))
