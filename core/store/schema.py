"""The inference store: columns of a captured row, file names, and the journal that precedes them.

A proxy appends each batch to a journal before it sends the response, and converts sealed journals
into Parquet files of the same stem. A reader sees every captured row exactly once as follows: read
the journals first, then list the Parquet files, and drop a journal whose stem is among them.

A journal is a text file: a JSON header line, then one JSON array per row in the header's column
order. Its owner holds an exclusive `flock` on it; one that can be locked has no running owner.

Small files of a past day and version may be merged into one, whose name has `compacted` and whose
footer lists the stems that it replaces. Once it has its final name, readers ignore those stems, in
Parquet files and journals alike. The replaced files are removed much later, when every reader that
listed the folder before has finished; so no reader sees a row twice or misses one.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from core.contract.columns import LEADING_COLUMNS, TRAILING_COLUMNS

JOURNAL_FOLDER = "journal"
"""Folder of the journals inside a local store."""
JOURNAL_SUFFIX = ".jsonl"
PARQUET_SUFFIX = ".parquet"

COMPACTED = "compacted"
"""Marker in the stem of a file that replaces others."""
REPLACED_KEY = b"replaced_stems"
"""Key of the replaced stems, a JSON list, in a compacted file's footer."""

ROLE_PRIMARY = "primary"
"""Role of a row whose score was returned to the client."""
ROLE_SHADOW = "shadow"
"""Role of a row that another version scored besides the one that served the request."""
ROLE_BATCH = "batch"
"""Role of a row that was scored for a list or from a file."""
ANSWERED = (ROLE_PRIMARY, ROLE_BATCH)
"""Roles of rows whose score was returned to a client; drift and performance use these."""

CONSTANT_COLUMNS = ("model_name", "model_version", "registry_version", "role")
"""Columns that are the same for all rows of one file; a journal keeps them in its header."""


@dataclass(frozen=True, slots=True)
class JournalHeader:
    """The header of a journal, common to all its rows.

    `constants` holds `CONSTANT_COLUMNS`; `columns` maps the others, features included and in row
    order, to `string`, `long`, `double`, `boolean` or `timestamp`.
    """

    constants: Mapping[str, Any]
    columns: Mapping[str, str]

    @classmethod
    def of(cls, constants: Mapping[str, Any], features: Mapping[str, str]) -> "JournalHeader":
        """Build the header for a model whose `features` map names to contract types."""
        leading = {k: v for k, v in LEADING_COLUMNS.items() if k not in CONSTANT_COLUMNS}
        return cls(constants, {**leading, **features, **TRAILING_COLUMNS})

    def schema(self) -> dict[str, str]:
        """Return every column of the Parquet file, in file order, with its type."""
        features = {
            k: v
            for k, v in self.columns.items()
            if k not in LEADING_COLUMNS and k not in TRAILING_COLUMNS
        }
        return {**LEADING_COLUMNS, **features, **TRAILING_COLUMNS}

    def row_maker(self, given: Sequence[str]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
        """Return the function that reorders values from columns `given` to the journal's order.

        Raises:
            ValueError: a column is not given.
        """
        return itemgetter(*(given.index(name) for name in self.columns))

    def to_line(self) -> bytes:
        """Return the header as the journal's first line."""
        data = {"constants": dict(self.constants), "columns": dict(self.columns)}
        return json.dumps(data).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "JournalHeader":
        """Parse a journal's first line.

        Raises:
            ValueError: the line is not a journal header.
        """
        try:
            data = json.loads(line)
            return cls(data["constants"], data["columns"])
        except (KeyError, TypeError) as exc:
            raise ValueError("not a journal header") from exc


def file_stem(opened: datetime, owner: str, registry_version: int) -> str:
    """Return a stem that sorts by time and names the writer and the version.

    `opened` is converted to UTC; `owner` (process and a random part) distinguishes workers.
    """
    stamp = opened.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return f"{stamp}-v{registry_version}-{owner}"


def moment_of(name: str) -> datetime | None:
    """Return when the file with a name was opened (UTC); None for a name of another form."""
    try:
        return datetime.strptime(name.split("-")[0], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def version_of(name: str) -> int | None:
    """Return the registry's number of the version whose rows a file holds, by its name."""
    found = re.match(r"[^-]+-v(\d+)-", name)
    return int(found[1]) if found else None


def is_compacted(stem: str) -> bool:
    """Return whether a file of this stem replaces others."""
    return f"-{COMPACTED}-" in stem


def compacted_stem(stems: Iterable[str]) -> str:
    """Return the stem of the file that replaces these; deterministic, and sorted by time.

    It begins like the first of them: `<time>-v<version>`.
    """
    ordered = sorted(stems)
    digest = hashlib.sha256("\n".join(ordered).encode()).hexdigest()[:12]
    stamp, version, *_ = ordered[0].split("-")
    return f"{stamp}-{version}-{COMPACTED}-{digest}"


def replaced_stems(footer: Mapping[bytes, bytes]) -> frozenset[str]:
    """Return the stems that a file replaces, by its Parquet footer's key-value metadata.

    Raises:
        ValueError: the footer's entry cannot be parsed.
    """
    return frozenset(json.loads(footer.get(REPLACED_KEY, b"[]")))
