"""Batch scoring on Apache Spark through MLflow's own UDF, for files too large for one machine.

The served version is loaded and verified on the driver first, as for requests; executors then load
the same version by number. As on one machine, every row is validated against the contract before
the first is scored. Scored rows are not captured: the output has every column of a capture.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from core.contract.model import ModelContract
from core.contract.types import FEATURE_TYPES
from core.messages import _, ngettext
from core.registry.packages import spark_udf
from core.spark.datasets import dataset_on_spark
from core.spark.session import quoted, spark_session
from core.tables.parquet_folder import DELTA_LOG, ParquetPlace, is_bucket, open_dataset
from serving.batch.columns import answer_column
from serving.errors import FileRefused, InvalidInstances
from serving.protocol.validation import Validator
from serving.protocol.values import moment_of

if TYPE_CHECKING:
    from pyspark.sql import (  # type: ignore[import-not-found,unused-ignore]
        Column,
        DataFrame,
        SparkSession,
    )

    from core.registry.versions import Registry
    from serving.following.served import ServedModel

_MOST_LISTED = 100
_PROBLEMS = "total bigint, field string, problem string, allowed string, rows bigint"


def score_on_spark(model: "ServedModel", registry: "Registry", options: argparse.Namespace) -> int:
    """Score Parquet or a Delta table into a folder of Parquet files; return the number of rows.

    Raises:
        SparkUnusable: Spark is not installed, or it failed.
        FileRefused: rows do not fit the contract, the output is not empty, or Spark cannot score
            this model.
    """
    if model.version.contract.outputs:
        raise FileRefused(problem=_("this model has no score; use --engine local"))
    for name in model.version.contract.feature_names:
        if "`" in name:  # neither MLflow nor Spark can pass such a column
            text = _("Spark cannot take a backtick, as in {name}; use --engine local", name=name)
            raise FileRefused(problem=text)
    with spark_session("serving") as session:
        _must_be_free(session, str(options.output))
        frame = _frame(session, str(options.source))
        rows = _check(frame, model.version.contract, options.keep)
        udf = spark_udf(registry, session, model.version.number)
        scored = _scored(frame, model, udf, options.keep)
        # Spark's overwrite mode first deletes the folder with all its content.
        scored.write.mode("append").parquet(str(options.output))
        return rows


def _frame(session: "SparkSession", source: str) -> "DataFrame":
    """Return the rows of a source; of a Delta table only those of the files in its log.

    Raises:
        UnreadableTable: its files cannot be determined or read here.
        FileRefused: it is a Delta table in a place that only Spark can read, without Delta's jar.
    """
    from pyspark.errors import (  # type: ignore[import-not-found,unused-ignore]
        AnalysisException,
    )

    local = "://" not in source
    if is_bucket(source) or (local and ParquetPlace.of(source).is_delta):
        return dataset_on_spark(session, open_dataset(source))
    if local:
        ParquetPlace.of(source).plain_files()
    elif _exists(session, f"{source.rstrip('/')}/{DELTA_LOG}"):
        try:
            return session.read.format("delta").load(source)
        except AnalysisException as exc:
            text = _(
                "{source} is a Delta table; give Spark its jar (spark.jars: delta-spark)",
                source=source,
            )
            raise FileRefused(problem=text) from exc
    return session.read.parquet(source)


def _exists(session: "SparkSession", path: str) -> bool:
    java: Any = session._jvm
    found = java.org.apache.hadoop.fs.Path(path)
    return bool(found.getFileSystem(session._jsc.hadoopConfiguration()).exists(found))


def _must_be_free(session: "SparkSession", output: str) -> None:
    """Raise unless the output is absent or empty, on any file system that Spark can write to.

    Raises:
        FileRefused: the output is a file, or a folder that is not empty.
    """
    java: Any = session._jvm
    path = java.org.apache.hadoop.fs.Path(output)
    files = path.getFileSystem(session._jsc.hadoopConfiguration())
    if files.exists(path) and (files.getFileStatus(path).isFile() or len(files.listStatus(path))):
        text = _("{output} is not empty; name another --output, or delete it first", output=output)
        raise FileRefused(problem=text)


@dataclass(frozen=True, slots=True)
class _Checker:
    """Validator of record batches, run on executors; yields counts of problems, never a value."""

    contract: ModelContract
    keep: frozenset[str]
    names: tuple[str, ...]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found: Counter[tuple[str, str, str]] = Counter()
        rows = total = 0
        for batch in batches:
            rows += batch.num_rows
            try:
                self._validate(batch)
            except InvalidInstances as exc:
                total += exc.total
                found.update((d["field"] or "", d["problem"], d["allowed"]) for d in exc.details)
        yield _batch([(rows, "", "", "", total)])
        if found:
            listed = found.most_common(_MOST_LISTED)
            yield _batch([(0, *problem, times) for problem, times in listed])

    def _validate(self, batch: pa.RecordBatch) -> None:
        """Raise InvalidInstances if a row does not fit; NaN counts as null, as pandas writes it."""
        if not batch.num_rows:
            return
        places = [place for place, name in enumerate(self.names) if name not in self.keep]
        names = [self.names[place] for place in places]
        cells = [batch.column(place).to_pylist() for place in places]
        rows = [
            {n: None if v != v else v for n, v in zip(names, row, strict=True)}
            for row in zip(*cells, strict=True)
        ]
        Validator(self.contract, len(rows)).read_instances(rows)


def _check(frame: "DataFrame", contract: ModelContract, keep: frozenset[str]) -> int:
    """Validate every row against the contract and return the number of rows.

    Raises:
        FileRefused: there are no rows, or some do not fit; lists count, field, problem and allowed
            values.
    """
    names = tuple(frame.columns)
    # pyspark selects columns by name and parses a dot in a name as a nested field.
    plain = frame.toDF(*(f"c{place}" for place in range(len(names))))
    found = plain.mapInArrow(_Checker(contract, keep, names), _PROBLEMS).collect()
    rows = sum(row.total for row in found)
    problems = sum(row.rows for row in found if not row.problem)
    if not rows:
        raise FileRefused(problem=_("the file has no rows"))
    if problems:
        times: Counter[tuple[str, str, str]] = Counter()
        for row in found:
            if row.problem:
                times[row.field, row.problem, row.allowed] += row.rows
        listed = times.most_common(_MOST_LISTED)
        lines = "\n".join(f"  {n} × {field} {what} ({ok})" for (field, what, ok), n in listed)
        raise FileRefused(
            problem=ngettext(
                "{n} problem; nothing was scored. The most frequent:\n{lines}",
                "{n} problems; nothing was scored. The most frequent:\n{lines}",
                problems,
                lines=lines,
            )
        )
    return int(rows)


def _scored(
    frame: "DataFrame", model: "ServedModel", udf: Any, keep: frozenset[str]
) -> "DataFrame":
    """Return kept columns, features and outputs, with the column names of the local engine."""
    from pyspark.sql import functions as f

    contract = model.version.contract
    known = {name: Validator(contract, 1).known(name) for name in frame.columns if name not in keep}
    given = {ours: name for name, ours in known.items() if ours is not None}
    features = [
        _feature(frame, given.get(feature.name), feature.type).alias(feature.name)
        for feature in contract.features
    ]
    kept = [name for name in frame.columns if name in keep]
    inputs = [*kept, *contract.feature_names]
    outputs = udf(f.struct(*(f.col(quoted(feature.name)) for feature in contract.features)))
    values = f.col("__outputs")
    place = f.when(f.size(values) > 1, f.lit(contract.positive_class)).otherwise(f.lit(0))
    score = values[place]
    answer = {
        contract.score_name: score,
        contract.label_name: (score >= f.lit(model.threshold)).cast("bigint"),
        "model_version": f.lit(model.release),
        "threshold": f.lit(model.threshold).cast("double"),
    }
    return (
        frame.select(*(f.col(quoted(name)) for name in kept), *features)
        .withColumn("__outputs", outputs)
        .select(
            *(quoted(name) for name in inputs),
            *(column.alias(answer_column(name, inputs)) for name, column in answer.items()),
        )
    )


def _feature(frame: "DataFrame", given: str | None, kind: str) -> "Column":
    """Return a feature's column cast to the contract's type; NaN or an absent column is null."""
    from pyspark.sql import functions as f

    if given is None:
        return f.lit(None).cast(FEATURE_TYPES[kind].spark)
    column = f.col(quoted(given))
    # Spark's cast of text drops the time zone and accepts less of ISO 8601 than the validation.
    if kind == "datetime" and frame.schema[given].dataType.typeName() == "string":
        read: Any = f.pandas_udf  # type: ignore[attr-defined,unused-ignore]
        return read(_moments, FEATURE_TYPES[kind].spark)(column)
    column = column.cast(FEATURE_TYPES[kind].spark)
    return f.when(~f.isnan(column), column) if kind == "double" else column


def _moments(texts: pd.Series) -> pd.Series:
    """Return texts parsed as timestamps, as in a request; null where there is none."""
    return pd.Series([moment_of(text) for text in texts], dtype="datetime64[us]")


def _batch(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(columns, ["total", "field", "problem", "allowed", "rows"])
