"""Our own code as one file, for machines that have the dependencies but not the project."""

import zipfile
from pathlib import Path

_NEEDED = (".py", ".mo")
_ROOT = Path(__file__).resolve().parents[2]


def pack_code(folder: Path, package: str) -> Path:
    """Write a zip of a package and of `core`, all their rooms included; return its path.

    Python imports from such a file as it is; Spark sends it to its executors.
    """
    archive = folder / f"{package}-code.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for top in (package, "core"):
            found = sorted((_ROOT / top).rglob("*"))
            for path in (one for one in found if one.suffix in _NEEDED):
                out.write(path, path.relative_to(_ROOT))
    return archive
