"""A file is whole or not there; who dies while writing it leaves nothing in the way."""

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
    """File and every folder that had to be made, whatever umask lets others read."""
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
    """Neither half a file nor a trace of it."""
    target = tmp_path / "x"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(target) as path:
        path.write_text("new")
        raise ZeroDivisionError
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"x": "old"}


def test_a_killed_writer_is_in_nobodys_way(tmp_path: Path) -> None:
    """What it left is written anew by the next one, whole."""
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
    """Whatever of many writers comes last, the file is one writer's, and nothing is left beside."""
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
    """A lock is held while its process lives, and by nobody afterwards."""
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
