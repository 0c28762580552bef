"""The routes that look: health, readiness, metadata. They translate; they decide nothing."""

import time

from fastapi import APIRouter

from serving.capture.recorder import Capture
from serving.deployment.shadow import Shadow
from serving.following.follower import Follower
from serving.following.threshold import override_text
from serving.http.schemas import CaptureState, FeatureState, Health, Metadata, Ready, ShadowState


def build_router(
    follower: Follower, capture: Capture, alias: str, shadow: Shadow | None
) -> APIRouter:
    """Return the routes over the given parts."""
    router = APIRouter()
    started = time.monotonic()

    @router.get("/health", summary="Estado do serviço; sempre 200")
    async def health() -> Health:
        uptime = time.monotonic() - started
        return health_of(follower, capture, alias, uptime, shadow)

    @router.get("/ready", summary="200 com um modelo carregado, 503 antes")
    async def ready() -> Ready:
        return Ready("ready", follower.current().release)

    @router.get("/metadata", summary="A versão servida: contrato, métricas, origem")
    async def metadata() -> Metadata:
        return metadata_of(follower, alias)

    return router


def health_of(
    follower: Follower, capture: Capture, alias: str, uptime: float, shadow: Shadow | None
) -> Health:
    """Put together what is known; only an override of the threshold is said without alarm."""
    served, following, counters = follower.served, follower.following, capture.counters()
    alarms = [following.problem] if following.problem else []
    if served is not None and served.warning:
        alarms.append(served.warning)
    alarms += capture.problems()
    notes = []
    if served is not None and served.threshold is not None and served.threshold_source == "env":
        notes.append(override_text(served.threshold))
    return Health(
        status="degraded" if alarms else "healthy",
        model_loaded=served is not None,
        model_version=served.release if served else None,
        registry_version=served.version.number if served else None,
        model_source=served.source if served else None,
        alias=alias,
        alias_version=following.alias_version,
        threshold_source=served.threshold_source if served else None,
        registry_reachable=following.reachable,
        capture=CaptureState(counters.captured, counters.pending, counters.lost),
        shadow=None if shadow is None else shadow_of(shadow),
        uptime_seconds=round(uptime, 3),
        reasons=alarms + notes,
    )


def shadow_of(shadow: Shadow) -> ShadowState:
    """Say how the shadow does; its problems are no alarm, since no answer depends on it."""
    served = shadow.follower.served
    return ShadowState(
        alias=shadow.alias,
        model_version=served.release if served else None,
        registry_version=served.version.number if served else None,
        scored=shadow.scored,
        dropped=shadow.dropped,
        problem=shadow.follower.following.problem,
    )


def metadata_of(follower: Follower, alias: str) -> Metadata:
    """Describe the served version.

    Raises:
        NotReady: there is none.
    """
    served = follower.current()
    version = served.version
    features = [
        FeatureState(f.name, f.type, f.unit, f.min, f.max, f.nullable, f.description)
        for f in version.contract.features
    ]
    return Metadata(
        model_name=version.name,
        model_version=served.release,
        registry_version=version.number,
        model_source=served.source,
        run_id=version.run_id,
        alias=alias,
        threshold=served.threshold,
        threshold_source=served.threshold_source,
        features=features,
        signature=version.signature,
        metrics=version.metrics,
        trained_at=version.trained_at,
        baseline=served.baseline,
    )
