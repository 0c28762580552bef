"""A Spark session whose executors have this project's code."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.errors import ProjectError
from core.files.scratch import scratch_folder
from core.messages import N_
from core.spark.shipped_code import pack_code

if TYPE_CHECKING:
    from pyspark.sql import SparkSession  # type: ignore[import-not-found,unused-ignore]


class SparkUnusable(ProjectError):
    """Spark is not there, or it failed."""

    code = "spark_unusable"


def quoted(column: str) -> str:
    """Return a column's name as Spark's SQL takes any name."""
    return "`" + column.replace("`", "``") + "`"


@contextmanager
def spark_session(package: str) -> Iterator["SparkSession"]:
    """Start Spark or join the one that `spark-submit` has started; executors get a package's code.

    Where nothing else is said (`spark.master`), Spark runs in this machine's processes.

    Raises:
        SparkUnusable: pyspark or Java is missing, or Spark failed.
    """
    try:
        from pyspark.errors import (  # type: ignore[import-not-found,unused-ignore]
            PySparkException,
        )
        from pyspark.sql import SparkSession
    except ImportError:
        raise SparkUnusable(N_("pyspark is not installed; install it with: make spark")) from None
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        with scratch_folder() as folder:
            builder = SparkSession.builder.appName(package).config("spark.ui.enabled", "false")
            builder = builder.config("spark.sql.session.timeZone", "UTC")
            # To MLflow and to the store, `Score` and `score` are two columns.
            session = builder.config("spark.sql.caseSensitive", "true").getOrCreate()
            session.sparkContext.setLogLevel("ERROR")
            session.sparkContext.addPyFile(str(pack_code(folder, package)))
            try:
                yield session
            finally:
                session.stop()
    except PySparkException as exc:
        # Its text may quote rows.
        raise SparkUnusable(
            N_("Spark failed ({cause}); it needs Java 17 and Parquet files"),
            cause=type(exc).__name__,
        ) from exc
