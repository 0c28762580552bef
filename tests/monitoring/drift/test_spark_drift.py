"""Drift on a local Spark session: equal counts to the local engine's."""

import dataclasses
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.captured.reader import Captures
from core.captured.selection import Selection
from core.contract.columns import probability_columns
from core.store.filesystem import Store
from core.upkeep.compaction import compact
from monitoring import drift_report
from monitoring.drift.baseline import fit_profiles
from monitoring.drift.comparison import Baseline, DriftResult, compare
from monitoring.drift.expected import Tally, tally_of
from tests.live import ROOT

FEATURES = {"temperature": "double", "pressure": "double", "wear": "double"}
WITHOUT = next(
    (
        why
        for found, why in (
            (find_spec("pyspark"), "no pyspark (make spark)"),
            (shutil.which("java"), "no Java (Debian: apt install openjdk-17-jre-headless)"),
        )
        if not found
    ),
    None,
)
needs_spark = pytest.mark.skipif(WITHOUT is not None, reason=str(WITHOUT))


def draw(seed: int, n: int, people: int) -> list[dict[str, Any]]:
    """Draw captured rows of repeated entities and, for a few rows, none; no entities if 0."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(n):
        person = rng.integers(0, people + 1)
        rows.append(
            {
                "temperature": float(rng.normal(21, 5)),
                "pressure": None if rng.random() < 0.2 else float(rng.normal(1000, 10)),
                "wear": float(rng.integers(0, 5)),
                "score": float(rng.random()),
                "label": int(rng.random() < 0.4),
                "entity": f"{person:064x}" if people and person else None,
                # Rows of one person share timestamps, so the latest depends on the tie order.
                "timestamp": int(
                    (datetime.now(UTC) - timedelta(hours=int(rng.integers(1, 9)))).timestamp() // 1
                )
                * 1_000_000,
                "instance": index % 10,
            }
        )
    return rows


def baseline() -> Baseline:
    """Return a baseline of 500 such rows."""
    table = pa.Table.from_pylist(draw(1, 500, 0)).select([*FEATURES, "score"])
    *features, score = fit_profiles(table)
    return Baseline(tuple(features), score, 500, "2026-01-01T00:00:00+00:00")


def captures_of(folder: Path, classes: int = 0) -> Captures:
    """Return the captures of version 1 in the last week."""
    now = datetime.now(UTC)
    selection = Selection("modelo", 1, now - timedelta(days=7), now)
    return Captures(Store(folder), selection, FEATURES, classes=classes)


def both(
    folder: Path, reference: Baseline | None = None
) -> tuple[tuple[DriftResult, Tally, Captures], ...]:
    """Return comparison, tally and captures of the local engine and of Spark, same baseline."""
    from monitoring.drift.spark import compare_on_spark

    reference = reference or baseline()
    classes, tally = len(reference.classes), tally_of(reference.classes)
    local = captures_of(folder, classes)
    here = compare(reference, tally.watch(local.batches(tally.columns)))
    spark = captures_of(folder, classes)
    there, spark_tally = compare_on_spark(reference, spark)
    return (here, tally, local), (there, spark_tally, spark)


def close(mine: Any, theirs: Any) -> bool:
    """Return whether data are equal; floats to 12 digits, since sums differ in order."""
    if isinstance(mine, float) and isinstance(theirs, float):
        return bool(np.isclose(mine, theirs, rtol=1e-12, atol=1e-12))
    if isinstance(mine, dict):
        return mine.keys() == theirs.keys() and all(close(mine[k], theirs[k]) for k in mine)
    if isinstance(mine, list | tuple):
        return len(mine) == len(theirs) and all(map(close, mine, theirs))
    return bool(mine == theirs)


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_spark
@pytest.mark.parametrize("people", [0, 40], ids=["nobody named", "people asked about again"])
def test_spark_counts_what_this_machine_counts(writer: Any, people: int) -> None:
    """Counts agree for journals, Parquet, compacted files, other versions and repeated entities."""
    past = timedelta(days=3)
    for seed in range(4):
        writer.parquet(writer.journal(draw(seed, 150, people), age=past))
    compact(writer.store, 0.0)
    for seed in range(4, 7):
        writer.parquet(writer.journal(draw(seed, 200, people)), keep_journal=seed == 5)
    writer.parquet(writer.journal(draw(8, 90, people), number=2))
    writer.journal(draw(9, 60, people))
    (here, tally, local), (there, spark_tally, spark) = both(writer.folder)
    for name in ("n_instances", "n_requests", "n_entities"):
        assert getattr(spark, name) == getattr(local, name), name
    assert local.n_instances == 4 * 150 + 3 * 200 + 60
    assert (local.n_entities < local.n_instances) == bool(people)
    for mine, theirs in zip(here.features, there.features, strict=True):
        assert mine.current.counts == theirs.current.counts
    assert here.score is not None and there.score is not None
    assert here.score.current.counts == there.score.current.counts
    assert close(here.to_dict(), there.to_dict())
    expected, found = tally.estimate(), spark_tally.estimate()
    assert expected is not None and found is not None
    assert close(dataclasses.asdict(expected), dataclasses.asdict(found))


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_spark
def test_spark_counts_classes_and_their_probabilities(writer: Any) -> None:
    """Class shares and expected performance agree, with old files that lack probabilities."""
    names, kept = ("high", "low", "middle"), list(probability_columns(3))
    rng = np.random.default_rng(5)

    def of_classes(seed: int) -> list[dict[str, Any]]:
        rows = draw(seed, 120, 200)
        for row, each in zip(rows, rng.dirichlet([1, 1, 1], len(rows)), strict=True):
            row |= {"label": int(each.argmax()), **dict(zip(kept, each.tolist(), strict=True))}
        return rows

    writer.parquet(writer.journal(of_classes(0)))
    writer.features = {**writer.features, **dict.fromkeys(kept, "double")}
    writer.parquet(writer.journal(of_classes(1)))
    writer.journal(of_classes(2))
    table = pa.Table.from_pylist(draw(1, 500, 0)).select(list(FEATURES))
    answered = pa.array(names).take(pa.array(rng.integers(0, 3, 500)))
    *features, score = fit_profiles(table.append_column("score", answered))
    now = "2026-01-01T00:00:00+00:00"
    reference = Baseline(tuple(features), score, 500, now, classes=names)
    (here, tally, _), (there, spark_tally, _) = both(writer.folder, reference)
    assert here.score is not None and sum(here.score.current.counts) > 0
    assert close(here.to_dict(), there.to_dict())
    expected, found = tally.estimate(), spark_tally.estimate()
    assert expected is not None and found is not None
    assert 30 <= expected.n_rows < here.n_current
    assert close(expected.to_dict(), found.to_dict())


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_spark
def test_an_empty_store_is_no_data_on_spark_too(tmp_path: Path) -> None:
    """An empty store is NO_DATA on both engines."""
    (here, _, _), (there, _, spark) = both(tmp_path / "nothing")
    assert here.global_status == there.global_status == "NO_DATA"
    assert spark.n_instances == spark.n_entities == 0


@pytest.mark.skipif(find_spec("pyspark") is not None, reason="pyspark is installed here")
def test_without_pyspark_the_command_says_what_to_install() -> None:
    """Without pyspark SparkUnusable names `make spark`."""
    from core.spark.failures import SparkUnusable
    from core.spark.session import spark_session

    with pytest.raises(SparkUnusable, match="make spark"), spark_session("monitoring"):
        pass


def test_the_default_engine_imports_no_spark() -> None:
    """The default engine is `local` and imports no Spark module."""
    code = (
        "import sys, monitoring.drift_report\n"
        "from monitoring.drift import comparison, fitting\n"
        "slow = {'pyspark', 'core.spark.session', 'monitoring.drift.spark'}\n"
        "sys.exit(bool(slow & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
    assert drift_report._parser().parse_args([]).engine == "local"
