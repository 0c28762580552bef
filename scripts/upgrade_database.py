"""Upgrade of MLflow's database to the release that is installed, where it is older, in compose.

It runs before the MLflow server, which rejects older tables, and after a dump of the database
(service `dump`). An empty database is left for MLflow to initialise.
"""

import subprocess
import sys
from collections.abc import Sequence

from core.cli.arguments import parser, run_command, say
from core.messages import N_, _
from scripts.starting.database import newer, older
from scripts.starting.processes import StartError


def upgrade(uri: str) -> bool:
    """Upgrade a database if its tables are older; return whether they were.

    Raises:
        StartError: they are of a newer MLflow, or the upgrade failed.
    """
    has = revision(uri)
    if newer(has):
        raise StartError(N_("the database was written by a newer MLflow than is installed here"))
    if not older(has):
        return False
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", uri]
    if code := subprocess.run(command, check=False).returncode:
        message = N_("{what} failed (exit code {code}); the cause is just above")
        raise StartError(message, what=_("the upgrade"), code=code)
    return True


def revision(uri: str) -> str | None:
    """Return the revision of a database's tables; None where it has none of MLflow's."""
    from sqlalchemy import create_engine, inspect, text

    engine = create_engine(uri)
    try:
        if not inspect(engine).has_table("alembic_version"):
            return None
        with engine.connect() as connection:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    finally:
        engine.dispose()
    return None if found is None else str(found[0])


def _run(uri: str) -> None:
    if upgrade(uri):
        say(_("the database is now of the MLflow that is installed"))
    else:
        say(_("the database is of the MLflow that is installed, or empty: nothing to upgrade"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = parser("scripts.upgrade_database", _("Upgrade MLflow's database if it is older."))
    arguments.add_argument("uri", help=_("address of the database, as MLflow takes it"))
    uri = arguments.parse_args(argv).uri
    return run_command(lambda: _run(uri))


if __name__ == "__main__":
    sys.exit(main())
