"""Scoring of a sheet, slice by slice, captured with the role `batch`."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from core.messages import _
from core.sheets import Result, ScoredSheet, Sheet, Unscored
from serving.deployment.deployment import Deployment
from serving.engine.context import RequestContext
from serving.engine.job import Job
from serving.errors import InvalidInstances
from serving.following.served import ServedModel
from serving.protocol.instances import Instances

SLICE_ROWS = 200
"""Rows per call: more than are scored on the event loop, few enough to show progress."""


def accepted(sheet: Sheet, model: ServedModel) -> tuple[Sheet, Instances]:
    """Return the sheet's rows that fit the contract, and their instances; others are unscored."""
    kept, read = [], list[Instances]()
    unscored = list(sheet.unscored)
    for row, labels in zip(sheet.rows, sheet.labels, strict=True):
        try:
            one = model.version.validator.read_instances([row], sheet.year)
        except InvalidInstances as exc:
            unscored.append(Unscored(labels, _reasons(exc)))
        else:
            kept.append((row, labels))
            read.append(one)
    rows, entities = [one.rows[0] for one in read], [one.entities[0] for one in read]
    periods = [one.periods[0] if one.periods else None for one in read]
    years = {period for period in periods if period is not None}
    fitting = replace(
        sheet,
        year=sheet.year or (min(years) if len(years) == 1 else None),
        rows=[row for row, _labels in kept],
        labels=[labels for _row, labels in kept],
        unscored=unscored,
    )
    return fitting, Instances(rows, entities, periods=periods)


def _reasons(exc: InvalidInstances) -> str:
    return "; ".join(
        _("{field} {problem} ({allowed})", **{**detail, "field": detail["field"] or ""})
        for detail in exc.details
    )


async def score_slices(
    deployment: Deployment, model: ServedModel, instances: Instances, run: str
) -> AsyncIterator[Sequence[Result]]:
    """Yield the results of each slice; each has its own request id under the list `run`.

    Raises:
        ScoringFailed: the model raised on these rows.
        CaptureFailed: the scores could not be captured, and `CAPTURE_REQUIRED` is set.
    """
    for number, start in enumerate(range(0, len(instances.rows), SLICE_ROWS)):
        part = slice(start, start + SLICE_ROWS)
        periods = instances.periods[part] if instances.periods else None
        rows = Instances(instances.rows[part], instances.entities[part], periods=periods)
        job = Job(model, rows, RequestContext(f"list-{run}-{number:04d}".encode()))
        await deployment.batch.score(job)
        effects = await deployment.batch.explain(job)
        yield [
            Result(score or 0.0, label or 0, explanation)
            for score, label, explanation in zip(job.scores, job.labels, effects, strict=True)
        ]


def finished(sheet: Sheet, model: ServedModel, results: Sequence[Result]) -> ScoredSheet:
    """Return a sheet with its results and the served version's name, release and threshold."""
    return ScoredSheet(
        sheet,
        results,
        model_name=model.version.name,
        release=model.release,
        threshold=model.threshold or 0.0,
        when=datetime.now(UTC),
    )


def summary(scored: ScoredSheet) -> dict[str, Any]:
    """Return a list's summary for the page: counts, problems by sheet and column; no rows."""
    sheet = scored.sheet
    reasons = Counter(left.reason for left in sheet.unscored)
    return {
        "year": sheet.year,
        "read": len(sheet.rows) + len(sheet.unscored),
        "scored": len(scored.results),
        "flagged": scored.flagged,
        "model_version": scored.release,
        "threshold": scored.threshold,
        "unscored": [{"reason": reason, "count": count} for reason, count in reasons.items()],
        "problems": [asdict(problem) for problem in sheet.problems],
    }
