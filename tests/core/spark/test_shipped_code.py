"""Packages that are packed for Spark's executors import without the project."""

import subprocess
import sys
from pathlib import Path

import pytest

from core.spark.session import pack_code


@pytest.mark.parametrize(
    ("package", "module"),
    [("monitoring", "monitoring.drift.comparison"), ("serving", "serving.protocol.validation")],
)
def test_a_package_is_imported_from_its_zip(tmp_path: Path, package: str, module: str) -> None:
    """With only the zip on the path the module is imported from it, and messages are translated."""
    archive = pack_code(tmp_path, package)
    code = (
        f"import sys, {module} as m\n"
        "from core.messages import _\n"
        "told = _('error: {text}', text='x')\n"
        f"sys.exit({str(archive)!r} not in m.__file__ or told != 'erro: x')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(archive)}
    )
    assert done.returncode == 0
