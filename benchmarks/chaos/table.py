"""The table at the end of a campaign."""

from collections.abc import Mapping
from typing import Any


def table(found: Mapping[str, Any]) -> str:
    """Return the findings in Markdown."""
    attempts = found["attempts"]
    kills = found["kills"]
    rows = [
        ("duration; seed", f"{found['seconds'] / 60:.1f} min; {found['seed']}"),
        ("kills", f"{sum(kills.values()):,}: {_listed(kills)}"),
        ("other faults", _listed(found["disturbances"])),
        ("flips", f"{found['flips']:,}"),
        ("acknowledged requests; rows", f"{found['requests']:,}; {found['acknowledged']:,}"),
        ("**lost rows**", f"**{found['lost']}**"),
        ("**doubled rows**", f"**{found['doubled']}**"),
        ("**mixed answers**", f"**{found['mixed']}**"),
        ("**failed requests**", f"**{found['failed']}**"),
        (
            "people forgotten; rows of theirs left",
            f"{found['people_forgotten']}; {found['remembered']}",
        ),
        ("repeated: the killed worker had the request", attempts.get("interrupted", 0)),
        ("repeated: no worker lived", attempts.get("no worker", 0)),
        ("repeated: refused, disk full", attempts.get("disk full", 0)),
        ("longest silence of `/health`, a worker alive", f"{found['longest_silence_seconds']} s"),
        ("the same, with the server killed", f"{found['longest_outage_seconds']} s"),
        (
            "longest flip",
            f"{found['longest_flip_seconds']} s, of {found['flips_measured']} "
            "with MLflow reachable",
        ),
        ("hostile requests", _listed(found["hostile"])),
        ("jobs", _listed(found["jobs"])),
    ]
    lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    failed = [f"{k}: {n}" for k, n in attempts.items() if k.startswith("failed: ")]
    return "\n".join([*lines, *failed, *found["examples"], *found["notes"]])


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in sorted(counts.items()))
