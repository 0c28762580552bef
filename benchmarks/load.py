"""A real load generator: wrk, one thread, a fixed body."""

import re
import shutil
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


class NoLoadGenerator(Exception):
    """wrk is not installed."""

    def __init__(self) -> None:
        """Say how it is installed."""
        super().__init__("wrk is missing: apt-get install wrk")


@dataclass(frozen=True, slots=True)
class Load:
    """What one target did: requests a second, latencies in milliseconds, answers other than 2xx."""

    rate: float
    p50: float
    p99: float
    failed: int

    @classmethod
    def median(cls, loads: Sequence["Load"]) -> "Load":
        """Return the median of each number; failures are added up."""
        rate, p50, p99 = (
            statistics.median(getattr(load, name) for load in loads)
            for name in ("rate", "p50", "p99")
        )
        return cls(rate, p50, p99, sum(load.failed for load in loads))


def script(folder: Path, name: str, body: bytes) -> Path:
    """Write the script that makes wrk POST a JSON body."""
    data = folder / f"{name}.json"
    data.write_bytes(body)
    path = folder / f"{name}.lua"
    path.write_text(
        f'local file = io.open("{data}", "rb")\n'
        'wrk.method = "POST"\nwrk.body = file:read("*a")\nfile:close()\n'
        'wrk.headers["Content-Type"] = "application/json"\n'
    )
    return path


def run(url: str, lua: Path, connections: int, seconds: float) -> Load:
    """Send requests over so many connections for so long.

    Raises:
        NoLoadGenerator: wrk is not installed.
    """
    if shutil.which("wrk") is None:
        raise NoLoadGenerator
    command = [
        *("wrk", "--latency", "--threads", "1", "--connections", str(connections)),
        *("--duration", f"{max(1, round(seconds))}s", "--timeout", "20s"),
        *("--script", str(lua), url),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return parse(done.stdout)


def parse(text: str) -> Load:
    """Read what wrk printed."""
    rate = float(_find(r"Requests/sec:\s+([\d.]+)", text) or 0)
    failed = int(_find(r"Non-2xx or 3xx responses: (\d+)", text) or 0)
    errors = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text
    )
    failed += sum(int(number) for number in errors.groups()) if errors else 0
    return Load(rate, _milliseconds("50", text), _milliseconds("99", text), failed)


def _milliseconds(percentile: str, text: str) -> float:
    found = re.search(rf"^\s*{percentile}%\s+([\d.]+)(us|ms|s|m)\s*$", text, re.MULTILINE)
    return float(found[1]) * _UNITS[found[2]] if found else float("nan")


def _find(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text)
    return found[1] if found else None
