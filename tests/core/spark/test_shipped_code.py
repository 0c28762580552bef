"""The packed code runs by itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from core.spark.shipped_code import pack_code


@pytest.mark.parametrize(
    ("package", "module"),
    [("monitoring", "monitoring.drift.comparison"), ("serving", "serving.protocol.validation")],
)
def test_a_package_is_imported_from_its_zip(tmp_path: Path, package: str, module: str) -> None:
    """With nothing of the project on the path but the zip, the package imports from it."""
    archive = pack_code(tmp_path, package)
    code = f"import sys, {module} as m; sys.exit({str(archive)!r} not in m.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(archive)}
    )
    assert done.returncode == 0
