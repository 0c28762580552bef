"""Header of every report: version, window, and links to MLflow."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class About:
    """The version, the window (no start: unbounded), and the URLs in MLflow.

    `missing` describes the files of the store that could not be read; their rows are not counted.
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
        """Return the URL of the experiment's runs, each metric charted over them."""
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
