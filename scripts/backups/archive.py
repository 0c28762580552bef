"""The file of a backup: a tar of plain files, and a manifest with the digest of each.

It is unpacked as untrusted input: only plain files below the folder are written.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO, Any

from core.files.whole import FILE_MODE, make_folder
from core.messages import N_
from scripts.backups.installation import BackupError

MANIFEST = "manifest.json"
"""Last in the archive, so that a truncated one has none."""
FORMAT = 1
DATABASE_DUMP = "mlflow.dump"
"""Name of the database in the archive where it is PostgreSQL's."""
PRIVATE = 0o600
"""Mode of the archive, which contains keys and personal rows: for its owner alone."""
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class _Hashed:
    """A file whose digest is computed while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


class Archive:
    """An archive being written, and the digests of its members."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        """Start without members."""
        self._tar = tar
        self.digests: dict[str, str] = {}

    def add(self, name: str, path: Path) -> bool:
        """Add a file at its current length, under a name; return False if it no longer exists."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return False
        with file:
            self._write(self._tar.gettarinfo(arcname=name, fileobj=file), file)
        return True

    def add_text(self, name: str, text: str) -> None:
        """Add a short text."""
        data = text.encode()
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(data), PRIVATE
        self._write(member, io.BytesIO(data))

    def _write(self, member: tarfile.TarInfo, file: IO[bytes]) -> None:
        content = _Hashed(file)
        self._tar.addfile(member, content)  # type: ignore[arg-type]
        self.digests[member.name] = content.digest.hexdigest()

    def add_files(self, name: str, folder: Path, files: Iterable[Path]) -> int:
        """Add files of a folder under a name; return how many still existed."""
        return sum(
            self.add(f"{name}/{path.relative_to(folder).as_posix()}", path) for path in files
        )


def unpack(archive: Path, folder: Path) -> dict[str, Any]:
    """Write an archive's files into a folder and verify their digests; return its manifest.

    Raises:
        BackupError: it is no backup, is damaged or truncated, or is of a later format.
    """
    digests: dict[str, str] = {}
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                digests[member.name] = _write(tar, member, folder)
    except (tarfile.TarError, EOFError) as exc:
        raise BackupError(N_("{path} is not a whole backup"), path=archive) from exc
    if digests.pop(MANIFEST, None) is None:
        raise BackupError(N_("{path} was cut off: its end is missing"), path=archive)
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        form, written = manifest["format"], manifest["sha256"].items()
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise BackupError(N_("{path} is not a whole backup"), path=archive) from exc
    if form != FORMAT:
        message = N_("{path} was made by a later version of this project")
        raise BackupError(message, path=archive)
    if wrong := sorted(digests.items() ^ written):
        message = N_("{path} is damaged: {name} is not as it was written")
        raise BackupError(message, path=archive, name=wrong[0][0])
    return manifest


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> str:
    """Write one file; return its digest. Only plain files below the folder are written."""
    parts = PurePosixPath(member.name).parts
    source = tar.extractfile(member) if member.isfile() else None
    if source is None or not parts or ".." in parts or parts[0] == "/":
        raise tarfile.TarError(member.name)
    path = folder.joinpath(*parts)
    make_folder(path.parent)
    digest = hashlib.sha256()
    with os.fdopen(os.open(path, NEW, FILE_MODE), "wb") as file:
        while data := source.read(2**20):
            digest.update(data)
            file.write(data)
    return digest.hexdigest()
