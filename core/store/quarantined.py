"""Records of quarantined files, and their messages for the operator.

Without Arrow, which the proxy's workers do not import.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.messages import N_, _, ngettext
from core.store.schema import moment_of

EXIT_QUARANTINED = 4
"""Exit code of a job that completed except for unreadable files."""

FOLDER = "quarantine"
REASON_SUFFIX = ".reason.json"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A quarantined file.

    Attributes:
        name: the file's name.
        reason: the problem, as text for the operator.
        rows: approximate number of rows in it; None where it is unknown.
        moved: whether it could be moved; the job skips it in any case.
    """

    name: str
    reason: str
    rows: int | None
    moved: bool = True

    @property
    def moment(self) -> datetime | None:
        """Return the time of its first row, by its name; None where the name has none."""
        return moment_of(self.name)

    def record(self) -> str:
        """Return the content of the record file beside it, as JSON."""
        return json.dumps({"reason": self.reason, "rows": self.rows}, ensure_ascii=False)

    def __str__(self) -> str:
        """Return the message for the operator."""
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
    """Return a quarantined file from the record beside it."""
    return Quarantined(name, **json.loads(record))


def quarantined_journals(journals: Path) -> list[Quarantined]:
    """Return the quarantined journals, in order of time."""
    records = sorted((journals / FOLDER).glob(f"*{REASON_SUFFIX}"))
    return [read_record(p.name.removesuffix(REASON_SUFFIX), p.read_bytes()) for p in records]


def told(files: Iterable[Quarantined]) -> list[str]:
    """Return a line for each unreadable file, and the advice for the operator."""
    lines = [str(one) for one in files]
    advice = N_(
        "What was put aside is in the folder quarantine: repair it and put it back, or delete it."
    )
    return [*lines, _(advice)] if lines else []
