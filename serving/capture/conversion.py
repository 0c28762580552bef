"""Conversion of journals to Parquet in a child process, which exits when it is done.

In a worker, Arrow's Parquet would hold memory for good and the interpreter lock during requests.
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
"""Longest time that the conversion of one journal may take, including the process's start."""


def convert_free(
    journals: Path,
    store: Path | str,
    alive: Callable[[float], None] = lambda _seconds: None,
    patience: float = CONVERSION_SECONDS,
) -> dict[Path, str | None]:
    """Convert every journal that no process holds; return each one's error message, or None.

    Without such a journal no process is started. One journal may take `patience` seconds; `alive`
    is called at each heartbeat, with the seconds until the next one is due.

    Raises:
        ConversionFailed: the process exited with an error; the other journals can be retried.
        ConversionHung: it was killed after too long without output; the others can be retried.
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
    """Import hook that hides pandas, whose import by Arrow takes longer than a conversion."""

    def find_spec(self, fullname: str, *_where: object) -> None:
        """Raise ModuleNotFoundError for pandas; leave other modules to the next finder."""
        if fullname == "pandas":
            raise ModuleNotFoundError(name=fullname)


def main() -> int:
    """Convert; write the name of each journal and its error message, or null, as a line of JSON."""
    # A signal that ends a server may reach its process group; a worker waits for this conversion.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # The child of a killed worker ends, since it may hang; another process converts the rest.
    stand_back(signal.SIGKILL)
    sys.meta_path.insert(0, _WithoutPandas())
    from core.store.errors import StoreError
    from core.store.filesystem import Store
    from serving.capture.parquet import collect

    for path, error in collect(Store(store_place(sys.argv[2]), Path(sys.argv[1]))):
        text = str(error) if isinstance(error, StoreError) else error and location(error)
        sys.stdout.write(f"{json.dumps([path.name, text])}\n")
        # Each line is a heartbeat.
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
