"""Buildah as root in a chroot, with a base image of this machine: no registry, no daemon."""

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from shutil import which

import pytest

BASE = "localhost/python-of-this-machine"
PATH = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SETTINGS = ("/etc/ssl/certs", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/ld.so.conf")
PIP = ("/etc/pip.conf", "/etc/xdg/pip", "/etc/ld.so.conf.d", "/etc/nsswitch.conf")
LEFT_OUT = re.compile(r"/usr/share/(doc|man|locale|info|lintian)/")
NOT_OF_PYTHON = re.compile(r"site-packages/(?!pip|setuptools)|__pycache__|/test(/|$)|/config-3")


def lines(*command: object) -> list[str]:
    """Return the lines of a command's stdout."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def why_not() -> str | None:
    """Return why images cannot be built here, or None."""
    if not which("buildah") or os.getuid() != 0 or not which("dpkg-query"):
        return "needs buildah and root, on Debian (apt install buildah)"
    if Path(sys.base_prefix) == Path("/usr"):
        return "Debian's own Python is no base image's: it keeps packages elsewhere"
    return None


def system_files(prefix: Path) -> set[str]:
    """Return the files of Debian's essential packages, and libraries linked by them or Python."""
    listed = lines("dpkg-query", "-Wf", "${Package} ${Essential} ${Priority}\n")
    packages = [line.split()[0] for line in listed if "yes" in line or "required" in line]
    found = lines("dpkg-query", "-L", *packages, "libc6", "libstdc++6", "libgcc-s1")
    files = {path for path in found if path.startswith("/") and not LEFT_OUT.match(path)}
    programs = [p for p in map(Path, files) if p.parent.name in ("bin", "sbin") and p.is_file()]
    modules = list(prefix.glob("lib/python3*/lib-dynload/*.so"))
    used = re.findall(r"=> (/\S+) \(0x", "\n".join(lines("ldd", *programs, *modules)))
    return files | {path for lib in used for path in (lib, os.path.realpath(lib))}


def write_base(path: Path) -> None:
    """Write a tar of a root file system like python:*-slim: Debian, and CPython at /usr/local."""
    prefix = Path(sys.base_prefix)
    name = f"python3.{sys.version_info.minor}"
    with tarfile.open(path, "w") as tar:
        # By the parent's real path, since /bin and /lib are links, which are added themselves.
        real = {
            str(Path(file).parent.resolve() / Path(file).name)
            for file in system_files(prefix)
            if os.path.lexists(file) and not file.startswith(f"{prefix}/")
        }
        for file in sorted(real | {"/bin", "/sbin", "/lib", "/lib64"}):
            tar.add(file, recursive=False)
        for folder in filter(os.path.exists, SETTINGS + PIP):
            tar.add(folder)
        for part in (f"bin/{name}", "lib"):
            tar.add(prefix / part, f"usr/local/{part}", filter=_of_python)
        for link in ("python", "python3"):
            member = tarfile.TarInfo(f"usr/local/bin/{link}")
            member.type, member.linkname = tarfile.SYMTYPE, name
            tar.addfile(member)
        member = tarfile.TarInfo("tmp")
        member.type, member.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(member)


def _of_python(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if NOT_OF_PYTHON.search(member.name) else member


class Buildah:
    """Images and containers in a folder, without a daemon."""

    def __init__(self, folder: Path) -> None:
        """Set the options that store images and containers in the folder."""
        where = ("--root", folder / "root", "--runroot", folder / "run")
        self.folder = folder
        self.options = [str(word) for word in ("buildah", *where, "--storage-driver", "vfs")]

    def __call__(self, *words: object) -> str:
        """Run a command of buildah; return the last line of its stdout."""
        command = [*self.options, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        return done.stdout.strip().rpartition("\n")[2]

    def make_base(self) -> None:
        """Create the base image; skip the test where buildah cannot run commands in a chroot."""
        tar = self.folder / "base.tar"
        write_base(tar)
        container = self("from", "scratch")
        self("add", container, tar, "/")
        tar.unlink()
        self("config", "--env", f"PATH={PATH}", container)
        try:
            self("run", "--isolation", "chroot", container, "--", "/sbin/ldconfig")
        except AssertionError as exc:
            pytest.skip(f"buildah runs nothing here: {exc}")
        self("commit", "--rm", container, BASE)

    def build(self, context: Path, target: str) -> str:
        """Build a target of the context's Dockerfile; return the image's name."""
        image = f"localhost/{target}"
        base = f"PYTHON_IMAGE={BASE}"
        options = ("--isolation", "chroot", "--pull-never", "--build-arg", base)
        self("bud", *options, "--target", target, "-t", image, context)
        return image

    def size(self, image: str) -> int:
        """Return the total size of an image's files in bytes."""
        container = self("from", "--pull-never", image)
        root = Path(self("mount", container))
        size = sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir())
        self("rm", container)
        return size

    def inspect(self, image: str) -> dict[str, object]:
        """Return an image's configuration: user, command, labels, environment."""
        text = "\n".join(lines(*self.options, "inspect", "--type", "image", image))
        found: dict[str, object] = json.loads(text)["OCIv1"]["config"]
        return found
