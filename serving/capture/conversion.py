"""Journals are converted in a process of its own, which is gone once that is done.

In a worker, Arrow's Parquet would take memory for good and the interpreter from requests.
"""

import json
import signal
import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from pathlib import Path

from core.files.locks import owned
from core.store.places import store_place
from core.store.schema import JOURNAL_SUFFIX
from serving.capture.child import Child, stand_back
from serving.errors import ConversionFailed, ConversionHung
from serving.telemetry.logs import location

CONVERSION_SECONDS = 60.0
"""Longest time that the conversion of one journal may take, the start of the process included."""


def convert_free(
    journals: Path,
    store: Path | str,
    alive: Callable[[float], None] = lambda _seconds: None,
    patience: float = CONVERSION_SECONDS,
) -> dict[Path, str | None]:
    """Convert every journal that nobody holds; return why each of them could not be, or None.

    Where there is none, no process is started. One journal may take `patience` seconds; `alive` is
    called at each sign of life, with the seconds until the next one is due.

    Raises:
        ConversionFailed: the process ended before it was done; what is left can be tried again.
        ConversionHung: it was ended, since it stood still; what is left can be tried again.
        OSError: it cannot be started.
    """
    journals = journals.absolute()
    if not any(_is_free(path) for path in journals.glob(f"*{JOURNAL_SUFFIX}")):
        return {}
    place = store.absolute() if isinstance(store, Path) else store
    child = Child(
        "serving.capture.conversion", (str(journals), str(place)), ConversionFailed, ConversionHung
    )
    said = child.said(alive, patience)
    return {journals / name: error for name, error in map(json.loads, said.splitlines())}


def _is_free(path: Path) -> bool:
    with owned(path) as mine:
        return mine


class _WithoutPandas(MetaPathFinder):
    """Finds no pandas: Arrow imports it with its first value, which takes longer than a journal."""

    def find_spec(self, fullname: str, *_where: object) -> None:
        """Leave every other module to the next finder."""
        if fullname == "pandas":
            raise ModuleNotFoundError(name=fullname)


def main() -> int:
    """Convert, and write the name of each journal and what went wrong as a line of JSON."""
    # What ends a server may reach its whole group, and a worker waits for its last conversion.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # A worker that was killed needs no child that may hang; whoever comes next converts.
    stand_back(signal.SIGKILL)
    sys.meta_path.insert(0, _WithoutPandas())
    from core.store.errors import StoreError
    from core.store.filesystem import Store
    from serving.capture.parquet import collect

    for path, error in collect(Store(store_place(sys.argv[2]), Path(sys.argv[1]))):
        text = str(error) if isinstance(error, StoreError) else error and location(error)
        sys.stdout.write(f"{json.dumps([path.name, text])}\n")
        # Each line is a sign of life.
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
