"""`GET /lista`: the page for those without a terminal. Its script sends the workbook and waits."""

import asyncio
from functools import cache
from pathlib import Path

from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from core.messages import _
from core.pages.templates import environment
from serving.deployment.deployment import Deployment
from serving.http.auth import LIST
from serving.http.pages import page_policy, style
from serving.lists.endpoint import ListEndpoint
from serving.protocol.media import NDJSON, SHEET_TYPES, XLSX

_TEMPLATES = Path(__file__).with_name("templates")


class ListPage:
    """Answers GET with the page and POST with the list."""

    def __init__(self, deployment: Deployment) -> None:
        """Keep what is served, and load the reader of workbooks."""
        self._deployment, self._make_list = deployment, ListEndpoint(deployment)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] == "POST":
            await self._make_list(scope, receive, send)
            return
        text = await asyncio.to_thread(render, self._deployment)
        headers = {"Content-Security-Policy": page_policy(script())}
        await HTMLResponse(text, headers=headers)(scope, receive, send)


def list_route(deployment: Deployment) -> Route:
    """Return the route of the page and of what it sends to."""
    return Route(LIST, ListPage(deployment), methods=["GET", "POST"])


def render(deployment: Deployment) -> str:
    """Return the page; it needs no other file and no network."""
    served = deployment.follower.served
    template = environment(_TEMPLATES).get_template("lista.html")
    return template.render(
        style=style(),
        script=script(),
        served=f"{served.version.name} {served.release}" if served else _("no version"),
        megabytes=deployment.settings.max_sheet_bytes // 2**20,
        flat=not deployment.settings.sheet_reader,
        accepted=",".join((".xlsx", ".csv", *SHEET_TYPES[:2])),
        xlsx=XLSX,
        kind=SHEET_TYPES[-1],
        stream=NDJSON,
    )


@cache
def script() -> str:
    """Return the page's script."""
    return (_TEMPLATES / "lista.js").read_text(encoding="utf-8")
