"""`python -m serving.score`: score a file with the served version, as the API does.

The whole file is validated first: if a row violates the contract nothing is scored, and every
problem is listed by row and field. Rows scored by the local engine are captured with the role
`batch`, those scored on Spark are not captured.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli.arguments import parser, run_command, say, year
from core.messages import _, ngettext
from core.messages.system import system_reason

if TYPE_CHECKING:
    from serving.following.served import ServedModel


def main(arguments: list[str] | None = None) -> int:
    """Score a file; return the exit code."""
    made = _parser()
    options = made.parse_args(arguments)
    if options.engine == "spark" and options.excel_br:
        made.error(_("--excel-br needs --engine local"))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    """Load the served version, check the file, score it; raises ServingError."""
    from serving.config.registry import registry_of
    from serving.config.settings import Settings
    from serving.errors import FileRefused
    from serving.following.follower import Follower
    from serving.telemetry.logs import JsonLog

    settings = Settings.from_env().model_copy(update={"max_instances": options.chunk})
    log = JsonLog(settings.log_file)
    registry = registry_of(settings, settings.model_alias)
    registry.client.expect()
    follower = Follower(registry, settings, log)
    follower.poll()
    model = follower.current()
    version = model.version
    facts = {"name": version.name, "release": model.release, "number": version.number}
    say(_("{name} {release}, version {number} in the registry", **facts))
    try:
        if options.engine == "spark":
            _on_spark(model, registry, options)
        else:
            _here(model, options, settings, log)
    except OSError as exc:
        place = exc.filename or options.output
        raise FileRefused(problem=f"{place}: {system_reason(exc)}") from exc
    finally:
        log.close()


def _on_spark(model: "ServedModel", registry: Any, options: argparse.Namespace) -> None:
    from serving.batch.spark import score_on_spark

    rows = score_on_spark(model, registry, options)
    text = _(
        "{output} written; {rows} rows scored on Spark, none captured",
        output=options.output,
        rows=rows,
    )
    say(text)


def _here(model: "ServedModel", options: argparse.Namespace, settings: Any, log: Any) -> None:
    """Score on this machine and capture the rows."""
    from core.store.schema import ROLE_BATCH
    from core.tables.parquet_folder import source_of
    from core.tables.writing import check_output
    from serving.batch.local import FileScorer
    from serving.capture.recorder import Capture

    check_output(Path(options.output), options.excel_br)
    capture = Capture(settings, log, ROLE_BATCH)
    scorer = FileScorer(
        model, source_of(options.source), options.chunk, keep=options.keep, period=options.period
    )
    say(scorer.table.taken_for)
    total = scorer.check()
    say(ngettext("{n} row checked", "{n} rows checked", total))
    check_output(Path(options.output), options.excel_br, total)
    capture.start()
    try:
        for done in scorer.score(Path(options.output), capture.append, options.excel_br):
            share = 100 * done // total
            say("  " + _("{done} of {total} rows ({share} %)", done=done, total=total, share=share))
    finally:
        capture.close()
    lost = capture.counters().lost
    facts = {"output": options.output, "captured": total - lost, "lost": lost}
    say(_("{output} written; {captured} rows captured, {lost} lost", **facts))


def _parser() -> argparse.ArgumentParser:
    made = parser(
        "serving.score",
        _("Scores a file with the version that the API serves; nothing if a row does not fit."),
        epilog=_("The environment variables are listed in .env.example."),
    )
    made.add_argument(
        "--source",
        required=True,
        help=_(
            "CSV, .xlsx, JSON lines or Parquet; a folder of Parquet files, partitioned or not, a "
            "Delta table, or Parquet in s3://bucket/prefix"
        ),
    )
    made.add_argument(
        "--output", required=True, help=_("the .parquet, .xlsx or .csv file to write")
    )
    made.add_argument(
        "--excel-br", action="store_true", help=_("with .csv: semicolons and decimal commas")
    )
    made.add_argument(
        "--keep",
        default=frozenset(),
        type=lambda text: frozenset(text.split(",")),
        help=_("columns that are not the model's and go to the output as they are, by commas"),
    )
    made.add_argument(
        "--engine",
        choices=("local", "spark"),
        default="local",
        help=_(
            "where to score: on this machine, or on Apache Spark, which reads Parquet and Delta "
            "tables, writes a folder and captures nothing (default: %(default)s)"
        ),
    )
    made.add_argument(
        "--period", type=year, help=_("the year that the rows are about, where they do not say it")
    )
    made.add_argument(
        "--chunk", default=10_000, type=int, help=_("rows at a time (default: %(default)s)")
    )
    return made


if __name__ == "__main__":
    sys.exit(main())
