"""Counts of scored and flagged rows of the current period, from the inference store.

Counted in a child process, since Arrow would retain memory in the worker. The period is the newest
that a row states; where none does, the rows of the last year count.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from core.errors import ProjectError
from core.messages import N_, decimal
from core.store.places import store_place
from serving.deployment.deployment import Deployment

_ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 120
_DAYS = 365
_COLUMNS = ("entity", "timestamp", "label", "period")


class CountFailed(ProjectError):
    """The store could not be read."""

    code = "count_failed"
    message = N_("what was scored this period could not be counted")


@dataclass(frozen=True, slots=True)
class Count:
    """Numbers of scored and of flagged rows; `group` is a value of the grouping input."""

    scored: int
    flagged: int
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """The served version's counts.

    `period` is a year, or None where rows state none; `by` is the grouping input as its contract
    calls it, None without one; `entity` is the field that identifies a row's person, None where
    identities are not captured.
    """

    period: int | None
    total: Count
    groups: tuple[Count, ...] = ()
    by: str | None = None
    entity: str | None = None


def counted(deployment: Deployment) -> Counts | None:
    """Return the counts of the served version; None without one.

    Raises:
        CountFailed: the store cannot be read.
    """
    served, settings = deployment.follower.served, deployment.settings
    if served is None:
        return None
    contract = served.version.contract
    inputs = {feature.name: feature for feature in contract.features}
    group = inputs.get(settings.panel_group)
    asked = {
        "store": str(settings.inference_store),
        "journals": str(settings.journal_dir),
        "model": served.version.name,
        "number": served.version.number,
        "group": {group.column: group.type} if group else {},
        # The label of a model without a threshold is a class, not a flag.
        "flags": not contract.outputs,
    }
    command = [sys.executable, "-m", "serving.panel.counts", json.dumps(asked)]
    try:
        done = subprocess.run(
            command, cwd=_ROOT, capture_output=True, check=True, timeout=_SECONDS, text=True
        )
    except (subprocess.SubprocessError, OSError) as exc:
        raise CountFailed from exc
    found = json.loads(done.stdout)
    total, *groups = (Count(**count) for count in found["counts"])
    by = group.called if group else None
    # Without a key no identity is captured, so persons cannot be told apart.
    entity = contract.entity if settings.pseudonym_key else None
    return Counts(found["period"], total, tuple(groups), by, entity)


def main() -> int:
    """Count by the JSON request in the arguments, and write the result as JSON."""
    os.nice(10)
    asked = json.loads(sys.argv[1])
    sys.stdout.write(json.dumps(count(asked)))
    return 0


def count(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the period and the counts, the total first; the latest row of each entity counts."""
    import pandas as pd

    frames = [batch.to_pandas() for batch in _batches(asked)]
    if not frames:
        return {"period": None, "counts": [{"scored": 0, "flagged": 0}]}
    rows = pd.concat(frames)
    period = None if rows["period"].isna().all() else int(rows["period"].max())
    if period is not None:
        rows = rows[rows["period"] == period]
    known = rows["entity"].notna()
    latest = rows[known].sort_values("timestamp").drop_duplicates("entity", keep="last")
    rows = pd.concat([latest, rows[~known]])
    if not asked["flags"]:
        rows["label"] = 0
    counts = [_count(rows, None)]
    for name in asked["group"]:
        counts += [_count(part, value) for value, part in rows.groupby(name, dropna=False)]
    return {"period": period, "counts": counts}


def _count(rows: Any, value: Any) -> dict[str, Any]:
    shown = decimal(value) if isinstance(value, float) else value
    if value != value:
        shown = None
    return {"scored": len(rows), "flagged": int((rows["label"] == 1).sum()), "group": shown}


def _batches(asked: dict[str, Any]) -> Iterator[Any]:
    """Yield the needed columns of the version's rows, from requests and lists, of the last year."""
    from core.captured.reader import Captures
    from core.captured.selection import Selection
    from core.store.filesystem import Store

    store = Store(store_place(asked["store"]), Path(asked["journals"]))
    end = datetime.now(UTC)
    selection = Selection(asked["model"], asked["number"], end - timedelta(days=_DAYS), end)
    captures = Captures(store, selection, asked["group"])
    yield from captures.rows([*asked["group"], *_COLUMNS])


if __name__ == "__main__":
    sys.exit(main())
