"""The jobs' access to the registered model: versions, baselines, training artifacts, job runs."""

import json
import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from core.contract import names
from core.contract.model import ModelContract
from core.files.scratch import scratch_folder
from core.metrics.classification import Rows, metrics
from core.mlflow_client.errors import RegistryError
from core.registry.evidence import fetch_evidence, training_record
from core.registry.packages import classes_of, download, load_model, read_contract
from core.registry.runs import OpenRun, fetch, open_run
from core.registry.versions import Registry, Version, open_registry
from monitoring.drift.baseline import Baseline
from monitoring.tracking.errors import NoBaselineError, ScoringError
from monitoring.tracking.escalation import Escalation, escalate
from monitoring.tracking.scorer import VersionScorer

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MonitoredVersion(Version):
    """A registered version with its contract, and its last verdicts from its tags.

    `served`: whether it is the champion; `reversible`: whether it is one with a previous champion.
    """

    contract: ModelContract = field(kw_only=True)
    served: bool = field(kw_only=True)
    reversible: bool = field(kw_only=True)

    @property
    def drift_status(self) -> str | None:
        """Return the verdict of the last drift report; None before any."""
        return self.tags.get(names.TAG_DRIFT_STATUS)

    @property
    def performance_status(self) -> str | None:
        """Return the verdict of the last performance report; None before any."""
        return self.tags.get(names.TAG_PERFORMANCE_STATUS)

    def escalation(self, *, drift: str | None = None, performance: str | None = None) -> Escalation:
        """Return the escalation for its last verdicts; an argument overrides the tag's verdict."""
        return escalate(
            drift or self.drift_status,
            performance or self.performance_status,
            release=self.release,
            served=self.served,
            reversible=self.reversible,
        )


class JobRegistry:
    """The registered model of the environment, and the experiment of its monitoring runs."""

    def __init__(self) -> None:
        """Connect to the server that the environment names.

        Raises:
            RegistryError: the environment names no server, or it is unreachable.
        """
        self._registry: Registry = open_registry()
        self.version_url = self._registry.version_url
        self.set_tag = self._registry.set_tag
        self._classes: dict[int, tuple[str, ...]] = {}

    def version(self, release: str | None = None, alias: str = names.CHAMPION) -> MonitoredVersion:
        """Return the version of a release, or that of an alias.

        Raises:
            UnknownVersion, ModelMissing, AliasMissing: there is none.
            UnreadableContract: its contract cannot be read.
        """
        registry = self._registry
        return self._monitored(
            registry.by_release(release) if release else registry.at_alias(alias)
        )

    def registered(self, numbers: Iterable[int]) -> tuple[list[MonitoredVersion], list[int]]:
        """Return the versions with these MLflow numbers, and the numbers without a version.

        Raises:
            UnreadableContract: a version's contract cannot be read.
        """
        found = {number: self._registry.find(number) for number in numbers}
        known = [self._monitored(one) for one in found.values() if one]
        return known, [number for number, one in found.items() if not one]

    def _monitored(self, found: Version) -> MonitoredVersion:
        registry = self._registry
        contract = read_contract(registry, found)
        aliases = registry.aliases()
        facts = {**asdict(found), "aliases": found.aliases}
        if names.TAG_RELEASE not in found.tags:
            facts["release"] = contract.release
        served = aliases.get(names.CHAMPION) == found.number
        reversible = served and names.PREVIOUS in aliases
        return MonitoredVersion(**facts, contract=contract, served=served, reversible=reversible)

    def reference(self, version: MonitoredVersion) -> pa.Table | None:
        """Return the version's training reference, or None if it has none (any more)."""
        return self._kept(
            version, names.ARTIFACT_REFERENCE, lambda path: pq.read_table(path, memory_map=False)
        )

    def baseline(self, version: MonitoredVersion) -> Baseline:
        """Return the version's baseline.

        Raises:
            NoBaselineError: it was never built, or its run is gone; names the command.
        """
        run_id = version.tags.get(names.TAG_BASELINE_RUN_ID)
        if run_id is None:
            raise NoBaselineError(version=version.release)
        with scratch_folder() as folder:
            path = fetch(self._registry, run_id, names.ARTIFACT_BASELINE, folder)
            if path is None:
                gone = NoBaselineError.gone
                raise NoBaselineError(gone, version=version.release, run_id=run_id)
            return Baseline.from_json(path.read_bytes())

    def test_metrics(self, version: MonitoredVersion) -> dict[str, float]:
        """Return the version's test metrics from training, by name without the prefix `test_`.

        If its run and logged model no longer have them, they are recomputed from the test rows.
        """
        found = training_record(self._registry, version).metrics
        logged = {k.removeprefix("test_"): v for k, v in found.items() if k.startswith("test_")}
        if logged:
            return logged
        rows = self.test_rows(version)
        again = metrics(*rows) if rows else {}
        return {name: value for name, value in again.items() if math.isfinite(value)}

    def test_rows(self, version: MonitoredVersion) -> Rows | None:
        """Return outcome, score and flag of the version's test rows, or None without any."""

        def read(path: Path) -> Rows:
            rows = pq.read_table(path, columns=["target", "score", "flagged"], memory_map=False)
            return rows["target"].to_numpy(), rows["score"].to_numpy(), rows["flagged"].to_numpy()

        return self._kept(version, names.ARTIFACT_EVALUATION, read)

    def year_change_errors(self, version: MonitoredVersion) -> dict[str, float]:
        """Return the errors of the expected performance at the last change of period, by metric."""
        return self._kept(version, names.ARTIFACT_YEAR_CHANGE, _read_json) or {}

    def _kept(
        self, version: MonitoredVersion, artifact: str, read: Callable[[Path], T]
    ) -> T | None:
        """Return a training artifact parsed by `read`, or None if there is none."""
        with scratch_folder() as folder:
            path = fetch_evidence(self._registry, version, artifact, folder)
            return read(path) if path else None

    def scorer(self, version: MonitoredVersion) -> VersionScorer:
        """Load the version's model and return its scorer.

        Raises:
            ScoringError: the model does not load.
        """
        try:
            model = load_model(self._registry, version)
        except RegistryError:
            raise
        except Exception as exc:
            # Loading runs code of the version, which may raise anything.
            raise ScoringError(version=version.release, kind=type(exc).__name__) from exc
        contract = version.contract
        return VersionScorer(model, contract, version.release, version.threshold(contract))

    def download(self, version: MonitoredVersion, folder: Path) -> Path:
        """Download a version's files into a folder; return their path.

        Raises:
            RegistryError: the download failed.
        """
        return download(self._registry, version.number, folder).folder

    def classes(self, version: MonitoredVersion) -> tuple[str, ...]:
        """Return the class names of the version's estimator, in its order; empty if it has none.

        Cached: this object loads a version's model for them only once.
        """
        if version.number not in self._classes:
            self._classes[version.number] = classes_of(load_model(self._registry, version))
        return self._classes[version.number]

    def run(
        self, version: MonitoredVersion | None, job: str, name: str
    ) -> AbstractContextManager[OpenRun]:
        """Open a job's MLflow run, tagged with the version if given; FAILED if the block raises."""
        tags = {names.TAG_JOB: job}
        if version is not None:
            tags |= {
                names.TAG_RELEASE: version.release,
                names.TAG_REGISTRY_VERSION: str(version.number),
            }
        experiment = names.monitoring_experiment(self._registry.name)
        return open_run(self._registry, experiment, name, tags)


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
