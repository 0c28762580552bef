"""Findings of a campaign, computed from acknowledged requests, stored rows and recorded faults."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.chaos.account import Account, Acknowledged, Attempt, Fault

BROKEN = ("lost", "doubled", "mixed", "remembered", "failed", "hostile_5xx")
"""Findings that must be 0."""
_NOTICED_SECONDS = 1.0
"""Seconds after a fault in which a failure still counts as caused by it."""


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row of the store, as its readers return it."""

    request_id: str
    instance: int
    version: int
    score: float


@dataclass(frozen=True, slots=True)
class RowsFound:
    """Counts of acknowledged rows, and of rows that violate a guarantee.

    Attributes:
        lost: acknowledged, not stored.
        doubled: stored more than once, acknowledged or not.
        mixed: stored under another version or score than was answered.
        remembered: of people whose erasure was reported as done.
    """

    acknowledged: int
    lost: int
    doubled: int
    mixed: int
    remembered: int
    examples: tuple[str, ...]


def check_rows(
    acknowledged: Mapping[str, Acknowledged],
    stored: Iterable[StoredRow],
    forgotten: Mapping[int, str],
) -> RowsFound:
    """Compare acknowledged rows with stored rows.

    Args:
        acknowledged: by request id.
        stored: every row of the store.
        forgotten: state of the erasure by person: `done`, or `tried`, after which rows may or may
            not be stored.
    """
    copies: dict[tuple[str, int], list[StoredRow]] = defaultdict(list)
    for row in stored:
        copies[row.request_id, row.instance].append(row)
    wrong = [("doubled", *place) for place, rows in copies.items() if len(rows) > 1]
    number = 0
    for request, answer in acknowledged.items():
        fate = forgotten.get(answer.person)
        for instance, score in enumerate(answer.scores):
            number += 1
            rows = copies.get((request, instance), [])
            if fate == "done" and rows:
                wrong.append(("remembered", request, instance))
            elif fate is None and not rows:
                wrong.append(("lost", request, instance))
            if any((row.version, row.score) != (answer.version, score) for row in rows):
                wrong.append(("mixed", request, instance))
    count = Counter(what for what, _request, _instance in wrong)
    return RowsFound(
        acknowledged=number,
        lost=count["lost"],
        doubled=count["doubled"],
        mixed=count["mixed"],
        remembered=count["remembered"],
        examples=tuple(f"{what}: {place}/{instance}" for what, place, instance in wrong[:20]),
    )


def sort_attempts(attempts: Sequence[Attempt], faults: Sequence[Fault]) -> Counter[str]:
    """Count failed attempts by their cause.

    `no worker`: the whole server was down. `disk full`: rejected because of CAPTURE_REQUIRED=true.
    `interrupted`: the connection broke, and a worker was killed while it was open. All others:
    `failed`, also by problem.
    """
    found: Counter[str] = Counter()
    outages = [f for f in faults if f.kind == "outage"]
    full = [f for f in faults if f.kind == "disk full"]
    kills = [f for f in faults if f.kind == "kill worker"]
    for attempt in attempts:
        broken = attempt.problem.startswith("connection")
        if _overlaps(attempt.sent, attempt.ended, outages):
            found["no worker"] += 1
        elif attempt.problem == "503 capture_failed" and _overlaps(
            attempt.sent, attempt.ended, full
        ):
            found["disk full"] += 1
        elif broken and _overlaps(attempt.opened, attempt.ended, kills):
            found["interrupted"] += 1
        else:
            found["failed"] += 1
            found[f"failed: {attempt.problem}"] += 1
    return found


def _overlaps(began: float, ended: float, faults: Sequence[Fault]) -> bool:
    return any(f.began <= ended and began <= f.ended + _NOTICED_SECONDS for f in faults)


def silences(answers: Sequence[float], faults: Sequence[Fault]) -> tuple[float, float]:
    """Return the longest seconds between responses of `/health`: outside outages, and overall."""
    outages = [f for f in faults if f.kind == "outage"]
    gaps = list(itertools.pairwise(answers))
    alive = [b - a for a, b in gaps if not _overlaps(a, b, outages)]
    return max(alive, default=0.0), max((b - a for a, b in gaps), default=0.0)


def judge(account: Account, rows: RowsFound, seconds: float) -> dict[str, object]:
    """Return all findings, for the table and as JSON."""
    asked = sort_attempts(account.attempts, account.faults)
    kinds = Counter(fault.kind for fault in account.faults)
    lags = [flip.lag for flip in account.flips if flip.lag is not None]
    alive, all_silence = silences(account.health, account.faults)
    return {
        "seconds": round(seconds),
        "kills": {k.removeprefix("kill "): n for k, n in kinds.items() if k.startswith("kill ")},
        "disturbances": {k: n for k, n in kinds.items() if not k.startswith("kill ")},
        "flips": len(account.flips),
        "flips_measured": len(lags),
        "longest_flip_seconds": round(max(lags, default=0.0), 2),
        "requests": len(account.acknowledged),
        "acknowledged": rows.acknowledged,
        "lost": rows.lost,
        "doubled": rows.doubled,
        "mixed": rows.mixed + len(account.mixed),
        "remembered": rows.remembered,
        "people_forgotten": sum(fate == "done" for fate in account.forgotten.values()),
        "failed": asked["failed"],
        "attempts": dict(asked),
        "longest_silence_seconds": round(alive, 2),
        "longest_outage_seconds": round(all_silence, 2),
        "hostile": dict(account.hostile),
        "hostile_5xx": account.hostile["5xx unexpected"],
        "jobs": dict(account.jobs),
        "examples": [*rows.examples, *account.mixed[:20]],
        "notes": account.notes,
    }


def is_sound(found: Mapping[str, object]) -> bool:
    """Return whether every guarantee was kept."""
    return not any(found[key] for key in BROKEN)
