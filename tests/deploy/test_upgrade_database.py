"""Compose's steps before MLflow: a dump of the database, then the upgrade of older tables."""

import subprocess
from pathlib import Path

import pytest
import sqlalchemy

from scripts.starting import database
from scripts.starting.processes import StartError
from scripts.upgrade_database import main, revision, upgrade
from tests.deploy.postgres import postgres, programs
from tests.deploy.stack import Compose


def fill(uri: str) -> None:
    """Create the tables of the revision before MLflow's newest one."""
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base

    engine = sqlalchemy.create_engine(uri)
    Base.metadata.create_all(engine)
    before = database.steps()[database.newest() or ""]
    assert before is not None
    command.upgrade(_get_alembic_config(uri), before)
    engine.dispose()


def test_an_empty_database_is_left_to_mlflow_and_a_newer_one_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Empty, newer and newest databases are unchanged; a newer one raises StartError."""
    uri = f"sqlite:///{tmp_path / 'x.db'}"
    assert upgrade(uri) is False
    engine = sqlalchemy.create_engine(uri)
    for number, expected in (("f" * 12, StartError), (str(database.newest()), None)):
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("DROP TABLE IF EXISTS alembic_version"))
            connection.execute(sqlalchemy.text("CREATE TABLE alembic_version (version_num TEXT)"))
            connection.execute(
                sqlalchemy.text("INSERT INTO alembic_version VALUES (:n)"), {"n": number}
            )
        if expected:
            with pytest.raises(expected):
                upgrade(uri)
            assert main([uri]) == 1
        else:
            assert upgrade(uri) is False
        assert revision(uri) == number
    assert "mais novo" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(programs() is None, reason="needs PostgreSQL's programs (postgresql)")
def test_a_dump_holds_what_was_there_and_the_tables_are_upgraded(tmp_path: Path) -> None:
    """Compose's dump command keeps five dumps; the upgrade then reaches the newest revision."""
    with postgres("mlflow", "secret") as address:
        host, _, port = address.partition(":")
        uri = f"postgresql+psycopg2://mlflow:secret@{address}/mlflow"
        fill(uri)
        places = {"-h postgres": f"-h {host} -p {port}", "/var/lib/postgresql": str(tmp_path)}
        compose = Compose({"POSTGRES_PASSWORD": "secret"}, places)
        command = [word.replace("$$", "$") for word in compose.command("dump")]
        env = compose.environment("dump")
        env["PATH"] = f"{programs()}:{env['PATH']}"
        for number in range(6):
            (tmp_path / f"mlflow-2020010{number}T000000Z.dump").touch()
        subprocess.run(command, env=env, check=True)
        dumps = sorted(tmp_path.glob("mlflow-*.dump"))
        assert len(dumps) == 5
        listed = subprocess.run(
            [f"{programs()}/pg_restore", "--list", dumps[-1]], capture_output=True, text=True
        )
        assert "alembic_version" in listed.stdout
        assert upgrade(uri) is True
        assert revision(uri) == database.newest()
        assert upgrade(uri) is False
