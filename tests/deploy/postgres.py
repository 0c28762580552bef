"""A real PostgreSQL server for one test, made by initdb and run by an unprivileged user."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live import find_free_port

NOBODY = 65534


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, the newest version's, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: p.parts[-3])
    if found:
        return found[-1].parent
    known = shutil.which("initdb")
    return Path(known).parent if known else None


def unprivileged(*command: object) -> list[str]:
    """Return the command, run as `nobody` if we are root, since PostgreSQL refuses root."""
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return [*(drop if os.getuid() == 0 else []), *map(str, command)]


@contextmanager
def postgres(user: str, password: str) -> Iterator[str]:
    """Run a server with one database named like its user; yield its `host:port`."""
    bin_folder = programs()
    assert bin_folder is not None
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    data, secret, port = folder / "data", folder / "password", find_free_port()
    secret.write_text(password)
    if os.getuid() == 0:
        for path in (folder, secret):
            os.chown(path, NOBODY, NOBODY)
    quiet = {"check": True, "capture_output": True, "cwd": folder}
    make = unprivileged(bin_folder / "initdb", "-D", data, "-U", user, "-A", "scram-sha-256")
    subprocess.run([*make, f"--pwfile={secret}", "--no-sync"], **quiet)
    options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off"
    control = unprivileged(bin_folder / "pg_ctl", "-D", data, "-w", "-l", folder / "log")
    subprocess.run([*control, "-o", options, "start"], check=True, cwd=folder)
    try:
        create = [bin_folder / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", user, user]
        subprocess.run(create, env={"PGPASSWORD": password}, **quiet)
        yield f"127.0.0.1:{port}"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **quiet)
        shutil.rmtree(folder)
