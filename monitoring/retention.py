"""`python -m monitoring.retention`: what is kept, for how long, and what a person may ask for.

`--days` drops what is older, `--forget` one person's rows; both only say what they would do until
`--apply`. `--export` writes what is stored of a person. What was done is logged as an MLflow run,
without the identity.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.store.erasure import Found, count, erase
from core.store.row_filters import OlderThan
from monitoring.command import add_output, add_store, days, run, say
from monitoring.privacy import aged_files
from monitoring.privacy.person import DRY, export, forget
from monitoring.tracking.jobs import JobRegistry

DEFAULT_LOG = Path("logs/app.log")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = _parser().parse_args(arguments)
    if args.days:
        return run(lambda: _retain(args))
    if args.forget is not None:
        return run(lambda: forget(args.inference_store, args.forget, args.apply))
    return run(lambda: export(args.inference_store, args.export, args.to))


@dataclass(frozen=True, slots=True)
class Due:
    """What has passed its age: rows by rule, whole files, and lines of the proxy's log."""

    rows: OlderThan
    reports: tuple[Path, ...]
    labels: tuple[Path, ...]
    log: Path
    logs_before: datetime

    @classmethod
    def of(cls, args: argparse.Namespace) -> "Due":
        """Look at files' ages now; reports and logs follow `--days` unless they have their own."""
        now = datetime.now(UTC)
        rows_before, reports_before, logs_before = (
            now - timedelta(days=n)
            for n in (args.days, args.reports_days or args.days, args.logs_days or args.days)
        )
        return cls(
            rows=OlderThan(rows_before),
            reports=aged_files.old_files(aged_files.reports_in(args.output), reports_before),
            labels=aged_files.old_files(args.labels, rows_before),
            log=Path(os.environ.get("LOG_FILE") or DEFAULT_LOG),
            logs_before=logs_before,
        )


def _retain(args: argparse.Namespace) -> int:
    """Drop rows, reports, logs and files of labels by age."""
    due = Due.of(args)
    if not args.apply:
        lines = sum(aged_files.count_lines(p, due.logs_before) for p in aged_files.logs_of(due.log))
        _tell(args, due, count(args.inference_store, due.rows), lines)
        say(DRY)
        return 0
    with JobRegistry().run(None, "retention", f"retention {args.days:g}d") as job:
        done = erase(args.inference_store, due.rows)
        aged_files.remove([*due.reports, *due.labels])
        lines = aged_files.drop_lines(due.log, due.logs_before)
        job.log(
            {
                "action": "retain",
                "rows_days": f"{args.days:g}",
                "reports_days": f"{args.reports_days or args.days:g}",
                "logs_days": f"{args.logs_days or args.days:g}",
            },
            {
                **done.numbers(),
                "reports_removed": len(due.reports),
                "label_files_removed": len(due.labels),
                "log_lines_removed": lines,
            },
            {},
        )
    _tell(args, due, done, lines)
    say(f"Run no MLflow: {job.url}")
    return 0


def _tell(args: argparse.Namespace, due: Due, found: Found, lines: int) -> None:
    verb = "Removido" if args.apply else "A remover"
    say(
        f"{verb} o que passou da idade (linhas: {args.days:g} dias):",
        f"  linhas em {args.inference_store}: {found.rows} ({found.where()})",
        f"  relatórios em {args.output}: {len(due.reports)}",
        f"  arquivos de resultados: {len(due.labels)}",
        f"  linhas de log ({due.log}): {lines}",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m monitoring.retention",
        description="Apaga o que é antigo, esquece uma pessoa ou exporta o que há dela. Sem "
        "--apply, só diz o que faria.",
        epilog="As execuções no MLflow não guardam linhas nem pessoas e não são apagadas.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--days", type=days, metavar="N", help="apagar o que tem mais de N dias")
    what.add_argument(
        "--forget", metavar="ID", help="apagar as linhas de uma pessoa; - lê quem da entrada padrão"
    )
    what.add_argument(
        "--export", metavar="ID", help="gravar as linhas de uma pessoa; - lê quem da entrada padrão"
    )
    parser.add_argument("--apply", action="store_true", help="fazer, e não só dizer")
    parser.add_argument(
        "--to",
        type=Path,
        metavar="ARQUIVO",
        help="com --export: arquivo .json, .csv ou .parquet",
    )
    parser.add_argument(
        "--reports_days", type=days, metavar="N", help="idade dos relatórios (padrão: a de --days)"
    )
    parser.add_argument(
        "--logs_days", type=days, metavar="N", help="idade das linhas de log (padrão: a de --days)"
    )
    parser.add_argument(
        "--labels",
        nargs="+",
        type=Path,
        default=[],
        metavar="ARQUIVO",
        help="arquivos de resultados a apagar também, se passaram de --days: labels*.csv",
    )
    add_store(parser)
    add_output(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
