"""Read-only status endpoints: health, readiness, metadata. They only map state to schemas."""

import time
from collections.abc import Sequence

from fastapi import FastAPI

from serving.config.model_paths import prefix_of
from serving.deployment.canary import Canary
from serving.deployment.deployment import Deployment
from serving.deployment.shadow import Shadow
from serving.http.schemas import (
    CanaryState,
    CaptureState,
    Health,
    Metadata,
    Models,
    ModelState,
    Ready,
    ShadowState,
)

MODELS = "/models"
"""Path of the list of a server's models."""


def add_status(
    app: FastAPI, deployment: Deployment, others: Sequence[Deployment] = (), prefix: str = ""
) -> None:
    """Add a deployment's read-only status endpoints; `/health` covers the others too.

    Under a prefix the same endpoints are left out of OpenAPI.
    """
    started, shown = time.monotonic(), not prefix

    @app.get(f"{prefix}/health", include_in_schema=shown)
    async def health() -> Health:
        return health_of(deployment, time.monotonic() - started, others)

    @app.get(f"{prefix}/ready", include_in_schema=shown)
    async def ready() -> Ready:
        return Ready("ready", deployment.follower.current().release)

    @app.get(f"{prefix}/metadata", include_in_schema=shown)
    async def metadata() -> Metadata:
        return metadata_of(deployment)


def add_models(app: FastAPI, deployments: Sequence[Deployment]) -> None:
    """Add the endpoint that lists the models of this server."""

    @app.get(MODELS)
    async def models() -> Models:
        return Models([model_of(one) for one in deployments])


def model_of(deployment: Deployment) -> ModelState:
    """Return the summary state of one model."""
    served, alarms = deployment.follower.served, deployment.own_alarms()
    return ModelState(
        name=deployment.name,
        path=prefix_of(deployment.name),
        alias=deployment.alias,
        model_version=served.release if served else None,
        status="degraded" if alarms else "healthy",
        reasons=alarms,
    )


def health_of(deployment: Deployment, uptime: float, others: Sequence[Deployment] = ()) -> Health:
    """Return a deployment's health; an overridden threshold is a reason without an alarm."""
    served, following = deployment.follower.served, deployment.follower.following
    counters, alarms = deployment.captured(), deployment.alarms()
    alarms += [f"{one.name}: {reason}" for one in others for reason in one.own_alarms()]
    return Health(
        status="degraded" if alarms else "healthy",
        model_loaded=served is not None,
        model_version=served.release if served else None,
        registry_version=served.version.number if served else None,
        model_source=served.source if served else None,
        alias=deployment.alias,
        alias_version=following.alias_version,
        threshold_source=served.threshold_source if served else None,
        registry_reachable=following.reachable,
        capture=CaptureState(counters.captured, counters.pending, counters.lost),
        shadow=None if deployment.shadow is None else shadow_of(deployment.shadow),
        canary=None if deployment.canary is None else canary_of(deployment.canary),
        uptime_seconds=round(uptime, 3),
        reasons=alarms + deployment.notes(),
    )


def shadow_of(shadow: Shadow) -> ShadowState:
    """Return the shadow's state; its problems are no alarm, since no response depends on it."""
    served = shadow.follower.served
    return ShadowState(
        alias=shadow.alias,
        model_version=served.release if served else None,
        registry_version=served.version.number if served else None,
        scored=shadow.scored,
        dropped=shadow.dropped,
        problem=shadow.follower.following.problem,
    )


def canary_of(canary: Canary) -> CanaryState | None:
    """Return the canary's state, None without one; its problems are no alarm of this proxy."""
    served, trial, stopped = canary.follower.served, canary.trial, canary.stop_in_force()
    if served is None and trial is None and canary.refusal is None:
        return None
    return CanaryState(
        alias=canary.alias,
        model_version=served.release if served else None,
        registry_version=served.version.number if served else None,
        share=100 * trial.share if trial else None,
        stopped=stopped[1] if stopped else None,
        problem=canary.refusal,
    )


def metadata_of(deployment: Deployment) -> Metadata:
    """Return the served version's metadata.

    Raises:
        NotReady: there is none.
    """
    served = deployment.follower.current()
    version, contract = served.version, served.version.contract
    return Metadata(
        model_name=version.name,
        model_version=served.release,
        registry_version=version.number,
        model_source=served.source,
        run_id=version.run_id,
        alias=deployment.alias,
        threshold=served.threshold,
        threshold_source=served.threshold_source,
        features=list(contract.features),
        horizon=contract.horizon,
        period_field=contract.period_field,
        year_suffixes=contract.year_suffixes,
        signature=version.signature,
        metrics=version.metrics,
        trained_at=version.trained_at,
        baseline=served.baseline,
    )
