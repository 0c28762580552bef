"""`python -m serving.score`: score a file with the served version, like the API would.

The whole file is checked first; if a row does not fit the contract nothing is scored, and every
problem is listed by row and field. What is scored is captured with the role `batch`.
"""

import argparse
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli.arguments import parser, run_command, say
from core.messages import _, ngettext

if TYPE_CHECKING:
    from serving.capture.recorder import Capture
    from serving.following.served import ServedModel

Chunks = Callable[[], Iterator[list[Mapping[str, Any]]]]
_ADDED = ("model_version", "threshold")
_MAX_LINES = 100


def main(arguments: list[str] | None = None) -> int:
    """Score a file; return the exit code."""
    options = _parser().parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    """Load the served version, check the file, score it.

    Raises:
        ServingError: there is no version, the file or its rows cannot be used, or the output
            cannot be written.
    """
    from core.registry.versions import Registry
    from serving.config.settings import Settings
    from serving.errors import FileRefused
    from serving.following.follower import Follower
    from serving.telemetry.logs import JsonLog

    settings = Settings.from_env().model_copy(update={"max_instances": options.chunk})
    log = JsonLog(settings.log_file)
    registry = Registry(settings.model_name, settings.mlflow_tracking_uri, settings.model_alias)
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
        raise FileRefused(problem=f"{exc.filename or options.output}: {exc.strerror}") from exc
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
    """Score on this machine and capture."""
    from core.store.schema import ROLE_BATCH
    from serving.capture.recorder import Capture
    from serving.protocol.tables import read_chunks

    features = model.version.contract.features
    options.source, options.output = Path(options.source), Path(options.output)

    def chunks() -> Iterator[list[Mapping[str, Any]]]:
        return read_chunks(options.source, features, options.chunk)

    total = check(model, chunks, options.keep, options.period)
    say(ngettext("{n} row checked", "{n} rows checked", total))
    capture = Capture(settings, log, ROLE_BATCH)
    capture.start()
    try:
        score(model, chunks, options, capture, total)
    finally:
        capture.close()
    lost = capture.counters().lost
    facts = {"output": options.output, "captured": total - lost, "lost": lost}
    say(_("{output} written; {captured} rows captured, {lost} lost", **facts))


def check(
    model: "ServedModel", chunks: Chunks, keep: frozenset[str], period: int | None = None
) -> int:
    """Return the number of rows, all of which fit the contract.

    Raises:
        FileRefused: some do not; lists row, field, problem and what is allowed.
    """
    from serving.errors import FileRefused, InvalidInstances

    lines: list[str] = []
    rows = problems = 0
    for chunk in chunks():
        try:
            model.version.validator.read_instances(_only_features(chunk, keep), period)
        except InvalidInstances as exc:
            problems += exc.total
            lines += [_line(rows, detail) for detail in exc.details]
        rows += len(chunk)
    if not rows:
        raise FileRefused(problem=_("the file has no rows"))
    if problems:
        text = ngettext(
            "{n} problem; nothing was scored. The first:",
            "{n} problems; nothing was scored. The first ones:",
            problems,
        )
        raise FileRefused(problem="\n".join([text, *lines[:_MAX_LINES]]))
    return rows


def _line(before: int, detail: Mapping[str, Any]) -> str:
    """Return one problem; `before` rows of the file came in earlier chunks."""
    found = f"{detail['field'] or ''} {detail['problem']} ({detail['allowed']})"
    if detail["instance"] is None:
        return f"  {found}"
    return "  " + _(
        "row {number}: {problem}", number=before + detail["instance"] + 1, problem=found
    )


def score(
    model: "ServedModel",
    chunks: Chunks,
    options: argparse.Namespace,
    capture: "Capture",
    total: int,
) -> None:
    """Write the rows with their outputs under a temporary name, then rename.

    Raises:
        ServingError: the model failed.
        OSError: the output cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from core.files.whole import replacing

    run, done, writer = uuid.uuid4().hex, 0, None
    with replacing(options.output) as temporary:
        for number, chunk in enumerate(chunks()):
            rows = _scored(model, chunk, options, f"batch-{run}-{number:06d}", capture)
            table = pa.Table.from_pylist(rows, schema=None if writer is None else writer.schema)
            if writer is None:
                table = table.cast(_schema(model, table.schema))
                writer = pq.ParquetWriter(temporary, table.schema)
            writer.write_table(table)
            done += len(chunk)
            share = 100 * done // total
            say("  " + _("{done} of {total} rows ({share} %)", done=done, total=total, share=share))
        if writer is not None:
            writer.close()


def _scored(
    model: "ServedModel",
    chunk: list[Mapping[str, Any]],
    options: argparse.Namespace,
    request_id: str,
    capture: "Capture",
) -> list[dict[str, Any]]:
    """Return a chunk's rows with their outputs, after they were captured."""
    from serving.engine.context import RequestContext
    from serving.engine.job import Job, settle
    from serving.http.predict import prediction_rows
    from serving.protocol.instances import Instances

    contract, keep = model.version.contract, options.keep
    rows, entities, periods = model.version.validator.read_instances(
        _only_features(chunk, keep), options.period
    )
    instances = Instances(rows, entities, periods=periods)
    job = Job(model, instances, RequestContext(request_id.encode()))
    settle([job])
    capture.append([job])
    added = dict(zip(_ADDED, (model.release, model.threshold), strict=True))
    return [
        {
            **{name: value for name, value in source.items() if name in keep},
            **dict(zip(contract.feature_names, row, strict=True)),
            **output,
            **added,
        }
        for source, row, output in zip(chunk, rows, prediction_rows(job), strict=True)
    ]


def _schema(model: "ServedModel", found: Any) -> Any:
    """Return the file's schema: a column that is all null so far may hold its type's values."""
    import pyarrow as pa

    from core.store.arrow_types import ARROW_TYPES

    known = {f.name: ARROW_TYPES[f.type] for f in model.version.contract.features}
    known |= {"threshold": ARROW_TYPES["double"]}
    return pa.schema([pa.field(f.name, known.get(f.name, f.type)) for f in found])


def _only_features(chunk: list[Mapping[str, Any]], keep: frozenset[str]) -> list[Mapping[str, Any]]:
    if not keep:
        return chunk
    return [{name: value for name, value in row.items() if name not in keep} for row in chunk]


def _parser() -> argparse.ArgumentParser:
    made = parser(
        "serving.score",
        _("Scores a file with the version that the API serves; nothing if a row does not fit."),
        epilog=_("The environment variables stand in .env.example."),
    )
    made.add_argument("--source", required=True, help=_(".csv with a header, or .parquet"))
    made.add_argument("--output", required=True, help=_("the .parquet file to write"))
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
            "where to score: on this machine, or on Apache Spark, which reads Parquet (file or "
            "folder), writes a folder and captures nothing (default: %(default)s)"
        ),
    )
    made.add_argument(
        "--period", type=_year, help=_("the year that the rows are about, where they do not say it")
    )
    made.add_argument(
        "--chunk", default=10_000, type=int, help=_("rows at a time (default: %(default)s)")
    )
    return made


def _year(text: str) -> int:
    if not text.isdigit() or len(text) != 4:
        raise argparse.ArgumentTypeError(_("a year, for example 2024"))
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
