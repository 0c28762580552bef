"""Conversion of Spark's failures into our errors, without values of rows.

The messages of its errors may quote rows. Their conditions and classes do not, and name the cause.
"""

import re
from contextlib import suppress
from typing import Any

from core.errors import ProjectError
from core.messages import N_, _

_CONDITION = re.compile(r"\[([A-Z][A-Z0-9_.]+)\]")
_RAISED = re.compile(r"^[ \t]+\S.*\n([A-Za-z_][\w.]*)(?=:|\s|$)", re.MULTILINE)
"""Class of the first exception in a traceback, below its last line of code."""
_HINTS = (
    (("PATH_NOT_FOUND", "FileNotFoundException"), N_("the path does not exist")),
    (
        ("UnsupportedFileSystemException", "ClassNotFoundException"),
        N_("this Spark has no connector for such an address; add its jar to spark.jars"),
    ),
    (
        ("FAILED_READ_FILE", "UNABLE_TO_INFER_SCHEMA"),
        N_("what it reads is not Parquet, or is damaged"),
    ),
    (("JAVA_GATEWAY_EXITED",), N_("Java 17 is not installed, or ended at once")),
    (
        ("ModuleNotFoundError", "PYTHON_VERSION_MISMATCH"),
        N_("the executors' Python (PYSPARK_PYTHON) is not the one of requirements-spark.lock"),
    ),
)
"""Remedies for the operator, by cause."""


class SparkUnusable(ProjectError):
    """A missing Spark installation, or a failure of Spark."""

    code = "spark_unusable"


def failure(exc: Exception) -> SparkUnusable:
    """Return our error for one that Spark, Java or an executor's Python raised."""
    causes = list(dict.fromkeys(_causes(exc)))
    text = " ".join(causes)
    hints = [_(hint) for words, hint in _HINTS if any(word in text for word in words)]
    cause = ", ".join(causes)
    if not hints:
        return SparkUnusable(N_("Spark failed ({cause})"), cause=cause)
    return SparkUnusable(N_("Spark failed ({cause}): {hint}"), cause=cause, hint=hints[0])


def _causes(exc: Exception) -> list[str]:
    """Return conditions and classes of an error and of its causes, outermost first."""
    found = [type(exc).__name__]
    condition = getattr(exc, "getCondition", lambda: None)()
    found += [condition] if condition else []
    java: Any = getattr(exc, "java_exception", None) or getattr(exc, "_origin", None)
    with suppress(Exception):  # the JVM may have ended
        while java is not None:
            said = str(java.toString())
            found.append(said.split(":")[0].rsplit(".", 1)[-1])
            found += _CONDITION.findall(said.splitlines()[0])[:1]
            java = java.getCause()
    if "PYTHON_EXCEPTION" in found and (raised := _RAISED.search(str(exc))):
        found.append(raised[1].rsplit(".", 1)[-1])
    return found
