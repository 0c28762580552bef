"""Journals are converted in a process of its own, which is gone once that is done.

In a worker, Arrow's Parquet would take memory for good and the interpreter from requests.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from core.files.locks import owned
from core.store.places import store_place
from core.store.schema import JOURNAL_SUFFIX
from serving.errors import ConversionFailed
from serving.telemetry.logs import location

_ROOT = Path(__file__).resolve().parents[2]
_NICENESS = 10


def convert_free(journals: Path, store: Path | str) -> dict[Path, str | None]:
    """Convert every journal that nobody holds; return why each of them could not be, or None.

    Where there is none, no process is started.

    Raises:
        ConversionFailed: the process ended before it was done; what is left can be tried again.
        OSError: it cannot be started.
    """
    journals = journals.absolute()
    if not any(_is_free(path) for path in journals.glob(f"*{JOURNAL_SUFFIX}")):
        return {}
    place = store.absolute() if isinstance(store, Path) else store
    done = subprocess.run(
        [sys.executable, "-m", "serving.capture.conversion", str(journals), str(place)],
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # A traceback may hold captured values.
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise ConversionFailed(done.returncode)
    return {journals / name: error for name, error in map(json.loads, done.stdout.splitlines())}


def _is_free(path: Path) -> bool:
    with owned(path) as mine:
        return mine


def main() -> int:
    """Convert, and write the name of each journal and what went wrong as a line of JSON."""
    # What ends a server may reach its whole group, and a worker waits for its last conversion.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICENESS)
    from core.store.errors import StoreError
    from core.store.filesystem import Store
    from serving.capture.parquet import collect

    for path, error in collect(Store(store_place(sys.argv[2]), Path(sys.argv[1]))):
        text = str(error) if isinstance(error, StoreError) else error and location(error)
        sys.stdout.write(f"{json.dumps([path.name, text])}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
