"""The templates of the reports."""

from pathlib import Path

import jinja2

from core.messages.formats import NONE, number
from core.pages.templates import environment, style

_TEMPLATES = Path(__file__).with_name("templates")


def template(name: str) -> jinja2.Template:
    """Return a template; its output is escaped, and an undefined name in it is an error."""
    made = environment(_TEMPLATES)
    made.globals["style"] = style(_TEMPLATES / "report.css")
    made.filters["evidence"] = evidence
    return made.get_template(name)


def evidence(p_value: float | None) -> str:
    """Return a p-value as in scientific papers, below 0.001 as a bound."""
    if p_value is None:
        return NONE
    return f"p < {number(0.001, 3)}" if p_value < 0.001 else f"p = {number(p_value, 3)}"
