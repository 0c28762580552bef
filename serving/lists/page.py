"""`GET /lista`: the upload page, whose script sends the workbook and shows the progress."""

from functools import cache
from pathlib import Path

from core.messages import _
from serving.deployment.deployment import Deployment
from serving.http.pages import filled
from serving.protocol.media import NDJSON, SHEET_TYPES, XLSX

_TEMPLATE = Path(__file__).with_name("templates") / "lista.html"


def render(deployment: Deployment) -> str:
    """Return the page as HTML."""
    served = deployment.follower.served
    return filled(
        _TEMPLATE,
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
    return _TEMPLATE.with_suffix(".js").read_text(encoding="utf-8")
