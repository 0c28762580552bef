"""A Spark session whose executors have this project's code."""

import os
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from core.files.scratch import scratch_folder
from core.messages import N_
from core.spark.failures import SparkUnusable, failure

if TYPE_CHECKING:
    from pyspark.sql import SparkSession  # type: ignore[import-not-found,unused-ignore]


_SHARED = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "APP_LANGUAGE",
    "OMP_NUM_THREADS",
)
"""Environment variables passed on to executors, which read the same bucket."""
_SHIPPED = (".py", ".mo")
_ROOT = Path(__file__).resolve().parents[2]


def quoted(column: str) -> str:
    """Return a column's name quoted for Spark SQL."""
    return "`" + column.replace("`", "``") + "`"


@contextmanager
def spark_session(package: str) -> Iterator["SparkSession"]:
    """Start Spark or join the session of `spark-submit`; executors get a package's code.

    Unless `spark.master` is set, Spark runs in processes of this machine. A cluster's executors get
    the environment variables for access to the store, and the language.

    Raises:
        SparkUnusable: pyspark or Java is missing, or Spark failed.
    """
    try:
        from py4j.protocol import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
            Py4JError,
        )
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
            for name in _SHARED:
                if value := os.environ.get(name):
                    builder = builder.config(f"spark.executorEnv.{name}", value)
            # MLflow and the store treat `Score` and `score` as two columns.
            session = builder.config("spark.sql.caseSensitive", "true").getOrCreate()
            session.sparkContext.setLogLevel("ERROR")
            session.sparkContext.addPyFile(str(pack_code(folder, package)))
            try:
                yield session
            finally:
                session.stop()
    except (PySparkException, Py4JError) as exc:
        raise failure(exc) from exc


def pack_code(folder: Path, package: str) -> Path:
    """Write a zip of a package and of `core`, subpackages included; return its path.

    Python can import from a zip; Spark distributes it to its executors.
    """
    archive = folder / f"{package}-code.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for top in (package, "core"):
            found = sorted((_ROOT / top).rglob("*"))
            for path in (one for one in found if one.suffix in _SHIPPED):
                out.write(path, path.relative_to(_ROOT))
    return archive
