"""Locations of the inference store and its journals, and the request for rotation by the proxies.

The store is a folder or an object store's URI. Journals are always in a local folder, since objects
do not support appending.
"""

import re
from pathlib import Path

from core.store.schema import JOURNAL_FOLDER

DEFAULT_REMOTE_JOURNALS = Path("var/journal")
"""Parent of the journals' folders of stores that are URIs."""

ROTATE_REQUEST = "rotate.request"
"""File in the journals' folder. Writing it anew requests that each proxy that appends there seals
its open journals at once; proxies poll for it once a second. Once the lock of a journal that
existed before is free, no proxy will append to it again, and the requesting job removes the
file."""

ROTATE_LOOK_SECONDS = 1.0
"""Polling interval of a proxy, in seconds."""

_URI = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_BUCKET = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9._-]+(/[^/?#]+)*/*")


def store_place(text: str) -> Path | str:
    """Parse `INFERENCE_STORE`: a folder, or `s3://bucket/prefix`, without its trailing slash.

    `file://` is a folder. Keys, region and endpoint of a bucket come from the usual `AWS_`
    variables; a URI that holds keys or options is rejected, since it is shown and logged.

    Raises:
        ValueError: it is neither.
    """
    if text.startswith("file:///"):
        return Path(text.removeprefix("file://"))
    if not _URI.match(text):
        return Path(text)
    if not _BUCKET.fullmatch(text):
        raise ValueError("neither a folder nor s3://bucket/prefix")
    return text.rstrip("/")


def journal_folder(place: Path | str, moved_to: str = "") -> Path:
    """Return the folder of a store's journals: `JOURNAL_DIR` where it is set, or the default.

    By default a folder's journals are within it, and those of a URI under `var/journal`, in one
    folder per store.
    """
    if moved_to:
        return Path(moved_to)
    if isinstance(place, Path):
        return place / JOURNAL_FOLDER
    return DEFAULT_REMOTE_JOURNALS / place.split("://", 1)[1].replace("/", "-")
