"""`python -m monitoring.retention`: retention by age, erasure and export of a person's rows.

`--days` deletes what is older, `--forget` one person's rows; both are dry runs without `--apply`.
`--export` writes a person's stored rows. Each action taken is logged as an MLflow run, without the
identity.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.cli.arguments import Parser, parser, run_command, say
from core.messages import _
from core.store.quarantine import drop_quarantined, quarantined
from core.store.quarantined import EXIT_QUARANTINED, told
from core.store.row_filters import OlderThan
from core.upkeep.erasure import Found, count, erase
from monitoring.command import add_output, add_store, days
from monitoring.privacy import aged_files
from monitoring.privacy.person import DRY, export, forget
from monitoring.tracking.jobs import JobRegistry

DEFAULT_LOG = Path("logs/app.log")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = _parser().parse_args(arguments)
    if args.days:
        args.reports_days = args.reports_days or args.days
        args.logs_days = args.logs_days or args.days
        return run_command(lambda: _retain(args))
    if args.forget is not None:
        return run_command(lambda: forget(args.inference_store, args.forget, args.apply))
    return run_command(lambda: export(args.inference_store, args.export, args.to))


@dataclass(frozen=True, slots=True)
class Due:
    """Data past its retention age: rows by rule, whole files, and lines of the proxy's log."""

    rows: OlderThan
    reports: tuple[Path, ...]
    labels: tuple[Path, ...]
    log: Path
    logs_before: datetime

    @classmethod
    def of(cls, args: argparse.Namespace) -> "Due":
        """Return what is due now; files are aged by their modification time."""
        now = datetime.now(UTC)
        ages = args.days, args.reports_days, args.logs_days
        rows_before, reports_before, logs_before = (now - timedelta(days=n) for n in ages)
        return cls(
            rows=OlderThan(rows_before),
            reports=aged_files.old_files(aged_files.reports_in(args.output), reports_before),
            labels=aged_files.old_files(args.labels, rows_before),
            log=Path(os.environ.get("LOG_FILE") or DEFAULT_LOG),
            logs_before=logs_before,
        )


def _retain(args: argparse.Namespace) -> int:
    """Delete rows, reports, log lines and files of labels by age; return the exit code."""
    due, store = Due.of(args), args.inference_store
    if not args.apply:
        lines = sum(aged_files.count_lines(p, due.logs_before) for p in aged_files.logs_of(due.log))
        found = count(store, due.rows)
        _tell(args, due, found, lines)
        say(_(DRY), *told(found.quarantined))
        return EXIT_QUARANTINED if found.quarantined else 0
    with JobRegistry().run(None, "retention", f"retention {args.days:g}d") as job:
        done = erase(store, due.rows)
        unread = drop_quarantined(store, due.rows.moment)
        aged_files.remove([*due.reports, *due.labels])
        lines = aged_files.drop_lines(due.log, due.logs_before)
        job.log(
            {
                "action": "retain",
                "rows_days": f"{args.days:g}",
                "reports_days": f"{args.reports_days:g}",
                "logs_days": f"{args.logs_days:g}",
            },
            {
                **done.numbers(),
                "quarantined_removed": unread,
                "reports_removed": len(due.reports),
                "label_files_removed": len(due.labels),
                "log_lines_removed": lines,
            },
            {},
        )
    _tell(args, due, done, lines)
    kept = quarantined(store)
    say(*told(kept), _("Run in MLflow: {url}", url=job.url))
    return EXIT_QUARANTINED if kept else 0


def _tell(args: argparse.Namespace, due: Due, found: Found, lines: int) -> None:
    title = _("Past its age (rows: {days} days), removed:", days=args.days)
    if not args.apply:
        title = _("Past its age (rows: {days} days), to be removed:", days=args.days)
    rows = _(
        "rows in {store}: {rows} ({where})",
        store=args.inference_store,
        rows=found.rows,
        where=found.where(),
    )
    reports = _("reports in {folder}: {n}", folder=args.output, n=len(due.reports))
    labels = _("files of results: {n}", n=len(due.labels))
    logged = _("log lines ({path}): {n}", path=due.log, n=lines)
    say(title, *(f"  {line}" for line in (rows, reports, labels, logged)))


def _parser() -> Parser:
    options = parser(
        "monitoring.retention",
        _(
            "Deletes what is old, forgets a person, or exports what there is of one. Without "
            "--apply it only says what it would do."
        ),
        epilog=_("The runs in MLflow hold neither rows nor persons and are not deleted."),
    )
    what = options.add_mutually_exclusive_group(required=True)
    what.add_argument("--days", type=days, metavar="N", help=_("delete what is older than N days"))
    forgotten = _("delete a person's rows; - reads who from standard input")
    exported = _("write a person's rows; - reads who from standard input")
    what.add_argument("--forget", metavar="ID", help=forgotten)
    what.add_argument("--export", metavar="ID", help=exported)
    options.add_argument("--apply", action="store_true", help=_("do it, and not only say so"))
    options.add_argument(
        "--to",
        type=Path,
        metavar=_("FILE"),
        help=_("with --export: a .json, .csv or .parquet file"),
    )
    of_reports = _("age of the reports (default: that of --days)")
    of_logs = _("age of the log lines (default: that of --days)")
    options.add_argument("--reports_days", type=days, metavar="N", help=of_reports)
    options.add_argument("--logs_days", type=days, metavar="N", help=of_logs)
    options.add_argument(
        "--labels",
        nargs="+",
        type=Path,
        default=[],
        metavar=_("FILE"),
        help=_("files of results to delete too, if they are past --days: labels*.csv"),
    )
    add_store(options)
    add_output(options)
    return options


if __name__ == "__main__":
    sys.exit(main())
