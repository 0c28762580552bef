"""The time window of a report."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.captured.reader import Captures
from core.captured.selection import Selection
from core.messages import N_
from core.store.errors import StoreError
from core.store.filesystem import Store
from core.store.schema import ROLE_PRIMARY
from monitoring.tracking.jobs import MonitoredVersion

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """The last `days` days up to `end`; None: no lower limit."""

    days: float | None
    end: datetime

    @classmethod
    def of(cls, days: float | None) -> "Window":
        """Return the window that ends now."""
        return cls(days, datetime.now(UTC))

    @property
    def start(self) -> datetime | None:
        """Return the start; None without a limit."""
        return None if self.days is None else self.end - timedelta(days=self.days)

    def captures(
        self,
        store: Store,
        version: MonitoredVersion,
        role: str = ROLE_PRIMARY,
        *,
        features: bool = True,
        classes: int = 0,
    ) -> Captures:
        """Return a version's captured rows in the window, with its features or without.

        `classes` is the number of classes whose probabilities can be read as well.

        Raises:
            StoreError: the store does not exist.
        """
        columns = {f.column: f.type for f in version.contract.features} if features else {}
        selection = self._selection(store, version.name, version.number, role)
        return Captures(store, selection, columns, classes)

    def answers(self, store: Store, model_name: str) -> Captures:
        """Return the captured rows of all versions of a model in the window, without features.

        Raises:
            StoreError: the store does not exist.
        """
        return Captures(store, self._selection(store, model_name), {})

    def _selection(
        self, store: Store, model: str, number: int | None = None, role: str = ROLE_PRIMARY
    ) -> Selection:
        if not store.exists():
            raise StoreError(N_("{store} does not exist; check --inference_store."), store=store)
        return Selection(model, number, self.start or _BEGINNING, self.end, role)

    def params(self) -> dict[str, str]:
        """Return the run's parameters that describe the window."""
        return {
            "last_n_days": "" if self.days is None else f"{self.days:g}",
            "window_start": self.start.isoformat(timespec="seconds") if self.start else "",
            "window_end": self.end.isoformat(timespec="seconds"),
        }
