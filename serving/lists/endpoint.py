"""`/lista`: the upload page, and a POST of a workbook that returns the scored list.

Neither workbook nor list is written to disk. With `Accept: application/x-ndjson` the response is a
JSON line per scored slice, and a last one with the summary and the file, so that the page can show
progress.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from core.messages import N_, _
from core.sheets import SheetError, SheetReader
from serving.deployment.deployment import Deployment
from serving.engine.context import RequestContext
from serving.errors import InternalError, RequestError, ScoringFailed, UnsupportedMediaType
from serving.following.served import ServedModel
from serving.http.bodies import bodies_of, read_body
from serving.http.middleware import error_body
from serving.http.pages import LIST, TextRoute, page_answer
from serving.lists.page import render, script
from serving.lists.readers import check_size, named_reader, reader_for
from serving.lists.scoring import accepted, finished, score_slices, summary
from serving.protocol.frames import refusal
from serving.protocol.media import NDJSON, SHEET_TYPES, XLSX
from serving.protocol.values import year_of

Event = dict[str, Any]


class SheetRefused(RequestError):
    """The workbook cannot be read; `reason` is the reader's."""

    status, code = 422, "unreadable_sheet"
    message = "{reason}"


class ListEndpoint:
    """Endpoint of the page (GET) and of workbooks (POST), one at a time in a worker."""

    def __init__(self, deployment: Deployment) -> None:
        """Load the reader.

        Raises:
            SettingsError: its name cannot be imported, or names no reader.
        """
        self._deployment = deployment
        self._named = named_reader(deployment.settings.sheet_reader)
        self._turn = asyncio.Semaphore(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; an error before the first byte is raised to the middleware."""
        if scope["method"] == "GET":
            text = await asyncio.to_thread(render, self._deployment)
            await page_answer(text, script())(scope, receive, send)
        else:
            await self._list(scope, receive, send)

    async def _list(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, context = dict(scope["headers"]), scope["context"]
        kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        if kind not in SHEET_TYPES:
            raise UnsupportedMediaType(accepted=", ".join(SHEET_TYPES))
        year = _year(scope["query_string"])
        body = await read_body(scope, receive, self._deployment.settings.max_sheet_bytes)
        check_size(body)
        model = self._deployment.follower.current()
        context.model_version = model.release
        if model.threshold is None:
            raise ScoringFailed(_("the model has no score"))
        # A workbook is held in memory, and counted, until its list is made.
        with bodies_of(scope).waiting(body):
            async with self._turn:
                events = self._events(model, body, year, context)
                if NDJSON.encode() in headers.get(b"accept", b"").lower():
                    await _stream(events, context, send)
                else:
                    await _whole(events, send)

    async def _events(
        self, model: ServedModel, body: bytes, year: int | None, context: RequestContext
    ) -> AsyncIterator[Event]:
        """Yield the progress after each slice, and at last the summary and the file."""
        reader = reader_for(self._named, model.version.contract)
        sheet = await asyncio.to_thread(_read, reader, body, year)
        sheet, instances = await asyncio.to_thread(accepted, sheet, model)
        context.n_instances = total = len(instances.rows)
        results: list[Any] = []
        yield {"scored": 0, "total": total}
        async for part in score_slices(self._deployment, model, instances, context.request_id):
            results += part
            yield {"scored": len(results), "total": total}
        scored = finished(sheet, model, results)
        content = await asyncio.to_thread(reader.write, scored)
        name = "-".join(filter(None, ("lista", str(sheet.year or ""), model.release)))
        yield {"summary": summary(scored), "name": f"{name}.xlsx", "content": content}


def list_route(deployment: Deployment) -> Route:
    """Return the route of the page and of its uploads."""
    return TextRoute(
        LIST,
        ListEndpoint(deployment),
        "lista",
        N_("Page that makes a list from a workbook"),
        methods=("GET", "POST"),
    )


def _read(reader: SheetReader, body: bytes, year: int | None) -> Any:
    try:
        return reader.read(body, year)
    except SheetError as exc:
        raise SheetRefused(reason=exc) from exc


async def _whole(events: AsyncIterator[Event], send: Send) -> None:
    """Send the file alone."""
    *_progress, last = [event async for event in events]
    disposition = f'attachment; filename="{last["name"]}"'.encode()
    headers = [(b"content-type", XLSX.encode()), (b"content-disposition", disposition)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": last["content"]})


async def _stream(events: AsyncIterator[Event], context: RequestContext, send: Send) -> None:
    """Send each event as a JSON line; an error after the first event is a line, too."""
    first = await anext(events)
    headers = [(b"content-type", NDJSON.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await _line(first, send)
    try:
        async for event in events:
            await _line(event, send)
    except Exception as exc:
        error = exc if isinstance(exc, RequestError) else InternalError()
        await _line(error_body(error, context), send)
        raise
    finally:
        await send({"type": "http.response.body", "body": b""})


async def _line(event: Event, send: Send) -> None:
    # msgspec encodes the file's bytes as base64.
    body = msgspec.json.encode(event) + b"\n"
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _year(query: bytes) -> int | None:
    """Return the query's year, None for the newest; raises InvalidInstances."""
    text = parse_qs(query.decode("latin-1")).get("year", [""])[-1]
    year = year_of(text)
    if text and year is None:
        raise refusal(_("is not a year"), _("a year, for example 2024"), field="year")
    return year
