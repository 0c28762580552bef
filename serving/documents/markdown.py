"""Conversion of the project's Markdown to HTML with links to pages of the proxy. Pure."""

import re
from collections.abc import Container
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

_SECTION = re.compile(r"(\d+(?:\.\d+)*)\.?\s")
_TAB = 3
"""Indentation, in spaces, of the content of an item of a numbered list."""


def html_of(text: str, name: str, known: Container[str], above: str) -> str:
    """Return a document as HTML.

    The anchor of a numbered heading is its number (`#3.4`), of any other the one GitHub generates.
    Relative links are resolved from the document's `name`, its path from the project's folder. A
    link to a `known` file, which is served, is rewritten to its path below `above`; any other link
    is replaced by its text.
    """
    import markdown
    from markdown.treeprocessors import Treeprocessor

    class LinkFollower(Treeprocessor):
        def run(self, root: Element) -> None:
            for element in root.iter():
                _follow(element, name, known, above)

    converter = markdown.Markdown(
        extensions=["tables", "fenced_code", "sane_lists", "toc"],
        extension_configs={"toc": {"slugify": _anchor}},
        tab_length=_TAB,
    )
    converter.treeprocessors.register(LinkFollower(converter), "links", 0)
    # Scrollable elements must be focusable by keyboard.
    made = str(converter.convert(text)).replace("<pre>", '<pre tabindex="0">')
    return made.replace("<table>", '<table tabindex="0">')


def _anchor(heading: str, _separator: str) -> str:
    numbered = _SECTION.match(heading)
    if numbered:
        return numbered[1]
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _follow(element: Element, name: str, known: Container[str], above: str) -> None:
    """Rewrite one element's link to a page of the proxy; set the scope of a table's headings."""
    if element.tag == "th":
        element.set("scope", "col")
    attribute = {"a": "href", "img": "src"}.get(element.tag)
    target = element.get(attribute) if attribute else None
    if not attribute or not target or urlsplit(target).scheme or target.startswith("#"):
        return
    path, mark, anchor = target.partition("#")
    file = normpath(join(dirname(name), path))
    if file in known:
        element.set(attribute, f"{above}{file}{mark}{anchor}")
    else:
        element.tag = "span"
        element.attrib.pop(attribute)


def linked(text: str, base: str) -> Any:
    """Return text, escaped, whose section marks (`§3.4`) are links to the runbook at `base`."""
    from markupsafe import Markup, escape

    return Markup(_marks_linked(str(escape(text)), base))  # noqa: S704


def linked_page(html: str, base: str) -> str:
    """Return a page with the section marks of its text as links; tags and styles are unchanged."""
    return _TEXT.sub(lambda part: _marks_linked(part[0], base), html)


_MARK = re.compile(r"§(\d+(?:\.\d+)*)")
_TEXT = re.compile(r"(?<=>)[^<>]*§[^<>]*(?=<(?!/(?:title|a|style|script|text)\b))")


def _marks_linked(text: str, base: str) -> str:
    return _MARK.sub(rf'<a href="{base}#\1">\g<0></a>', text)
