"""Service levels on disk, so that their trend outlasts the server: a line per worker and slice.

Each worker appends its tally of a slice of five minutes when that is over, and at shutdown; a
worker that is killed loses its current slice. The page adds up the lines of a day.
"""

import contextlib
import os
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec

from core.files.whole import FILE_MODE
from serving.metrics.slo import ServiceTally, Slices

DAYS = 14
"""Days that are kept and shown, today included."""
_NAME = "levels-{day}.jsonl"


@dataclass(frozen=True, slots=True)
class DayLevels:
    """The tally of all workers on one day, in the machine's time zone."""

    day: date
    tally: ServiceTally


class KeptLevels:
    """Writer of one worker's slices to a folder that all servers of a machine may share."""

    def __init__(self, folder: Path) -> None:
        """Keep the folder; it is created with the first line."""
        self._folder = folder
        self._written: set[int] = set()

    def keep(self, slices: Slices, *, all_of_it: bool = False, today: date | None = None) -> None:
        """Append the finished slices; `all_of_it`: the current one, too.

        A line that cannot be written is tried again, and missing in the trend until then.
        """
        newest = max(slices.tallies, default=0)
        over = {n for n in slices.tallies if n < newest or all_of_it}
        for number in sorted(over - self._written):
            with contextlib.suppress(OSError):
                self._append(slices.tallies[number], today or _today())
                self._written.add(number)
        self._written &= slices.tallies.keys()

    def _append(self, tally: ServiceTally, today: date) -> None:
        path = self._folder / _NAME.format(day=today)
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._forget(_NAME.format(day=today - timedelta(days=DAYS)))
        # Unbuffered, the line is one write: other workers append to the same file.
        with open(path, "ab", buffering=0, opener=partial(os.open, mode=FILE_MODE)) as file:
            file.write(msgspec.json.encode(tally) + b"\n")

    def _forget(self, last: str) -> None:
        """Remove the files up to `last`, which are no longer shown."""
        for path in self._folder.glob(_NAME.format(day="*")):
            if path.name <= last:
                path.unlink(missing_ok=True)


def days(folder: Path, today: date | None = None) -> list[DayLevels]:
    """Return the kept days, newest first; days on which no server ran are left out."""
    newest = today or _today()
    dates = [newest - timedelta(days=back) for back in range(DAYS)]
    read = [(day, _read(folder / _NAME.format(day=day))) for day in dates]
    return [DayLevels(day, total) for day, total in read if total is not None]


def _today() -> date:
    return datetime.now().astimezone().date()


def _read(path: Path) -> ServiceTally | None:
    """Return the sum of a file's lines; None without a file. A truncated line is skipped."""
    total = ServiceTally()
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return None
    for line in lines:
        with contextlib.suppress(msgspec.DecodeError):
            total += msgspec.json.decode(line, type=ServiceTally)
    return total
