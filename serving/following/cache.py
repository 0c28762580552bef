"""The last good version on local disk, for a start while MLflow is away.

One folder per server, model and alias: `record.json` says what is kept, and a folder beside it
holds the version's files as they were downloaded. Several workers share it under a file lock, and
every change is made under another name and renamed, so a killed process leaves a whole copy or
none. What is read back is digest-checked here and verified like a download by
`serving.model.loading`.
"""

import contextlib
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.files.locks import locked
from core.files.whole import make_folder, replacing
from core.registry.runs import RunFacts
from core.registry.versions import Version
from serving.errors import CacheDamaged

_RECORD = "record.json"
_LOCK = "lock"
_TEMPORARY = ".new-"


@dataclass(frozen=True, slots=True)
class KeptVersion:
    """A version as it was when it was last served: its files and what MLflow said of it."""

    folder: Path
    target: Version
    facts: RunFacts


class ModelCache:
    """Keeps one version of one model and alias of one server."""

    def __init__(self, root: Path, uri: str, name: str, alias: str) -> None:
        """Choose the folder; nothing is touched before the first `keep`."""
        identity = hashlib.sha256(json.dumps([uri, name, alias]).encode()).hexdigest()[:12]
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{name}@{alias}")[:80]
        self._folder = root / f"{slug}-{identity}"

    def keep(self, target: Version, files: Path, facts: RunFacts) -> None:
        """Make a copy of a served version's files the only one kept.

        Raises:
            OSError: there is no room or no right to write; what was kept before stays.
        """
        with self._locked():
            record = self._record()
            if record is not None and _target(record) == target and self._files(record).is_dir():
                return
            name = f"v{target.number}-{digest(files)}"
            if not (self._folder / name).is_dir():
                self._copy(files, name)
            self._write(name, target, facts)
            self._prune(name)

    def remember(self, target: Version) -> None:
        """Keep the new tags of the version that is kept; nothing happens for another one.

        Raises:
            OSError: it cannot be written.
        """
        with self._locked():
            record = self._record()
            if record is not None and _target(record).is_version_of(target):
                self._write(record["files"], target, _facts(record))

    @contextlib.contextmanager
    def opened(self, wanted: Version | None = None) -> Iterator[KeptVersion | None]:
        """Yield what is kept, None if nothing is, or not what is wanted; it stays meanwhile.

        Raises:
            CacheDamaged: the files are not those that were kept; they are removed.
            OSError: it cannot be read.
        """
        if not self._folder.is_dir():
            yield None
            return
        with self._locked():
            record = self._record()
            if record is None or (wanted and not _target(record).is_version_of(wanted)):
                yield None
                return
            folder = self._files(record)
            if not folder.is_dir() or not folder.name.endswith(f"-{digest(folder)}"):
                # Else the next good download would take the damaged files for its own copy.
                (self._folder / _RECORD).unlink()
                shutil.rmtree(folder, ignore_errors=True)
                raise CacheDamaged(folder)
            yield KeptVersion(folder, _target(record), _facts(record))

    def _record(self) -> dict[str, Any] | None:
        try:
            record: dict[str, Any] = json.loads((self._folder / _RECORD).read_text("utf-8"))
            _target(record), _facts(record), self._files(record)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return record

    def _files(self, record: Mapping[str, Any]) -> Path:
        return self._folder / Path(record["files"]).name

    def _copy(self, files: Path, name: str) -> None:
        temporary = tempfile.mkdtemp(prefix=_TEMPORARY, dir=self._folder)
        try:
            shutil.copytree(files, temporary, dirs_exist_ok=True)
            Path(temporary).rename(self._folder / name)
        except OSError:
            shutil.rmtree(temporary, ignore_errors=True)
            raise

    def _write(self, name: str, target: Version, facts: RunFacts) -> None:
        text = json.dumps({"files": name, "target": target.to_dict(), "facts": asdict(facts)})
        with replacing(self._folder / _RECORD) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def _prune(self, kept: str) -> None:
        """Remove other versions and what killed processes left."""
        for path in self._folder.iterdir():
            if path.is_dir() and path.name != kept:
                shutil.rmtree(path, ignore_errors=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        make_folder(self._folder)
        with locked(self._folder / _LOCK):
            yield


def digest(folder: Path) -> str:
    """Return 32 hexadecimal digits over the names and contents of all files of a folder."""
    whole = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix().encode()
        content = hashlib.sha256(path.read_bytes()).digest()
        whole.update(len(name).to_bytes(4, "big") + name + content)
    return whole.hexdigest()[:32]


def _target(record: Mapping[str, Any]) -> Version:
    return Version.from_dict(record["target"])


def _facts(record: Mapping[str, Any]) -> RunFacts:
    return RunFacts(**record["facts"])
