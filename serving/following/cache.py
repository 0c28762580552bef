"""Disk cache of the last good version, for a start without MLflow, and of the previous one.

One folder per server, model and alias: `record.json` lists the cached versions, and folders beside
it hold their files as downloaded. The previous version makes a rollback possible without a
download. Workers share the cache under a file lock, and every change is an atomic rename, so a
killed process leaves a complete copy or none. Files are digest-checked when they are opened, then
verified like a download by `serving.model.loading`.
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
    """A cached version as last served: its files, registry entry and run facts."""

    folder: Path
    target: Version
    facts: RunFacts


class ModelCache:
    """Cache of the current and the previous version of one model and alias of one server."""

    def __init__(self, root: Path, uri: str, name: str, alias: str) -> None:
        """Compute the folder's path; nothing is written yet."""
        identity = hashlib.sha256(json.dumps([uri, name, alias]).encode()).hexdigest()[:12]
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{name}@{alias}")[:80]
        self._folder = root / f"{slug}-{identity}"

    def keep(self, target: Version, files: Path, facts: RunFacts) -> None:
        """Copy a served version's files into the cache, as its current version.

        Raises:
            OSError: there is no space or no permission to write; the cache is unchanged.
        """
        with self._locked() as record:
            if record is not None and _target(record) == target and self._files(record).is_dir():
                return
            name = f"v{target.number}-{digest(files)}"
            if not (self._folder / name).is_dir():
                self._copy(files, name)
            self._replace(record, _entry(name, target, facts))

    def recall(self, target: Version) -> bool:
        """Make `target` the current version if it is cached; return whether it is.

        Raises:
            OSError: it cannot be written.
        """
        with self._locked() as record:
            if record is None:
                return False
            if _target(record).is_version_of(target):
                return True
            before = record.get("before")
            if before is None or not _target(before).is_version_of(target):
                return False
            self._replace(record, _entry(before["files"], target, _facts(before)))
            return True

    def remember(self, target: Version) -> None:
        """Store the new tags of the current version; do nothing for any other.

        Raises:
            OSError: it cannot be written.
        """
        with self._locked() as record:
            if record is not None and _target(record).is_version_of(target):
                self._write({**record, **_entry(record["files"], target, _facts(record))})

    @contextlib.contextmanager
    def opened(self, wanted: Version | None = None) -> Iterator[KeptVersion | None]:
        """Yield the current version, None if there is none or not the wanted one; under the lock.

        Raises:
            CacheDamaged: the files fail the digest check; they are removed.
            OSError: the cache cannot be read.
        """
        if not self._folder.is_dir():
            yield None
            return
        with self._locked() as record:
            if record is None or (wanted and not _target(record).is_version_of(wanted)):
                yield None
                return
            folder = self._files(record)
            if not folder.is_dir() or not folder.name.endswith(f"-{digest(folder)}"):
                # Otherwise `keep` would reuse this folder for the next good download.
                (self._folder / _RECORD).unlink()
                shutil.rmtree(folder, ignore_errors=True)
                raise CacheDamaged(folder)
            yield KeptVersion(folder, _target(record), _facts(record))

    def _record(self) -> dict[str, Any] | None:
        try:
            record: dict[str, Any] = json.loads((self._folder / _RECORD).read_text("utf-8"))
            for one in (record, record.get("before") or record):
                _target(one), _facts(one), self._files(one)
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
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

    def _replace(self, record: Mapping[str, Any] | None, new: Mapping[str, Any]) -> None:
        """Write a new record, with the version of the old one as the previous version."""
        before = record
        if record is not None and _target(record).is_version_of(_target(new)):
            before = record.get("before")
        if before is not None:
            before = {key: before[key] for key in new}
        self._write({**new, "before": before})
        self._prune({one["files"] for one in (new, before) if one})

    def _write(self, record: Mapping[str, Any]) -> None:
        with replacing(self._folder / _RECORD) as temporary:
            temporary.write_text(json.dumps(record), encoding="utf-8")

    def _prune(self, kept: set[str]) -> None:
        """Remove other versions and the temporary folders of killed processes."""
        for path in self._folder.iterdir():
            if path.is_dir() and path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[dict[str, Any] | None]:
        """Hold the folder's lock; yield its record, None without a valid one."""
        make_folder(self._folder)
        with locked(self._folder / _LOCK):
            yield self._record()


def digest(folder: Path) -> str:
    """Return 32 hexadecimal digits over the names and contents of all files of a folder."""
    whole = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix().encode()
        content = hashlib.sha256(path.read_bytes()).digest()
        whole.update(len(name).to_bytes(4, "big") + name + content)
    return whole.hexdigest()[:32]


def _entry(name: str, target: Version, facts: RunFacts) -> dict[str, Any]:
    """Return a record's entry for one version."""
    return {"files": name, "target": target.to_dict(), "facts": asdict(facts)}


def _target(record: Mapping[str, Any]) -> Version:
    return Version.from_dict(record["target"])


def _facts(record: Mapping[str, Any]) -> RunFacts:
    return RunFacts(**record["facts"])
