"""What was put aside because it cannot be read, and how people are told.

Without Arrow, which the proxy's workers do without.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.messages import N_, _, ngettext
from core.store.schema import moment_of

EXIT_QUARANTINED = 4
"""Exit code of a job that is done but for files that cannot be read."""

FOLDER = "quarantine"
REASON_SUFFIX = ".reason.json"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A file that was put aside.

    Attributes:
        name: the file's name.
        reason: what is wrong with it, for people.
        rows: about how many rows are in it; None where nothing tells.
        moved: whether it could be moved; one that could not is left out of the job all the same.
    """

    name: str
    reason: str
    rows: int | None
    moved: bool = True

    @property
    def moment(self) -> datetime | None:
        """Return when its first row was answered, by its name; None where that does not tell."""
        return moment_of(self.name)

    def record(self) -> str:
        """Return what stands in the file beside it."""
        return json.dumps({"reason": self.reason, "rows": self.rows}, ensure_ascii=False)

    def __str__(self) -> str:
        """Return in a sentence what a person should know."""
        facts = {"name": self.name, "reason": self.reason}
        if self.rows is None:
            return _(
                "{name} cannot be read ({reason}) and was left out; how many rows are missing is "
                "not known.",
                **facts,
            )
        return ngettext(
            "{name} cannot be read ({reason}) and was left out: about {n} row is missing.",
            "{name} cannot be read ({reason}) and was left out: about {n} rows are missing.",
            self.rows,
            **facts,
        )


def read_record(name: str, record: bytes) -> Quarantined:
    """Return a file that was put aside by what stands beside it."""
    return Quarantined(name, **json.loads(record))


def quarantined_journals(journals: Path) -> list[Quarantined]:
    """Return the journals that were put aside, in order of time."""
    records = sorted((journals / FOLDER).glob(f"*{REASON_SUFFIX}"))
    return [read_record(p.name.removesuffix(REASON_SUFFIX), p.read_bytes()) for p in records]


def told(files: Iterable[Quarantined]) -> list[str]:
    """Return for people a line for each file that cannot be read, and what to do with them."""
    lines = [str(one) for one in files]
    advice = N_(
        "What was put aside is in the folder quarantine: repair it and put it back, or delete it."
    )
    return [*lines, _(advice)] if lines else []
