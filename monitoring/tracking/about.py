"""What every report says of itself: whose it is, of which window, and where to read on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class About:
    """The version, the window (no start: all there is), and the addresses in MLflow.

    `missing` says in words which files of the store could not be read; their rows are not counted.
    """

    model_name: str
    model_version: str
    registry_version: int
    window_start: datetime | None
    window_end: datetime
    run_id: str
    run_url: str
    version_url: str
    missing: tuple[str, ...] = ()

    @property
    def charts_url(self) -> str:
        """Return the address of all runs of the run's experiment, each metric drawn over time."""
        return f"{self.run_url.rsplit('/runs/', 1)[0]}/runs?compareRunsMode=CHART"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, fit for JSON."""
        start = self.window_start
        return {
            "model_name": self.model_name,
            "model_version": self.model_version,
            "registry_version": self.registry_version,
            "window_start": start.isoformat(timespec="seconds") if start else None,
            "window_end": self.window_end.isoformat(timespec="seconds"),
            "mlflow_run_id": self.run_id,
            "mlflow_run_url": self.run_url,
            "missing": list(self.missing),
        }
