"""Remove what a running proxy does not use from an environment: `python slim.py /opt/venv`.

For the image alone, and standard library only: it runs before the project is installed. It removes
package files, never a module that the proxy, a model or its library imports;
`tests/deploy/test_proxy_image.py` serves from the rest.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

LANGUAGES = ("root", "en", "pt")
"""Of Babel's 1,100 locales, those, with their regions, that APP_LANGUAGE may be."""

UNUSED = (
    "**/tests",  # 45 MB of pandas alone
    "**/test",
    "**/*.pyx",  # sources of compiled modules
    "**/*.pxd",
    "**/*.pxi",
    "**/*.c",
    "**/*.h",
    "pyarrow/include",
    "pyarrow/src",
    "pyarrow/*flight*",  # an RPC protocol; the store is files
    "pyarrow/libarrow_python*.so",  # duplicates of the same library
    "pyarrow/libarrow_python*.so.*.*",
    "cryptography*",  # for Databricks only, as are the next two
    "databricks/sdk",
    "databricks_sdk*",
)

IMPORTED = (
    "babel.dates, babel.numbers, fastapi_offline, httptools, jinja2, markdown, msgspec, openpyxl, "
    "pandas, prometheus_client, pyarrow.compute, pyarrow.csv, pyarrow.dataset, pyarrow.fs, "
    "pyarrow.parquet, pydantic_settings, scipy.special, skops.io, treelite.sklearn, uvicorn, "
    "mlflow.artifacts, mlflow.entities, mlflow.models, mlflow.pyfunc, mlflow.sklearn, "
    "mlflow.tracking, sklearn.calibration, sklearn.compose, sklearn.ensemble, "
    "sklearn.linear_model, sklearn.pipeline"
)


def remove(packages: Path) -> None:
    """Remove what is not used, and all bytecode."""
    locales = packages / "babel/locale-data"
    others = [p for p in locales.glob("*.dat") if p.stem.split("_")[0] not in LANGUAGES]
    unused = [path for pattern in UNUSED for path in packages.glob(pattern)]
    for path in (*others, *unused, *packages.glob("**/__pycache__")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def main() -> None:
    """Remove unused files; recompile only what a start imports: the rest is 60 MB of bytecode."""
    environment = Path(sys.argv[1])
    (packages,) = environment.glob("lib/python3*/site-packages")
    remove(packages)
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([environment / "bin/python", "-c", f"import {IMPORTED}"], env=kept, check=True)


if __name__ == "__main__":
    main()
