"""A bundle: one zip file with a manifest that names every file, its size and its SHA-256.

It is untrusted input: only files that the manifest names are unpacked, only below the given folder,
never more bytes than stated, and each is accepted only if its digest matches.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from core.files.archives import ArchiveTooLarge, check_archive
from core.files.json_keys import each_once
from core.files.whole import replacing
from core.messages import N_
from core.messages.system import system_reason
from mlflow_project.versions.errors import Refused

MANIFEST = "manifest.json"
FORMAT = 1
MOST_BYTES = 4 * 2**30
"""Most bytes that a bundle may unpack to."""
_MANIFEST_LIMIT = 16 << 20


def write_bundle(folder: Path, facts: Mapping[str, Any], target: Path) -> str:
    """Pack every file below `folder`, atomically; return the manifest's SHA-256.

    Raises:
        Refused: `target` exists already, or cannot be written.
    """
    if target.exists():
        raise Refused(N_("The file {path} exists; choose another name."), path=target)
    paths = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    files = {
        name: {"bytes": path.stat().st_size, "sha256": digest_of(path)}
        for name, path in sorted(paths.items())
    }
    manifest = json.dumps({"format": FORMAT, **facts, "files": files}, indent=1).encode()
    try:
        with (
            replacing(target) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            archive.writestr(MANIFEST, manifest)
            for name in files:
                archive.write(paths[name], name)
    except OSError as exc:
        facts = {"path": target, "reason": system_reason(exc)}
        raise Refused(N_("{path} cannot be written: {reason}."), **facts) from exc
    return hashlib.sha256(manifest).hexdigest()


def read_bundle(path: Path, folder: Path) -> tuple[dict[str, Any], str]:
    """Unpack a bundle into `folder`; return its manifest and the manifest's SHA-256.

    Raises:
        Refused: it is no bundle, damaged or forged; names the invalid file in it.
    """
    try:
        check_archive(path, MOST_BYTES)
        with zipfile.ZipFile(path) as archive:
            manifest, digest = _manifest(archive, path)
            for name, stated in manifest["files"].items():
                _unpack(archive, name, stated, folder, path)
            return manifest, digest
    except FileNotFoundError as exc:
        raise Refused(N_("The file {path} does not exist."), path=path) from exc
    except ArchiveTooLarge as exc:
        raise Refused(N_("{path} would unpack to far more than a version."), path=path) from exc
    except Refused:
        raise
    except Exception as exc:
        # zipfile and zlib raise many exceptions for invalid bytes.
        raise Refused(N_("{path} is no bundle, or is damaged."), path=path) from exc


def _manifest(archive: zipfile.ZipFile, path: Path) -> tuple[dict[str, Any], str]:
    """Read the manifest; refuse names that are not in both, repeated, or outside the folder."""
    held = archive.namelist()
    try:
        with archive.open(MANIFEST) as file:
            content = file.read(_MANIFEST_LIMIT)
        manifest: dict[str, Any] = json.loads(content, object_pairs_hook=each_once)
        named, version = set(manifest["files"]), manifest["format"]
    except (KeyError, ValueError, TypeError, zipfile.BadZipFile) as exc:
        text = N_("{path}: the manifest ({manifest}) is missing or damaged.")
        raise Refused(text, path=path, manifest=MANIFEST) from exc
    if version != FORMAT:
        text = N_("{path} has the format {found}; this command reads the format {known}.")
        raise Refused(text, path=path, found=version, known=FORMAT)
    for name in sorted(named):
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or set(name) & {"\\", ":", "\0"}:
            text = N_("{path}: the name {name!r} leaves the bundle's folder; nothing was imported.")
            raise Refused(text, path=path, name=name)
    wrong = sorted({MANIFEST, *named} ^ set(held)) or [n for n in held if held.count(n) > 1]
    if wrong:
        text = N_("{path}: {name} is missing, left over or repeated; nothing was imported.")
        raise Refused(text, path=path, name=wrong[0])
    return manifest, hashlib.sha256(content).hexdigest()


def _unpack(
    archive: zipfile.ZipFile, name: str, stated: Mapping[str, Any], folder: Path, path: Path
) -> None:
    """Write one file below the folder and compare it with size and digest in the manifest.

    zipfile writes no more bytes than the archive states, so those are compared first.
    """
    try:
        whole = archive.getinfo(name).file_size == stated["bytes"] and (
            digest_of(Path(archive.extract(name, folder))) == stated["sha256"]
        )
    except Exception:
        whole = False  # any exception of zlib and zipfile
    if not whole:
        text = N_("{path}: {name} is damaged or was changed; nothing was imported.")
        raise Refused(text, path=path, name=name)


def digest_of(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
