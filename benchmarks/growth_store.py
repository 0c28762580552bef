"""Cost of commands that read a whole store, by its size: compaction, and erasure of a person.

Files are hard links to two files of a few rows; every hundredth holds a row of the person.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.commands import Cost, cost, say
from benchmarks.drift_store import write_store
from core.contract.pseudonym import pseudonym
from core.store.schema import PARQUET_SUFFIX, file_stem

FILES_A_DAY, ROWS_A_FILE = 100, 20
DAYS = (30, 90, 180, 365)
SMALL_FILES = (1_000, 10_000, 50_000)
PERSON, KEY = "RA-1", "growth"
_PEOPLE = 500
_PERSONS_SHARE = 100


@dataclass(frozen=True, slots=True)
class Linear:
    """Costs of a command by the number of files that it reads."""

    command: str
    unit: str
    costs: Mapping[int, Cost]
    files: Mapping[int, int]

    def line(self) -> str:
        """Return its row of the table."""
        first, last = min(self.costs), max(self.costs)
        cells = [
            f"{n:,} {self.unit}: {one.seconds:.1f} s, {one.peak:.0f} MB"
            for n, one in self.costs.items()
        ]
        more = self.costs[last].seconds - self.costs[first].seconds
        slope = 1000 * more / (self.files[last] - self.files[first])
        return f"| {self.command} | {'; '.join(cells)} | {slope:.2f} ms |"


def measure(folder: Path, days: Sequence[int], small: Sequence[int]) -> Iterator[Linear]:
    """Time compaction and erasure in stores of several sizes; remove each store afterwards."""
    source = Source(folder / "source")
    compacting, loose, compacted = {}, {}, {}
    for count in days:
        say(f"{count} days")
        store = source.store(folder / "days", count * FILES_A_DAY, count)
        compacting[count] = cost(_compaction(store))
        cost([*_compaction(store), "--keep_minutes", "0"])
        compacted[count] = _forgetting(store)
        shutil.rmtree(store)
        store = source.store(folder / "days", count * FILES_A_DAY, count)
        loose[count] = _forgetting(store)
        shutil.rmtree(store)
    of_a_day = {}
    for count in small:
        say(f"{count} files of a day")
        store = source.store(folder / "day-of-many", count, 1)
        of_a_day[count] = cost(_compaction(store))
        shutil.rmtree(store)
    files = {count: count * FILES_A_DAY for count in days}
    forget = "`retention --forget ... --apply`"
    yield Linear("`compact`", "files of one day", of_a_day, {n: n for n in small})
    yield Linear("`compact`", f"days of {FILES_A_DAY} files", compacting, files)
    yield Linear(forget, f"days of {FILES_A_DAY} files", loose, files)
    yield Linear(forget, "days of one file", compacted, {n: n for n in days})


def _compaction(store: Path) -> list[str]:
    return ["monitoring.compact", "--inference_store", str(store)]


def _forgetting(store: Path) -> Cost:
    where = ["--apply", "--inference_store", str(store)]
    return cost(["monitoring.retention", "--forget", PERSON, *where], PSEUDONYM_KEY=KEY)


class Source:
    """Two Parquet files of a few rows to link to, one with a row of the person."""

    def __init__(self, folder: Path) -> None:
        """Write the files."""
        self._folder = folder
        write_store(folder, ROWS_A_FILE, _PEOPLE)
        (self._others,) = folder.glob(f"*{PARQUET_SUFFIX}")
        table = pq.read_table(self._others)
        place = table.schema.get_field_index("entity")
        entities = [pseudonym(PERSON, KEY), *table["entity"].to_pylist()[1:]]
        self._persons = folder / "person"
        pq.write_table(table.set_column(place, "entity", pa.array(entities)), self._persons)

    def store(self, folder: Path, files: int, days: int) -> Path:
        """Return a store of `files` files, evenly distributed over `days` past days."""
        folder.mkdir()
        newest = datetime.now(UTC).replace(hour=1, minute=0) - timedelta(days=1)
        a_day = -(-files // days)
        for number in range(files):
            day, place = divmod(number, a_day)
            opened = newest - timedelta(days=day) + timedelta(hours=20) * (place / a_day)
            stem = file_stem(opened, str(number), 1)
            template = self._persons if number % _PERSONS_SHARE == 0 else self._others
            (folder / f"{stem}{PARQUET_SUFFIX}").hardlink_to(template)
        return folder
