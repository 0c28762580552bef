"""Export of all reports as one table, for business intelligence.

One row per metric of a report, so that a new metric adds rows and never changes the schema. The
report's version, window and verdict are repeated in each of its rows.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from core.cli.arguments import say
from core.contract import names
from core.files.whole import replacing
from core.messages import _, ngettext
from core.registry.runs import RunRecord, all_runs
from core.registry.versions import open_registry
from core.tables.writing import check_output, table_writer
from monitoring import command

_MOMENT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        ("model_name", pa.string()),
        ("job", pa.string()),
        ("run_id", pa.string()),
        ("started", _MOMENT),
        ("model_version", pa.string()),
        ("registry_version", pa.int64()),
        ("window_start", _MOMENT),
        ("window_end", _MOMENT),
        ("status", pa.string()),
        ("escalation", pa.string()),
        ("headline", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
    ]
)
"""Columns of the table; a report without a metric has one row whose last two are null."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = _parser().parse_args(arguments)
    return command.run_command(lambda: _job(args))


def _job(args: argparse.Namespace) -> None:
    check_output(args.output, excel_br=False)
    registry = open_registry()
    runs = all_runs(registry, names.monitoring_experiment(registry.name))
    finished = [run for run in runs if run.status == "FINISHED"]
    table = history(registry.name, finished)
    check_output(args.output, excel_br=False, rows=table.num_rows)
    shown = table if args.output.suffix.lower() == ".parquet" else _readable(table)
    with (
        replacing(args.output) as temporary,
        table_writer(temporary, args.output, shown.schema, excel_br=False) as writer,
    ):
        writer.write(shown)
    reports = ngettext("{n} report", "{n} reports", len(finished))
    rows = ngettext("{n} row", "{n} rows", table.num_rows)
    say(_("{reports} written to {file}: {rows}.", reports=reports, file=args.output, rows=rows))


def history(model_name: str, runs: Sequence[RunRecord]) -> pa.Table:
    """Return reports as one table of `SCHEMA`, in the order of the runs."""
    rows = [row for run in runs for row in _rows(model_name, run)]
    return pa.Table.from_pylist(rows, SCHEMA)


def _rows(model_name: str, run: RunRecord) -> Iterator[Mapping[str, Any]]:
    number = run.tags.get(names.TAG_REGISTRY_VERSION, "")
    about = {
        "model_name": model_name,
        "job": run.tags.get(names.TAG_JOB),
        "run_id": run.run_id,
        "started": run.started,
        "model_version": run.tags.get(names.TAG_RELEASE),
        "registry_version": int(number) if number.isdecimal() else None,
        "window_start": _moment(run.params.get("window_start")),
        "window_end": _moment(run.params.get("window_end")),
        "status": run.tags.get(names.TAG_STATUS),
        "escalation": run.tags.get(names.TAG_ESCALATION),
        "headline": run.tags.get("mlflow.note.content"),
    }
    if not run.metrics:
        yield {**about, "metric": None, "value": None}
    for name, value in sorted(run.metrics.items()):
        yield {**about, "metric": name, "value": value}


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def _readable(table: pa.Table) -> pa.Table:
    """Return the table with timestamps as ISO 8601 text, since a workbook stores no time zone."""
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            text = pc.strftime(table.column(place), "%Y-%m-%dT%H:%M:%SZ")
            table = table.set_column(place, field.name, text)
    return table


def _parser() -> argparse.ArgumentParser:
    parser = command.parser(
        "monitoring.history", _("Writes the history of all reports as one table, for charts.")
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar=_("FILE"),
        help=_("the .parquet, .xlsx or .csv file to write"),
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
