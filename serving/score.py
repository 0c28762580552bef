"""`python -m serving.score`: score a file with the served version, like the API would.

The whole file is checked first; if a row does not fit the contract nothing is scored, and every
problem is listed by row and field. What is scored is captured with the role `batch`.
"""

import argparse
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.capture.recorder import Capture
    from serving.following.served import ServedModel

Chunks = Callable[[], Iterator[list[Mapping[str, Any]]]]
_ADDED = ("model_version", "threshold")


def main(arguments: list[str] | None = None) -> int:
    """Score a file; return the exit code."""
    options = _parser().parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from serving.errors import ServingError

    try:
        _run(options)
    except ServingError as exc:
        return _fail(str(exc))
    except OSError as exc:
        return _fail(f"{exc.filename or options.output}: {exc.strerror}")
    return 0


def _run(options: argparse.Namespace) -> None:
    """Load the served version, check the file, score it.

    Raises:
        ServingError: there is no version, or the file or its rows cannot be used.
        OSError: the output cannot be written.
    """
    from core.store.schema import ROLE_BATCH
    from serving.capture.recorder import Capture
    from serving.config.settings import Settings
    from serving.following.follower import Follower
    from serving.following.registry import Registry
    from serving.protocol.tables import read_chunks
    from serving.telemetry.logs import JsonLog

    settings = replace(Settings.from_env(), max_instances=options.chunk)
    log = JsonLog(settings.log_file)
    registry = Registry(settings.mlflow_tracking_uri, settings.model_name, settings.model_alias)
    follower = Follower(registry, settings, log)
    follower.poll()
    model = follower.current()
    _say(f"{model.version.name} {model.release}, versão {model.version.number} no registro")
    if options.engine == "spark":
        from serving.batch.spark import score_on_spark

        rows = score_on_spark(model, registry, options)
        log.close()
        _say(f"{options.output} gravado; {rows} linhas pontuadas no Spark, nenhuma capturada")
        return
    features = model.version.contract.features
    options.source, options.output = Path(options.source), Path(options.output)

    def chunks() -> Iterator[list[Mapping[str, Any]]]:
        return read_chunks(options.source, features, options.chunk)

    total = check(model, chunks, options.keep)
    _say(f"{total} linhas conferidas")
    capture = Capture(settings, log, ROLE_BATCH)
    capture.start()
    try:
        score(model, chunks, options, capture, total)
    finally:
        capture.close()
        log.close()
    lost = capture.counters().lost
    _say(f"{options.output} gravado; {total - lost} linhas capturadas, {lost} perdidas")


def check(model: "ServedModel", chunks: Chunks, keep: frozenset[str]) -> int:
    """Return the number of rows, all of which fit the contract.

    Raises:
        ServingError: some do not; lists row, field, problem and what is allowed.
    """
    from serving.errors import InvalidInstances, ServingError

    lines: list[str] = []
    rows = problems = 0
    for chunk in chunks():
        try:
            model.version.validator.read_instances(_only_features(chunk, keep))
        except InvalidInstances as exc:
            problems += exc.total
            for d in exc.details:
                row = "" if d["instance"] is None else f"linha {rows + d['instance'] + 1}: "
                lines.append(f"  {row}{d['field'] or ''} {d['problem']} ({d['allowed']})")
        rows += len(chunk)
    if not rows:
        raise ServingError("o arquivo não tem linhas")
    if problems:
        shown = "\n".join(lines[:_MAX_LINES])
        raise ServingError(f"{problems} problemas; nada foi pontuado. Os primeiros:\n{shown}")
    return rows


_MAX_LINES = 100


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

    temporary = options.output.with_name(f".{options.output.name}.tmp")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    run, done, writer = uuid.uuid4().hex, 0, None
    try:
        for number, chunk in enumerate(chunks()):
            rows = _scored(model, chunk, options.keep, f"batch-{run}-{number:06d}", capture)
            table = pa.Table.from_pylist(rows, schema=None if writer is None else writer.schema)
            if writer is None:
                table = table.cast(_schema(model, table.schema))
                writer = pq.ParquetWriter(temporary, table.schema)
            writer.write_table(table)
            done += len(chunk)
            _say(f"  {done} de {total} linhas ({100 * done // total} %)")
        if writer is not None:
            writer.close()
        temporary.replace(options.output)
    finally:
        temporary.unlink(missing_ok=True)


def _scored(
    model: "ServedModel",
    chunk: list[Mapping[str, Any]],
    keep: frozenset[str],
    request_id: str,
    capture: "Capture",
) -> list[dict[str, Any]]:
    """Return a chunk's rows with their outputs, after they were captured."""
    from serving.engine.context import RequestContext
    from serving.engine.job import Job, settle
    from serving.http.predict import prediction_rows
    from serving.protocol.instances import Instances

    contract = model.version.contract
    rows, entities = model.version.validator.read_instances(_only_features(chunk, keep))
    job = Job(model, Instances(rows, entities), RequestContext(request_id.encode()))
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

    kinds = {"double": pa.float64(), "long": pa.int64(), "boolean": pa.bool_()}
    known = {f.name: kinds.get(f.type, pa.string()) for f in model.version.contract.features}
    known |= {"threshold": pa.float64()}
    return pa.schema([pa.field(f.name, known.get(f.name, f.type)) for f in found])


def _only_features(chunk: list[Mapping[str, Any]], keep: frozenset[str]) -> list[Mapping[str, Any]]:
    if not keep:
        return chunk
    return [{name: value for name, value in row.items() if name not in keep} for row in chunk]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.score",
        description="Pontua um arquivo com a versão que a API serve; nada se uma linha não servir.",
        epilog="As variáveis de ambiente estão em .env.example.",
    )
    parser.add_argument("--source", required=True, help=".csv com cabeçalho ou .parquet")
    parser.add_argument("--output", required=True, help="arquivo .parquet a gravar")
    parser.add_argument(
        "--keep",
        default=frozenset(),
        type=lambda text: frozenset(text.split(",")),
        help="colunas que não são do modelo e vão como estão para a saída, separadas por vírgula",
    )
    parser.add_argument(
        "--engine",
        choices=("local", "spark"),
        default="local",
        help="onde pontuar: nesta máquina, ou no Apache Spark, que lê Parquet (arquivo ou pasta), "
        "grava uma pasta e não captura (padrão: %(default)s)",
    )
    parser.add_argument(
        "--chunk", default=10_000, type=int, help="linhas por vez (padrão: %(default)s)"
    )
    return parser


def _say(message: str) -> None:
    sys.stdout.write(f"{message}\n")
    sys.stdout.flush()


def _fail(message: str) -> int:
    sys.stderr.write(f"erro: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
