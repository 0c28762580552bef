"""Table of the rows whose prediction changes, with request ids and pseudonyms."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from core.contract.model import CLASSES, VALUE
from core.files.whole import replacing
from core.tables.writing import table_writer
from monitoring.replay.replaying import KEYS
from monitoring.replay.result import Names, answers


def write_changes(rows: pa.Table, kind: str, names: Names, output: Path) -> None:
    """Write one row per changed prediction, in the format of `output`'s suffix, with mode 0640.

    Raises:
        OSError: the file cannot be written.
    """
    table = listed(rows, kind, names)
    with (
        replacing(output) as temporary,
        table_writer(temporary, output, table.schema, excel_br=False) as writer,
    ):
        writer.write(table)


def listed(rows: pa.Table, kind: str, names: Names) -> pa.Table:
    """Return keys, groups and both predictions of rows, under the column names of the file."""
    columns = {name: rows[name] for name in KEYS}
    # A workbook stores no time zone.
    columns["timestamp"] = pc.strftime(rows["timestamp"], "%Y-%m-%dT%H:%M:%SZ")
    for name in rows.column_names:
        if name.startswith("@"):
            columns[name.removeprefix("@")] = rows[name]
    if kind != CLASSES:
        columns |= {"score_before": rows["score"], "score_after": rows["shadow_score"]}
    if kind == VALUE:
        columns["difference"] = pc.subtract(rows["shadow_score"], rows["score"])
    else:
        before, after = answers(rows, kind, names)
        columns |= {"label_before": before, "label_after": after}
    return pa.table(columns)
