"""A document as blocks, written as Markdown for files and as HTML for people with a browser."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.pages.templates import environment, style


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 (the title) or 2."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; `**bold**` and `code` in backticks are the only marks."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of paragraphs."""

    items: Sequence[str]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts with one row of headings."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


Block = Heading | Paragraph | Bullets | Table

_TEMPLATES = Path(__file__).with_name("templates")


def markdown(blocks: Sequence[Block]) -> str:
    """Return the document as Markdown."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def page(blocks: Sequence[Block]) -> str:
    """Return the document as one HTML page that loads nothing from elsewhere.

    Its title is the first heading.
    """
    title = next((block.text for block in blocks if isinstance(block, Heading)), "")
    body = "\n".join(_html(block) for block in blocks)
    template = environment(_TEMPLATES).get_template("document.html")
    own = style(_TEMPLATES / "document.css")
    rendered: str = template.render(title=title, body=body, style=own)
    return rendered


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {block.text}"
    if isinstance(block, Paragraph):
        return block.text
    if isinstance(block, Bullets):
        return "\n".join(f"- {item}" for item in block.items)
    rows = [block.headings, ["---"] * len(block.headings), *block.rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)


def _html(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{_inline(block.text)}</h{block.level}>"
    if isinstance(block, Paragraph):
        return f"<p>{_inline(block.text)}</p>"
    if isinstance(block, Bullets):
        return f"<ul>{''.join(f'<li>{_inline(item)}</li>' for item in block.items)}</ul>"
    head = "".join(f'<th scope="col">{_inline(cell)}</th>' for cell in block.headings)
    rows = "".join(
        f'<tr><th scope="row">{_inline(row[0])}</th>'
        f"{''.join(f'<td>{_inline(cell)}</td>' for cell in row[1:])}</tr>"
        for row in block.rows
    )
    return f"<table tabindex=0><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _inline(text: str) -> str:
    escaped = html.escape(text, quote=False)
    bold = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escaped)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", bold)
