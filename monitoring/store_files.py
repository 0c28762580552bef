"""Which files of the inference store count now: a compacted one stands for those it replaces."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mlflow_project.contract.store import PARQUET_SUFFIX, is_compacted, replaced_stems
from monitoring.errors import CaptureError


@dataclass(frozen=True, slots=True)
class StoreFiles:
    """One look at a store's Parquet files.

    Attributes:
        live: the files that hold each converted row once, in order of time.
        replaced: by stem, the compacted file that stands for it; no row of such a stem counts,
            wherever it is found.
    """

    live: tuple[Path, ...]
    replaced: dict[str, Path]

    @property
    def stems(self) -> frozenset[str]:
        """Return every stem whose rows are in a live file: its own or a compacted one."""
        return frozenset(path.stem for path in self.live) | frozenset(self.replaced)


def list_store(store: Path) -> StoreFiles:
    """Look at the store's folder once.

    Raises:
        CaptureError: a compacted file's footer cannot be read; names it.
    """
    paths = sorted(path for path in store.glob(f"*{PARQUET_SUFFIX}") if path.name[0] != ".")
    replaced = _replaced(path for path in paths if is_compacted(path.stem))
    return StoreFiles(tuple(path for path in paths if path.stem not in replaced), replaced)


def _replaced(compacted: Iterable[Path]) -> dict[str, Path]:
    """Map replaced stems to the live file that speaks for them, which may be a compacted one's."""
    spoken_for: dict[Path, frozenset[str]] = {}
    for path in compacted:
        try:
            spoken_for[path] = replaced_stems(pq.read_metadata(path).metadata or {})
        except FileNotFoundError:
            continue  # A later compaction has replaced and removed it.
        except (pa.ArrowException, OSError, ValueError) as exc:
            raise CaptureError(path, "Parquet inválido") from exc
    gone = frozenset().union(*spoken_for.values())
    # A file that replaces a compacted one lists what that one listed, so live ones come last.
    ordered = sorted(spoken_for, key=lambda path: path.stem not in gone)
    return {stem: path for path in ordered for stem in spoken_for[path]}
