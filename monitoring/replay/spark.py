"""A rehearsal on Apache Spark, for stores that one machine cannot score in time.

Executors read the store's files, load each version's model once per process, and return narrow rows
without features: some sixty bytes each, with request id and entity only where the prediction
changes (always for classes). They also find the latest row of each entity among all versions' rows.
"""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from core.contract.model import ModelContract
from core.files.scratch import scratch_folder
from core.registry.packages import load_pyfunc
from core.spark.session import quoted, spark_session
from monitoring.drift.spark_rows import LATEST, PLACE, POSITION, WHEN, rows_on_spark, with_latest
from monitoring.replay.captured import COLUMNS, Answered
from monitoring.replay.replaying import Replay, empty
from monitoring.tracking.jobs import JobRegistry, MonitoredVersion
from monitoring.tracking.scorer import VersionScorer

if TYPE_CHECKING:
    from pyspark.sql import (  # type: ignore[import-not-found,unused-ignore]
        DataFrame,
        SparkSession,
    )

_SAID = (
    "score double, label bigint, probabilities array<double>, seconds float, "
    "shadow_score double, shadow_label bigint, shadow_probabilities array<double>, "
    "shadow_seconds float, refused string"
)
_KEPT = {
    PLACE: "bigint",
    POSITION: "bigint",
    WHEN: "bigint",
    "instance": "bigint",
    "entity": "string",
    "request_id": "string",
    "period": "bigint",
}


@dataclass(frozen=True, slots=True)
class Shipped:
    """A version as executors load it: its archive's name, contract, release and threshold."""

    archive: str
    contract: ModelContract
    release: str
    threshold: float

    def scorer(self) -> VersionScorer:
        """Load the version's model from the archive that Spark unpacked, once per process."""
        return VersionScorer(_loaded(self.archive), self.contract, self.release, self.threshold)


@dataclass(frozen=True, slots=True)
class _Player:
    """Executor task that predicts a partition's rows again."""

    after: Shipped
    before: Shipped | None
    groups: tuple[str, ...]
    sent: tuple[str, ...]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        before = self.before.scorer() if self.before else None
        replay = Replay(self.after.scorer(), before, self.groups)
        columns = [*_KEPT, *(f"@{name}" for name in self.groups)]
        for batch in batches:
            if batch.num_rows:
                rows = replay.rows(batch, self.sent)
                said = [name for name in rows.schema.names if name not in columns]
                yield rows.select([*columns, *said])


def replay_on_spark(
    registry: JobRegistry,
    answered: Answered,
    after: MonitoredVersion,
    before: MonitoredVersion | None,
    groups: tuple[str, ...],
    *,
    named: bool,
) -> tuple[pa.Table, int]:
    """Return both predictions for the latest row of each entity, and the number of rows read.

    Versions and groups are those of a `Replay`. `named`: labels are class indexes in each version's
    own order, so only the class names show whether a row's prediction changes.

    Raises:
        SparkUnusable: Spark is not available, or it failed.
    """
    with spark_session("monitoring") as session, scratch_folder() as folder:
        shipped = [_ship(session, registry, one, folder) for one in (after, before) if one]
        player = (shipped[0], shipped[1] if before else None, groups)
        frames, entities, places = [], False, 0
        for version, captures in answered.parts:
            plan = captures.plan(COLUMNS_READ)
            if not plan.sources:
                continue
            rows = rows_on_spark(session, plan)
            sent = version.contract.feature_columns
            frame = rows.mapInArrow(_Player(*player, sent), _schema(groups))
            # Source indexes start at 0 for each version: offset them, so that they stay distinct.
            frames.append(frame.withColumn(PLACE, frame[PLACE] + places))
            places, entities = places + 2**32, entities or plan.has_entities
        if not frames:
            return empty(groups), 0
        return _collected(frames, entities, named)


COLUMNS_READ = tuple(name for name in COLUMNS if name not in ("instance", "entity", "timestamp"))
"""Those of `COLUMNS` that the plan does not read in any case."""


def _collected(frames: "list[DataFrame]", entities: bool, named: bool) -> tuple[pa.Table, int]:
    """Return the latest rows of all versions without unneeded keys, and the number of rows read."""
    from functools import reduce

    from pyspark.sql import functions as f

    rows = reduce(lambda one, other: one.unionByName(other), frames)
    known = with_latest(rows, entities).persist()
    total = known.count()
    same = f.col("score").eqNullSafe(f.col("shadow_score")) & f.col("label").eqNullSafe(
        f.col("shadow_label")
    )
    kept = known.filter(f.col(LATEST)).drop(LATEST, PLACE, POSITION)
    for name in () if named else ("request_id", "entity"):
        kept = kept.withColumn(name, f.when(~same, f.col(name)))
    table = kept.toArrow()
    known.unpersist()
    moments = pc.cast(table[WHEN], pa.timestamp("us", tz="UTC"))
    return table.drop_columns([WHEN]).append_column("timestamp", moments), int(total)


def _ship(
    session: "SparkSession", registry: JobRegistry, version: MonitoredVersion, folder: Path
) -> Shipped:
    """Distribute a version's files to the executors as an archive."""
    files = folder / f"version-{version.number}"
    archive = shutil.make_archive(str(files), "zip", registry.download(version, files))
    session.sparkContext.addArchive(f"{archive}#{files.name}")
    contract = version.contract
    return Shipped(files.name, contract, version.release, version.threshold(contract))


@cache
def _loaded(archive: str) -> object:
    from pyspark import SparkFiles  # type: ignore[import-not-found,unused-ignore]

    return load_pyfunc(Path(SparkFiles.get(archive)))


def _schema(groups: tuple[str, ...]) -> str:
    kept = [f"{name} {kind}" for name, kind in _KEPT.items()]
    return ", ".join([*kept, *(f"{quoted('@' + name)} string" for name in groups), _SAID])
