"""Captured rows of a window, version by version, answered again on this machine."""

from collections.abc import Iterator

import pyarrow as pa

from core.captured.reader import Captures
from core.store.filesystem import Store
from monitoring.performance.matching import numbers_of
from monitoring.replay.replaying import CAPTURED, KEYS, Replay, gathered
from monitoring.tracking.jobs import JobRegistry, MonitoredVersion
from monitoring.tracking.window import Window

COLUMNS = (*KEYS, CAPTURED[1])
"""What is read of the store besides features and score."""


class Answered:
    """What versions answered in a window, each read with the features of its own contract.

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
        """Look for the versions with rows in the window, or take `only` one.

        Raises:
            StoreError: there is no such store.
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
        """Return what was read, for what could not be."""
        return [captures for _version, captures in self.parts]

    def replayed(self, replay: Replay) -> Iterator[pa.RecordBatch]:
        """Yield both answers to the latest row of each entity, of each version.

        Raises:
            ScoringError: a model does not answer.
            StoreChanged, StoreUnreachable: the store cannot be read.
        """
        for version, captures in self.parts:
            sent = version.contract.feature_columns
            for batch in gathered(captures.batches(COLUMNS)):
                yield replay.rows(batch, sent)
