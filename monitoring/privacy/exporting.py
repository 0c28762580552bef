"""Export of one person's stored rows to a file."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from core.contract.columns import feature_of
from core.files.whole import replacing
from core.messages.system import system_reason
from monitoring.privacy.errors import ExportUnwritable, FormatUnknown


def check_format(path: Path) -> None:
    """Check a file name's suffix, before anything is read.

    Raises:
        FormatUnknown: the suffix is not supported.
    """
    if path.suffix.lower() not in _WRITERS:
        raise FormatUnknown(path=path)


def write(path: Path, tables: Sequence[pa.Table]) -> int:
    """Write rows of several versions, all columns but the pseudonym; return the number of rows.

    The file is written atomically, readable by its owner only (mode 0600).

    Raises:
        ExportUnwritable: it cannot be written.
    """
    whole = pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})
    if "entity" in whole.column_names:
        whole = whole.drop_columns(["entity"]).sort_by("timestamp")
    whole = whole.rename_columns(_own_names(whole.column_names))
    try:
        with replacing(path, mode=0o600) as temporary:
            _WRITERS[path.suffix.lower()](whole, temporary)
    except OSError as exc:
        raise ExportUnwritable(path=path, reason=system_reason(exc)) from exc
    return int(whole.num_rows)


def _own_names(columns: Sequence[str]) -> list[str]:
    """Return the features' names of columns, unless a column of the store has the same name."""
    return [column if (own := feature_of(column)) in columns else own for column in columns]


def _json(table: pa.Table, path: Path) -> None:
    text = json.dumps(_rows(table), indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


def _csv(table: pa.Table, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, table.column_names)
        writer.writeheader()
        writer.writerows(_rows(table))


def _rows(table: pa.Table) -> list[dict[str, object]]:
    """Return rows as plain values, times in ISO 8601."""
    rows = table.to_pylist()
    return [
        {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in row.items()} for row in rows
    ]


_WRITERS: Mapping[str, Callable[[pa.Table, Path], None]] = {
    ".json": _json,
    ".csv": _csv,
    ".parquet": pq.write_table,
}
