"""Temporary folders of ended processes, and the folder of a user's locks."""

import os
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from core.files.scratch import lock_folder, scratch_folder

ROOT = Path(__file__).resolve().parents[3]
HOLD = """
import sys, time
from core.files.scratch import scratch_folder
with scratch_folder(sys.argv[1]) as folder:
    (folder / "weights").write_text("x")
    print(folder, flush=True)
    time.sleep(60)
"""


def hold(folder: Path, kind: str = "version") -> tuple[subprocess.Popen[str], Path]:
    """Return a process that holds a scratch folder below `folder`, and that scratch folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, kind],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    made = Path(process.stdout.readline().strip())
    hour_ago = time.time() - 3600
    os.utime(made, (hour_ago, hour_ago))
    return process, made


@pytest.mark.parametrize("kind", ["version", "scratch", "serving-workers", "evidence"])
def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path, kind: str) -> None:
    """A new process removes the folder of a killed one, and no folder of live ones or others."""
    dead, left = hold(tmp_path, kind)
    living, kept = hold(tmp_path)
    dead.kill()
    dead.wait()
    theirs = [tmp_path / name for name in ("version-of-another", "scratch-ABCDEFGH", "other")]
    for path in theirs:
        path.mkdir(mode=0o700)
        os.utime(path, (0, 0))
    fresh = tmp_path / "version-abcdefgh"  # may be one that is not locked yet
    fresh.mkdir(mode=0o700)
    assert left.exists()
    last, _made = hold(tmp_path)
    try:
        assert not left.exists()
        assert (kept / "weights").exists()
        assert fresh.exists()
        assert all(path.exists() for path in theirs)
    finally:
        for process in (living, last):
            process.terminate()
            process.wait()


def test_a_scratch_folder_is_gone_after_its_block() -> None:
    """The folder is removed when its block ends, also by an exception."""
    with pytest.raises(ValueError, match="x"), scratch_folder() as folder:
        (folder / "file").write_text("rows")
        raise ValueError("x")
    assert not folder.exists()


def test_locks_lie_where_no_other_user_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locks are in the home with mode 0700; without a home, in the temporary folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = lock_folder()
    assert folder.is_relative_to(tmp_path)
    folder.chmod(0o777)
    assert lock_folder() == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    monkeypatch.setenv("HOME", os.devnull)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    assert lock_folder().parent == tmp_path
    lock_folder().rmdir()
    (tmp_path / f"mlflow-locks-{os.getuid()}").symlink_to("/")
    with pytest.raises(PermissionError):
        lock_folder()
