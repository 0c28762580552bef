"""Bundles: only files that match the manifest's names, sizes and digests are unpacked."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mlflow_project.migration.bundle import MANIFEST, read_bundle, write_bundle
from mlflow_project.versions.errors import Refused

Parts = dict[str, bytes]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return the path of a bundle of two files."""
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"alpha" * 1000)
    (folder / "deep" / "b.bin").write_bytes(bytes(range(256)))
    write_bundle(folder, {"version": {"release": "v1.0.0"}}, tmp_path / "bundle.zip")
    return tmp_path / "bundle.zip"


def rewritten(bundle: Path, change: Callable[[Parts], None]) -> Path:
    """Write a copy of a bundle with changed files; return its path."""
    with zipfile.ZipFile(bundle) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    target = bundle.with_name("changed.zip")
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target


def with_name(parts: Parts, name: str) -> None:
    """Rename `a.txt`, in the manifest too."""
    manifest = json.loads(parts[MANIFEST])
    manifest["files"][name] = manifest["files"].pop("a.txt")
    parts[MANIFEST] = json.dumps(manifest).encode()
    parts[name] = parts.pop("a.txt")


def test_what_was_packed_is_unpacked(bundle: Path, tmp_path: Path) -> None:
    """An unpacked bundle has the packed files and facts alone, and its digest is reproducible."""
    manifest, digest = read_bundle(bundle, tmp_path / "out")
    assert manifest["version"] == {"release": "v1.0.0"}
    assert (tmp_path / "out/deep/b.bin").read_bytes() == bytes(range(256))
    found = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")}
    assert found == {"a.txt", "deep/b.bin"}
    again = tmp_path / "again.zip"
    assert write_bundle(tmp_path / "in", {"version": {"release": "v1.0.0"}}, again) == digest


def test_an_existing_file_is_not_overwritten(bundle: Path) -> None:
    """Writing a bundle to an existing file is refused."""
    with pytest.raises(Refused, match="já existe"):
        write_bundle(bundle.with_name("in"), {}, bundle)


def key_twice(parts: dict[str, bytes]) -> None:
    """Repeat a key of the manifest; most JSON readers take the last value."""
    parts[MANIFEST] = b'{"format": 0, ' + parts[MANIFEST].lstrip()[1:]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda parts: parts.update({"a.txt": b"A" + parts["a.txt"][1:]}), "a.txt está danificado"),
        (lambda parts: parts.update({"deep/b.bin": b"x" * 10**6}), "deep/b.bin está danificado"),
        (lambda parts: parts.update({"deep/b.bin": b""}), "deep/b.bin está danificado"),
        (lambda parts: parts.update({"extra": b""}), "extra falta, sobra"),
        (lambda parts: parts.pop("a.txt"), "a.txt falta, sobra"),
        (lambda parts: parts.pop(MANIFEST), "manifesto"),
        (lambda parts: parts.update({MANIFEST: b"{}"}), "manifesto"),
        (key_twice, "manifesto"),
        (lambda parts: with_name(parts, "../a.txt"), "sai da pasta"),
        (lambda parts: with_name(parts, "/root/a.txt"), "sai da pasta"),
        (lambda parts: with_name(parts, "deep/../../a.txt"), "sai da pasta"),
        (lambda parts: with_name(parts, "..\\a.txt"), "sai da pasta"),
        (lambda parts: with_name(parts, "c:a.txt"), "sai da pasta"),
    ],
)
def test_what_was_changed_is_refused_by_name(
    bundle: Path, tmp_path: Path, change: Callable[[Parts], None], said: str
) -> None:
    """A file that is altered, added, removed or outside the folder is refused by name."""
    with pytest.raises(Refused) as caught:
        read_bundle(rewritten(bundle, change), tmp_path / "deeper" / "out")
    assert said in str(caught.value)
    assert not (tmp_path / "a.txt").exists()
    assert not (tmp_path / "deeper" / "a.txt").exists()


def test_a_flipped_bit_anywhere_is_refused(bundle: Path, tmp_path: Path) -> None:
    """A flipped bit in any seventh byte is refused, or leaves manifest and content unchanged."""
    whole = bundle.read_bytes()
    with zipfile.ZipFile(bundle) as archive:
        end = archive.start_dir
    good, _ = read_bundle(bundle, tmp_path / "good")
    for position in range(0, end, 7):
        damaged = bundle.with_name("damaged.zip")
        damaged.write_bytes(
            whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :]
        )
        try:
            manifest, _ = read_bundle(damaged, tmp_path / "out")
        except Refused:
            continue
        # A bit that the format ignores, as in a time, may differ; the content may not.
        assert manifest == good
        assert (tmp_path / "out/a.txt").read_bytes() == b"alpha" * 1000


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """A bundle of a few hundred kilobytes that unpacks to 200 MiB is refused, nothing unpacked."""
    bomb = tmp_path / "bomb.zip"
    content = bytes(2**20)
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(200):
            archive.writestr(f"{number}.bin", content)
    with pytest.raises(Refused, match=r"bomb\.zip"):
        read_bundle(bomb, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_file_and_no_zip_are_one_clear_line(tmp_path: Path) -> None:
    """A missing file and one that is no zip are refused."""
    (tmp_path / "text.zip").write_text("not a zip file")
    with pytest.raises(Refused, match=r"text\.zip não é um bundle"):
        read_bundle(tmp_path / "text.zip", tmp_path / "out")
    with pytest.raises(Refused, match="não existe"):
        read_bundle(tmp_path / "none.zip", tmp_path / "out")
