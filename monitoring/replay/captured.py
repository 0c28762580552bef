"""Local replay of a window's captured rows, version by version."""

from collections.abc import Iterator

import pyarrow as pa

from core.captured.reader import Captures
from core.store.filesystem import Store
from monitoring.performance.matching import numbers_of
from monitoring.replay.replaying import CAPTURED, KEYS, Replay, gathered
from monitoring.tracking.jobs import JobRegistry, MonitoredVersion
from monitoring.tracking.window import Window

COLUMNS = (*KEYS, CAPTURED[1])
"""Columns read from the store besides features and score."""


class Answered:
    """Captured rows of a window by version, each read with the features of its own contract.

    Attributes:
        parts: each version with its rows.
        unknown: numbers of versions with rows that the registry no longer has.
    """

    def __init__(
        self,
        registry: JobRegistry,
        window: Window,
        store: Store,
        model_name: str,
        only: MonitoredVersion | None = None,
    ) -> None:
        """Find the versions with rows in the window, or use `only` this one.

        Raises:
            StoreError: the store does not exist.
        """
        column = ["registry_version"]
        numbers = [] if only else numbers_of(window.answers(store, model_name).rows(column))
        registered, self.unknown = registry.registered(numbers)
        versions = [only] if only else registered
        self.parts = [(one, window.captures(store, one)) for one in versions]

    @property
    def n_instances(self) -> int:
        """Return how many rows were read."""
        return sum(captures.n_instances for _version, captures in self.parts)

    @property
    def captures(self) -> list[Captures]:
        """Return the captures of each version, which list the quarantined files."""
        return [captures for _version, captures in self.parts]

    def replayed(self, replay: Replay) -> Iterator[pa.RecordBatch]:
        """Yield both predictions for the latest row of each entity, version by version.

        Raises:
            ScoringError: a model fails.
            StoreChanged, StoreUnreachable: the store cannot be read.
        """
        for version, captures in self.parts:
            sent = version.contract.feature_columns
            for batch in gathered(captures.batches(COLUMNS)):
                yield replay.rows(batch, sent)
