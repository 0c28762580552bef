"""Our own code as one file, for machines that have the dependencies but not the project."""

import zipfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def pack_code(folder: Path, package: str) -> Path:
    """Write a zip of a package and of what it may import of the project; return its path.

    Python imports from such a file as it is; Spark sends it to its executors.
    """
    archive = folder / f"{package}-code.zip"
    files = [*_ROOT.glob(f"{package}/*.py"), *_ROOT.glob("mlflow_project/contract/*.py")]
    with zipfile.ZipFile(archive, "w") as out:
        for path in (*files, _ROOT / "mlflow_project/__init__.py"):
            out.write(path, path.relative_to(_ROOT))
    return archive
