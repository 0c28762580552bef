"""Revision of MLflow's database against the installed MLflow: whether it has to be upgraded.

MLflow does not start on tables of an older release. The revision that it requires is in its
migration scripts; they are read as text, since loading them imports all of MLflow.
"""

import importlib.util
import re
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

_LINE = re.compile(r"""^(revision|down_revision) *(?::.*?)?= *["'](\w+)["']""", re.MULTILINE)


@cache
def steps() -> dict[str, str | None]:
    """Return MLflow's revisions, each with its predecessor."""
    spec = importlib.util.find_spec("mlflow")
    if spec is None or spec.origin is None:
        return {}
    folder = Path(spec.origin).parent / "store/db_migrations/versions"
    found = [dict(_LINE.findall(path.read_text("utf-8"))) for path in folder.glob("*.py")]
    return {f["revision"]: f.get("down_revision") for f in found if "revision" in f}


def newest() -> str | None:
    """Return the revision that the installed MLflow requires; None if it cannot be determined."""
    before = set(steps().values())
    heads = [revision for revision in steps() if revision not in before]
    return heads[0] if len(heads) == 1 else None


def revision(database: Path) -> str | None:
    """Return the revision of a database's tables; None if it has none of MLflow's."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
            found = db.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        return None
    return str(found[0]) if found else None


def older(has: str | None) -> bool:
    """Return whether a revision is one that the installed MLflow would upgrade."""
    wants = newest()
    return None not in (has, wants) and has != wants and has in steps()


def newer(has: str | None) -> bool:
    """Return whether a revision is missing in the installed MLflow, and so of a newer one."""
    return has is not None and newest() is not None and has not in steps()
