"""Common parts of the proxy's pages: routes, style sheet, content security policy."""

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute, Route

from core.pages.templates import environment, style

PAGE, LIST, RUNBOOK = "/painel", "/lista", "/runbook"
"""Paths of the operators' page, the page for workbooks, and the runbook."""
REPORT_PATH = f"{PAGE}/{{job}}/{{run_id}}"
"""Path of a report that the operators' page links to."""
_STYLE = Path(__file__).with_name("templates") / "style.css"


class TextRoute(Route):
    """Route that responds to GET with text, with its operation and summary in OpenAPI.

    A route of HTML is a page: browsers open it, and can send the key (`serving.http.auth`).
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        operation: str,
        summary: str,
        media_type: str = "text/html",
        methods: Sequence[str] = ("GET",),
    ) -> None:
        """Keep the fields of OpenAPI; `summary` is marked for the message catalogue."""
        super().__init__(path, endpoint, methods=list(methods))
        self.operation, self.summary, self.media_type = operation, summary, media_type


def text_routes(routes: Iterable[BaseRoute]) -> list[TextRoute]:
    """Return those of an app's routes that are described in OpenAPI as text."""
    return [route for route in routes if isinstance(route, TextRoute)]


def pages_of(routes: Iterable[BaseRoute]) -> frozenset[str]:
    """Return the paths of an app's pages."""
    return frozenset(one.path for one in text_routes(routes) if one.media_type == "text/html")


def page_answer(text: str, script: str = "", *, pictures: bool = False) -> HTMLResponse:
    """Return a page as a response with its content security policy."""
    policy = page_policy(script, pictures=pictures)
    return HTMLResponse(text, headers={"Content-Security-Policy": policy})


def filled(template: Path, **values: Any) -> str:
    """Return a page rendered from its template, with its style sheet inline."""
    return (
        environment(template.parent)
        .get_template(template.name)
        .render(style=style(_STYLE), **values)
    )


def page_policy(script: str = "", *, pictures: bool = False) -> str:
    """Return a page's content security policy: its own style sheet and script, by digest.

    With a script it may send requests to this server only; `pictures` are from this server, too.
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
