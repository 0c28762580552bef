"""`make backup` and `make restore`: what is restored, and what is rejected."""

import shutil
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.captured.reader import Captures
from core.captured.selection import Selection
from core.store.filesystem import Store
from scripts.starting import database
from tests.live import clean_environment, copy_project, eventually
from tests.mlflow_servers import running_mlflow
from tests.stored import FEATURES, StoreWriter
from tests.walk import Walk

STORE = "monitoring/inference_store"
KEY = "a key for the test"
DAY = timedelta(days=1)


class Installation:
    """A copy of the project with data that cannot be reproduced."""

    def __init__(self, folder: Path, **environ: str) -> None:
        """Copy the project, unless it is there."""
        if not folder.exists():
            copy_project(folder)
        self.folder = folder
        self.env = {**clean_environment(), **environ}

    def fill(self) -> None:
        """Add a registry, artifacts, captured rows in journals and Parquet files, and settings."""
        var = self.folder / "var"
        (var / "artifacts/1/models").mkdir(parents=True)
        (var / "artifacts/1/models/model.skops").write_bytes(bytes(range(256)) * 400)
        (var / "artifacts/1/models/.gitattributes").write_text("a model's own")
        # As a tool that deduplicates equal files leaves it.
        (var / "artifacts/1/models/same.skops").hardlink_to(var / "artifacts/1/models/model.skops")
        with closing(sqlite3.connect(var / "mlflow.db")) as db, db:
            db.execute("CREATE TABLE alembic_version (version_num TEXT)")
            db.execute("INSERT INTO alembic_version VALUES ('abc')")
            db.execute("CREATE TABLE runs (name TEXT)")
            db.execute("INSERT INTO runs VALUES ('train v1.0.0')")
        writer = StoreWriter(self.folder / STORE)
        writer.parquet(writer.journal([{"entity": f"p{n}", "score": 0.25} for n in range(30)]))
        # A journal converted a moment ago may be copied as journal and as Parquet file.
        both = writer.journal([{"entity": f"q{n}", "score": 0.5} for n in range(7)])
        writer.parquet(both, keep_journal=True)
        writer.journal([{"entity": f"r{n}", "score": 0.75} for n in range(5)])
        (self.folder / STORE / ".half.parquet.tmp").write_bytes(b"half")
        (self.folder / ".env").write_text("API_PORT=8123\n")

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command of the project there; return its output."""
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def rows(self) -> int:
        """Return how many captured rows a report would read."""
        return len(requests(self.folder, "modelo"))


def requests(folder: Path, model: str) -> list[str]:
    """Return the request ID of each captured row that a report on a model would read."""
    now = datetime.now(UTC)
    captures = Captures(Store(folder / STORE), Selection(model, 1, now - DAY, now + DAY), FEATURES)
    return [name for batch in captures.rows(["request_id"]) for name in batch[0].to_pylist()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Installation, Path, str]:
    """Return an installation, its backup, and the output of the command."""
    base = tmp_path_factory.mktemp("backup")
    one = Installation(base / "a project", PSEUDONYM_KEY=KEY)
    one.fill()
    said = one.run("scripts.backup", str(base / "backups"))
    (archive,) = (base / "backups").iterdir()
    return one, archive, said


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of another installation."""
    return tmp_path_factory.mktemp("other") / "project"


@pytest.fixture
def empty(other: Path) -> Iterator[Installation]:
    """Yield an installation without data, and remove what a test has put there."""
    yield Installation(other)
    for folder in ("var", STORE):
        shutil.rmtree(other / folder, ignore_errors=True)
    (other / ".env").unlink(missing_ok=True)


def test_what_was_there_is_there_again(
    made: tuple[Installation, Path, str], empty: Installation
) -> None:
    """Registry, artifacts, each captured row once, settings and key return; no partial files."""
    one, archive, said = made
    assert archive.stat().st_mode & 0o777 == 0o600
    assert "PSEUDONYM_KEY" in said and str(archive) in said
    said = empty.run("scripts.restore", str(archive))
    assert "--forget" in said
    with closing(sqlite3.connect(empty.folder / "var/mlflow.db")) as db:
        assert db.execute("SELECT name FROM runs").fetchall() == [("train v1.0.0",)]
    for name in ("model.skops", "same.skops", ".gitattributes"):
        artifact = Path("var/artifacts/1/models") / name
        assert (empty.folder / artifact).read_bytes() == (one.folder / artifact).read_bytes()
    assert empty.rows() == one.rows() == 42
    settings = (empty.folder / ".env").read_text()
    assert settings == f"API_PORT=8123\nPSEUDONYM_KEY={KEY}\n"
    assert (empty.folder / ".env").stat().st_mode & 0o777 == 0o600
    left = {path.name for path in empty.folder.iterdir() if path.name.startswith(".")}
    assert left == {".env", ".env.example"}
    assert not list((empty.folder / STORE).glob(".*tmp"))


def test_nothing_is_overwritten(made: tuple[Installation, Path, str]) -> None:
    """A restore over existing data is rejected, names that data, and leaves it unchanged."""
    one, archive, _said = made
    before = (one.folder / "var/mlflow.db").stat().st_mtime_ns
    said = one.run("scripts.restore", str(archive), code=1)
    assert "mlflow.db" in said and "inference_store" in said
    assert (one.folder / "var/mlflow.db").stat().st_mtime_ns == before


def test_another_key_is_refused(made: tuple[Installation, Path, str], empty: Installation) -> None:
    """Another key, which would match no entity, is rejected; the error says how to read ours."""
    empty.env["PSEUDONYM_KEY"] = "another"
    said = empty.run("scripts.restore", str(made[1]), code=1)
    assert "pseudonym-key" in said and KEY not in said
    assert not (empty.folder / "var").exists()


@pytest.mark.parametrize("damage", ["cut", "flipped", "other", "outside", "manifest"])
def test_what_is_not_a_whole_backup_is_refused(
    made: tuple[Installation, Path, str], empty: Installation, tmp_path: Path, damage: str
) -> None:
    """A damaged or foreign archive is rejected in one line, and nothing is restored."""
    content = bytearray(made[1].read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[content.index(b"train v1.0.0")] ^= 1
    elif damage == "other":
        content = bytearray(b"no archive")
    path = tmp_path / "damaged.tar"
    path.write_bytes(content)
    if damage == "outside":
        with tarfile.open(path, "a") as tar:
            tar.add(__file__, "../escaped")
    if damage == "manifest":
        (tmp_path / "manifest.json").write_text('{"made": "today"}')
        with tarfile.open(path, "w") as tar:
            tar.add(tmp_path / "manifest.json", "manifest.json")
    said = empty.run("scripts.restore", str(path), code=1)
    assert "Traceback" not in said and len(said.splitlines()) == 1
    assert not (empty.folder / "var").exists() and not (empty.folder / STORE).exists()
    assert not (tmp_path / "escaped").exists()


def test_a_restore_that_fails_leaves_nothing_in_the_way(
    made: tuple[Installation, Path, str], empty: Installation
) -> None:
    """If a folder cannot be created, files moved before are removed; the next restore succeeds."""
    (empty.folder / "var").write_text("in the way")
    said = empty.run("scripts.restore", str(made[1]), code=1)
    assert "Traceback" not in said
    assert not [path for path in (empty.folder / STORE).rglob("*") if path.is_file()]
    (empty.folder / "var").unlink()
    empty.run("scripts.restore", str(made[1]))
    assert empty.rows() == 42


def test_without_a_registry_or_a_key_it_is_said(tmp_path: Path, empty: Installation) -> None:
    """A backup without a registry is an error; a store without a key gives a warning."""
    assert "var/mlflow.db" in empty.run("scripts.backup", str(tmp_path), code=1)
    empty.fill()
    assert "PSEUDONYM_KEY não" in empty.run("scripts.backup", str(tmp_path))


@pytest.fixture
def old_database(tmp_path: Path) -> Path:
    """Return a database at the schema revision before MLflow's newest one."""
    import sqlalchemy
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base

    path = tmp_path / "old/var/mlflow.db"
    path.parent.mkdir(parents=True)
    before = database.steps()[database.newest() or ""]
    assert before is not None
    uri = f"sqlite:///{path}"
    Base.metadata.create_all(sqlalchemy.create_engine(uri))
    command.upgrade(_get_alembic_config(uri), before)
    return path


def test_tables_of_another_release_are_noticed(tmp_path: Path) -> None:
    """A database's revision is classified as older, MLflow's own, newer, or missing."""
    newest = database.newest()
    assert newest is not None
    judged = {}
    for revision in (database.steps()[newest], newest, "f" * 12, None):
        path = tmp_path / f"{revision}.db"
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("CREATE TABLE alembic_version (version_num TEXT)")
            db.execute("INSERT INTO alembic_version VALUES (?)", [revision or "x" * 12])
        path = path if revision else tmp_path / "missing.db"
        has = database.revision(path)
        judged[revision] = (database.older(has), database.newer(has))
    assert list(judged.values()) == [(True, False), (False, False), (False, True), (False, False)]


@pytest.mark.slow
def test_up_upgrades_an_older_database_after_a_backup(old_database: Path, tmp_path: Path) -> None:
    """An older database is upgraded to the newest revision; a backup of it is in `backups`."""
    one = Installation(tmp_path / "project")
    (one.folder / "var").mkdir()
    old_database.rename(one.folder / "var/mlflow.db")
    step = "from scripts import up; up.upgrade_database(up.DATABASE, up.Stack({}))"
    subprocess.run([sys.executable, "-c", step], cwd=one.folder, env=one.env, check=True)
    assert database.revision(one.folder / "var/mlflow.db") == database.newest()
    (archive,) = (one.folder / "backups").iterdir()
    with tarfile.open(archive) as tar:
        assert "mlflow.db" in tar.getnames()


class Clients:
    """A client that sends requests without pause, and the requests that were acknowledged."""

    def __init__(self, ask: Callable[[], httpx.Response]) -> None:
        """Start to send."""
        self._ask, self._ended = ask, threading.Event()
        self.acknowledged: list[str] = []
        self._thread = threading.Thread(target=self._go)
        self._thread.start()

    def _go(self) -> None:
        while not self._ended.is_set():
            answer = self._ask()
            if answer.status_code == 200:
                self.acknowledged.append(answer.headers["X-Request-ID"])

    def stop(self) -> None:
        """Stop sending, and wait."""
        self._ended.set()
        self._thread.join()


@pytest.fixture
def running(
    tmp_path: Path, mlflow_server: str, mlflow_folder: Path, register_version: Callable[..., int]
) -> Iterator[Walk]:
    """Yield a serving installation whose registry is that of the live server."""
    register_version("restored", tags={})
    walk = Walk(tmp_path / "project", mlflow_server, "restored")
    (walk.folder / "var").mkdir()
    for name in ("mlflow.db", "artifacts"):
        (walk.folder / "var" / name).symlink_to(mlflow_folder / name)
    walk.serve(workers=2)
    yield walk
    walk.stop()


@pytest.mark.slow
def test_a_restored_installation_answers_the_same(running: Walk, tmp_path: Path) -> None:
    """A backup under load has each row served before once; restored, it serves equal scores."""
    rows: list[dict[str, Any]] = [{"temperature": 20.0 + n, "wear": 2.0} for n in range(20)]

    def ask(api: str) -> httpx.Response:
        return httpx.post(f"{api}/predict", json={"instances": rows}, timeout=30)

    clients = Clients(lambda: ask(running.api))
    try:
        for count in (50, 100, 150):
            eventually(lambda count=count: len(clients.acknowledged) >= count, 120)
            before = list(clients.acknowledged)
            running.run("-m", "scripts.backup", str(tmp_path / "backups"))
    finally:
        clients.stop()
    answered = ask(running.api).json()["predictions"]
    archive = max((tmp_path / "backups").iterdir())
    other = Walk(tmp_path / "elsewhere", "", "restored")
    other.run("-m", "scripts.restore", str(archive))
    captured = requests(other.folder, "restored")
    for request in before:
        assert captured.count(request) == len(rows)
    assert len(captured) == len(rows) * len(set(captured))
    with running_mlflow(other.folder / "var") as uri:
        other.env["MLFLOW_TRACKING_URI"] = uri
        try:
            other.serve()
            assert ask(other.api).json()["predictions"] == answered
        finally:
            other.stop()
