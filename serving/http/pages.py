"""What the proxy's pages share: one style sheet, and a policy that lets nothing else in."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from core.pages.templates import environment, style

_STYLE = Path(__file__).with_name("templates") / "style.css"


def filled(template: Path, **values: Any) -> str:
    """Return a page made from its template; it needs no other file and no network."""
    return (
        environment(template.parent)
        .get_template(template.name)
        .render(style=style(_STYLE), **values)
    )


def page_policy(script: str = "", *, pictures: bool = False) -> str:
    """Return a page's content security policy: its own style sheet and script, by digest.

    With a script it may ask this server, and nobody else; pictures come from it, too.
    """
    rules = ["default-src 'none'", f"style-src {_source(style(_STYLE))}"]
    if script:
        rules += [f"script-src {_source(script)}", "connect-src 'self'"]
    if pictures:
        rules.append("img-src 'self'")
    return "; ".join([*rules, "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"])


def _source(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
