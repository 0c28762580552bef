"""`python -m monitoring.retention`: what is kept, for how long, and what a person may ask for.

`--days` drops what is older, `--forget` one person's rows; both only say what they would do until
`--apply`. `--export` writes what is stored of a person. What was done is logged as an MLflow run,
without the identity.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from monitoring import aged_files
from monitoring.command import add_output, add_store, days, run, say
from monitoring.erasure import Found, count, erase
from monitoring.person import DRY, export, forget
from monitoring.rules import OlderThan
from monitoring.runs import Registry

DEFAULT_LOG = Path("logs/app.log")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = _parser().parse_args(arguments)
    if args.days:
        return run(lambda: _retain(args))
    if args.forget is not None:
        return run(lambda: forget(args.inference_store, args.forget, args.apply))
    return run(lambda: export(args.inference_store, args.export, args.to))


def _retain(args: argparse.Namespace) -> int:
    """Drop rows, reports, logs and files of labels by age."""
    now = datetime.now(UTC)
    reports_days, logs_days = args.reports_days or args.days, args.logs_days or args.days
    rule = OlderThan(now - timedelta(days=args.days))
    reports = aged_files.old_files(
        aged_files.reports_in(args.output), now - timedelta(days=reports_days)
    )
    labels = aged_files.old_files(args.labels, rule.moment)
    logs_before = now - timedelta(days=logs_days)
    log = _log_file()
    if not args.apply:
        lines = sum(aged_files.count_lines(p, logs_before) for p in aged_files.logs_of(log))
        _tell_aged(count(args.inference_store, rule), len(reports), len(labels), lines, args)
        say(DRY)
        return 0
    with Registry().run(None, "retention", f"retention {args.days:g}d") as job:
        done = erase(args.inference_store, rule)
        aged_files.remove([*reports, *labels])
        lines = aged_files.drop_lines(log, logs_before)
        params = {"action": "retain", "rows_days": f"{args.days:g}"}
        params |= {"reports_days": f"{reports_days:g}", "logs_days": f"{logs_days:g}"}
        numbers = {"reports_removed": len(reports), "label_files_removed": len(labels)}
        job.log(params, {**done.numbers(), **numbers, "log_lines_removed": lines}, {})
    _tell_aged(done, len(reports), len(labels), lines, args)
    say(f"Run no MLflow: {job.url}")
    return 0


def _log_file() -> Path:
    return Path(os.environ.get("LOG_FILE") or DEFAULT_LOG)


def _tell_aged(
    found: Found, reports: int, labels: int, lines: int, args: argparse.Namespace
) -> None:
    verb = "Removido" if args.apply else "A remover"
    say(
        f"{verb} o que passou de {args.days:g} dias:",
        f"  linhas em {args.inference_store}: {found.rows} ({found.where()})",
        f"  relatórios em {args.output}: {reports}",
        f"  arquivos de resultados: {labels}",
        f"  linhas de log ({_log_file()}): {lines}",
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
