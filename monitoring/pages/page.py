"""The templates of the reports."""

from pathlib import Path

import jinja2

from core.messages.formats import NONE, number
from core.messages.templates import environment


def template(name: str) -> jinja2.Template:
    """Return a template; what it shows is escaped, and a name it does not know is an error."""
    made = environment(Path(__file__).with_name("templates"))
    made.filters["evidence"] = evidence
    return made.get_template(name)


def evidence(p_value: float | None) -> str:
    """Return a p-value as papers write it, a very small one as a bound."""
    if p_value is None:
        return NONE
    return f"p < {number(0.001, 3)}" if p_value < 0.001 else f"p = {number(p_value, 3)}"
