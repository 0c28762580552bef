"""Atomic file writes and file locks, also after exceptions and killed processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core.files.locks import is_held, locked, owned
from core.files.whole import replacing

WRITER = """
import sys, time
from pathlib import Path
from core.files.whole import replacing
with replacing(Path(sys.argv[1])) as path:
    path.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_only_owner_and_group_read_what_is_written(tmp_path: Path) -> None:
    """The file has mode 0640 and every created folder 0750, also under umask 022."""
    target = tmp_path / "a" / "b" / "report.html"
    before = os.umask(0o022)
    try:
        with replacing(target) as path:
            path.write_text("new")
    finally:
        os.umask(before)
    assert target.stat().st_mode & 0o777 == 0o640
    assert [p.stat().st_mode & 0o777 for p in (target.parent, tmp_path / "a")] == [0o750] * 2


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    """An exception in the block keeps the old content and leaves no temporary file."""
    target = tmp_path / "x"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(target) as path:
        path.write_text("new")
        raise ZeroDivisionError
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"x": "old"}


def test_a_killed_writer_is_in_nobodys_way(tmp_path: Path) -> None:
    """The temporary file of a killed writer is truncated and reused by the next writer."""
    target = tmp_path / "x"
    command = [sys.executable, "-c", WRITER, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGKILL)
    assert not target.exists()
    with replacing(target) as path:
        assert path.read_text() == ""
        path.write_text("whole")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"x": "whole"}


def test_writers_of_one_file_take_turns(tmp_path: Path) -> None:
    """With concurrent writers the file is one writer's, and no temporary file is left."""
    target = tmp_path / "x"

    def write(letter: str) -> None:
        with replacing(target, durable=False) as path, path.open("w") as file:
            for _ in range(50):
                file.write(letter * 100)
                file.flush()

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = target.read_text()
    assert content == content[0] * 5000
    assert list(tmp_path.iterdir()) == [target]


def test_a_killed_owner_frees_its_lock(tmp_path: Path) -> None:
    """A lock is held while its process runs, and released when the process is killed."""
    path = tmp_path / "lock"
    code = (
        "import sys, time; from pathlib import Path; from core.files.locks import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == b"held\n"
        assert is_held(path)
        with locked(path, wait=False) as mine:
            assert mine is None
        owner.kill()
    deadline = time.monotonic() + 5
    while is_held(path):
        assert time.monotonic() < deadline
    with owned(path) as mine:
        assert mine
    with owned(tmp_path / "gone") as mine:
        assert not mine
