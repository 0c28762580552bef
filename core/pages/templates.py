"""The Jinja environment of every page: autoescape, strict, translated, with format filters."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from core.messages import _, language, ngettext
from core.messages.formats import date, day, duration, joined, milliseconds, moment, number, percent
from core.messages.statuses import color, word

if TYPE_CHECKING:
    import jinja2

_FILTERS = (date, day, duration, joined, milliseconds, moment, number, percent, word, color)
_HERE = Path(__file__).parent


@cache
def style(own: Path | None = None) -> str:
    """Return the style sheet of all pages, followed by a page's own where given."""
    sheets = [_HERE / "look.css", *([own] if own else [])]
    return "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)


@cache
def environment(folder: Path) -> "jinja2.Environment":
    """Return the environment of a folder of templates; an undefined name in one is an error.

    A template that extends `page.html` is rendered with `style`, and defines blocks.
    """
    # Imported lazily: a worker that renders no page does not need it.
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _HERE / "templates"]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(_=_, ngettext=ngettext, language=language)
    made.filters.update({each.__name__: each for each in _FILTERS})
    return made
