"""`/runbook`: the runbook as a page, and the documents and pictures that it links to."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from core.messages import N_
from serving.documents.markdown import html_of, linked_page
from serving.errors import RouteError
from serving.http.pages import RUNBOOK, TextRoute, filled, page_answer

_ROOT = Path(__file__).resolve().parents[2]
_TEMPLATE = Path(__file__).with_name("templates") / "document.html"
_START = "RUNBOOK.md"
_LINK = re.compile(r"\]\(([^)#\s]+)")


def document_routes() -> list[Route]:
    """Return the routes of the runbook and of the files that it links to."""

    def document(request: Request) -> Response:
        path = request.path_params.get("path")
        return answer(_START, "") if path is None else answer(path, "../" * (path.count("/") + 1))

    return [
        TextRoute(RUNBOOK, document, "runbook", N_("The runbook, as a page")),
        Route(RUNBOOK + "/{path:path}", document, methods=["GET"]),
    ]


def answer(name: str, root: str) -> Response:
    """Return a document of the project's folder as a page, or a picture.

    `root` is the relative path from its URL up to the proxy's root.

    Raises:
        RouteError: 404; it is not among the served files.
    """
    path = served_files().get(name)
    if path is None:
        raise RouteError(404)
    if path.suffix != ".md":
        return FileResponse(path)
    return page_answer(render(name, root), pictures=True)


@cache
def served_files() -> Mapping[str, Path]:
    """Return the runbook and the files that it links to, by path from the project's folder."""
    try:
        text = (_ROOT / _START).read_text(encoding="utf-8")
    except OSError:
        return {}
    names = {_START, *_LINK.findall(text)}
    return {name: _ROOT / name for name in names if (_ROOT / name).is_file()}


@cache
def render(name: str, root: str) -> str:
    """Return a document's page as HTML."""
    text = served_files()[name].read_text(encoding="utf-8")
    body = html_of(text, name, served_files(), f"{root}runbook/")
    return filled(
        _TEMPLATE,
        lang="pt-BR" if name == _START else "en",
        title=text.partition("\n")[0].lstrip("# "),
        body=linked_page(body, "" if name == _START else f"{root}runbook"),
        root=root,
    )
