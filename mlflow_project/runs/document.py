"""Markdown documents as HTML pages."""

from pathlib import Path
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.treeprocessors import Treeprocessor
from markdown.util import Registry

from core.pages.templates import environment, style

TEMPLATES = Path(__file__).with_name("templates")


def page(text: str) -> str:
    """Return a Markdown document as one HTML page without external resources.

    Its title is its first line. Inline markup is limited to `*emphasis*`, `**bold**` and `code` in
    backticks: HTML tags and links in inserted text remain text.
    """
    converter = Markdown(extensions=["tables"])
    converter.preprocessors.deregister("html_block")
    marks = Registry()
    for priority, name in enumerate(("em_strong", "backtick")):
        marks.register(converter.inlinePatterns[name], name, priority)
    converter.treeprocessors["inline"].inlinePatterns = marks
    converter.treeprocessors.register(_TableHeadings(converter), "headings", 0)
    template = environment(TEMPLATES).get_template("document.html")
    rendered: str = template.render(
        title=text.partition("\n")[0].lstrip("# "),
        body=converter.convert(text),
        style=style(TEMPLATES / "document.css"),
    )
    return rendered


class _TableHeadings(Treeprocessor):
    """Accessible tables: scopes of header cells, and keyboard focus for scrolling."""

    def run(self, root: Element) -> None:
        for found in root.iter("table"):
            found.set("tabindex", "0")
            for heading in found.iter("th"):
                heading.set("scope", "col")
            for row in found.iterfind("tbody/tr"):
                row[0].tag = "th"
                row[0].set("scope", "row")
