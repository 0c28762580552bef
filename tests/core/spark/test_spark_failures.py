"""Messages of Spark failures: the cause and the remedy, without values of rows."""

import shutil
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from core.spark.failures import SparkUnusable, failure
from core.spark.session import spark_session

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not (find_spec("pyspark") and shutil.which("java")), reason="no pyspark or no Java"
    ),
]


def test_a_failure_names_its_cause_and_no_row(tmp_path: Path) -> None:
    """Each failure names its condition or class and the remedy, quotes no row, keeps its cause."""

    # Executors cannot import this module; nested functions are serialised by value.
    def lacking_a_package(batches: Iterable[Any]) -> Iterator[Any]:
        import no_such_package  # type: ignore[import-not-found]  # noqa: F401

        yield from batches

    def quoting_a_row(batches: Iterable[Any]) -> Iterator[Any]:
        yield from list(batches)[:0]
        raise ValueError("could not convert\n  string:\nMaria da Silva: 7")

    (tmp_path / "letter.txt").write_text("Maria da Silva, 7")

    def told(work: Any) -> str:
        with pytest.raises(Exception) as caught:
            work()
        return str(failure(caught.value))

    with pytest.raises(SparkUnusable) as caught, spark_session("serving") as session:
        read, rows = session.read.parquet, session.range(1)
        said = [
            told(lambda: read(str(tmp_path / "nothing"))),
            told(lambda: read(str(tmp_path / "letter.txt"))),
            told(lambda: read("s3://bucket/rows")),
            told(lambda: rows.mapInArrow(lacking_a_package, "n int").collect()),
            told(lambda: rows.mapInArrow(quoting_a_row, "n int").collect()),
        ]
        read("s3://bucket/rows")
    assert caught.value.__cause__ is not None
    assert str(caught.value) == said[2]
    expected = (
        ("PATH_NOT_FOUND", "o caminho não existe"),
        ("CANNOT_READ_FILE_FOOTER", "não é Parquet"),
        ("UnsupportedFileSystemException", "spark.jars"),
        ("PYTHON_EXCEPTION", "ModuleNotFoundError", "requirements-spark.lock"),
        ("PYTHON_EXCEPTION", "ValueError"),
    )
    for text, words in zip(said, expected, strict=True):
        assert all(word in text for word in words), text
        assert "Maria" not in text and "\n" not in text
