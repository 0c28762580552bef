"""Response schemas of the status endpoints."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.contract.model import Feature


@dataclass(frozen=True, slots=True)
class CaptureState:
    """Captured rows of the responding worker since it started."""

    captured: int
    pending: int
    lost: int


@dataclass(frozen=True, slots=True)
class ShadowState:
    """The shadow's version, and how many rows it scored and dropped."""

    alias: str
    model_version: str | None
    registry_version: int | None
    scored: int
    dropped: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class CanaryState:
    """The version that serves a share of the requests; `share` is in percent, null for none.

    `stopped` is why it was found worse than tolerated, `problem` why it may not serve.
    """

    alias: str
    model_version: str | None
    registry_version: int | None
    share: float | None
    stopped: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Health:
    """Response of `GET /health`, always 200; `degraded` means that an alarm is raised."""

    status: Literal["healthy", "degraded"]
    model_loaded: bool
    model_version: str | None
    registry_version: int | None
    model_source: Literal["registry", "cache"] | None
    alias: str
    alias_version: int | None
    threshold_source: Literal["env", "tag", "metadata"] | None
    registry_reachable: bool
    capture: CaptureState
    shadow: ShadowState | None
    canary: CanaryState | None
    uptime_seconds: float
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class ModelState:
    """One model of `GET /models`: the release that is served, and the alarms."""

    name: str
    path: str
    alias: str
    model_version: str | None
    status: Literal["healthy", "degraded"]
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class Models:
    """Response of `GET /models`, the first model first."""

    models: list[ModelState]


@dataclass(frozen=True, slots=True)
class Ready:
    """Response of `GET /ready` once a model is loaded; 503 before."""

    status: Literal["ready"]
    model_version: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """Response of `GET /metadata`: the served version and its origin.

    `horizon` is how many years after a row's period its target lies; `period_field` and
    `year_suffixes` are how a row may state its period.
    """

    model_name: str
    model_version: str
    registry_version: int
    model_source: Literal["registry", "cache"]
    run_id: str | None
    alias: str
    threshold: float | None
    threshold_source: Literal["env", "tag", "metadata"] | None
    features: list[Feature]
    horizon: int | None
    period_field: str | None
    year_suffixes: bool
    signature: Mapping[str, Any]
    metrics: Mapping[str, float]
    trained_at: str
    baseline: Mapping[str, Any] | None
