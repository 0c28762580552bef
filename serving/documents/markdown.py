"""Markdown of the project's documents to HTML whose links lead to pages of the proxy. Pure."""

import re
from collections.abc import Container
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

_SECTION = re.compile(r"(\d+(?:\.\d+)*)\.?\s")
_TAB = 3
"""Spaces that what belongs to an item of a numbered list is indented by."""


def html_of(text: str, name: str, known: Container[str], above: str) -> str:
    """Return a document as HTML.

    A heading with a number has it as its anchor (`#3.4`), another one what GitHub would give it.
    Relative links start from the document's `name`, its path from the project's folder. One to a
    `known` file, which is served, goes to its path below `above`; another one becomes its text.
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
    # What scrolls by itself must be reachable with the keyboard.
    made = str(converter.convert(text)).replace("<pre>", '<pre tabindex="0">')
    return made.replace("<table>", '<table tabindex="0">')


def _anchor(heading: str, _separator: str) -> str:
    numbered = _SECTION.match(heading)
    if numbered:
        return numbered[1]
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _follow(element: Element, name: str, known: Container[str], above: str) -> None:
    """Let one element's link lead to a page of the proxy; give a table's headings their scope."""
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
    """Return a page whose texts' section marks are links; tags and style sheet stay as they are."""
    return _TEXT.sub(lambda part: _marks_linked(part[0], base), html)


_MARK = re.compile(r"§(\d+(?:\.\d+)*)")
_TEXT = re.compile(r"(?<=>)[^<>]*§[^<>]*(?=<(?!/(?:title|a|style|script|text)\b))")


def _marks_linked(text: str, base: str) -> str:
    return _MARK.sub(rf'<a href="{base}#\1">\g<0></a>', text)
