"""Load generation with wrk: one thread, a fixed request body."""

import re
import resource
import shutil
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


class NoLoadGenerator(Exception):
    """wrk is not installed."""

    def __init__(self) -> None:
        """Set the message, which has the command to install it."""
        super().__init__("wrk is missing: apt-get install wrk")


@dataclass(frozen=True, slots=True)
class Load:
    """Results of one target under load.

    Attributes:
        rate: requests a second; `p50` and `p99` are latencies in milliseconds.
        failed: responses other than 2xx and 3xx, and socket errors.
        wrk_cores: cores that the load generator kept busy; `server_cores` those of the target,
            if the caller has measured them.
    """

    rate: float
    p50: float
    p99: float
    failed: int
    wrk_cores: float = 0.0
    server_cores: float = 0.0

    @classmethod
    def median(cls, loads: Sequence["Load"]) -> "Load":
        """Return the median of each number, and the sum of the failures."""
        medians = {
            name: statistics.median(getattr(load, name) for load in loads)
            for name in ("rate", "p50", "p99", "wrk_cores", "server_cores")
        }
        return cls(failed=sum(load.failed for load in loads), **medians)


def script(folder: Path, name: str, body: bytes) -> Path:
    """Write the script by which wrk POSTs a JSON body; return its path."""
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
    """Send requests over `connections` connections for `seconds`, rounded, at least 1.

    Raises:
        NoLoadGenerator: wrk is not installed.
    """
    if shutil.which("wrk") is None:
        raise NoLoadGenerator
    seconds = max(1, round(seconds))
    command = [
        *("wrk", "--latency", "--threads", "1", "--connections", str(connections)),
        *("--duration", f"{seconds}s", "--timeout", "20s"),
        *("--script", str(lua), url),
    ]
    before = _processor_seconds_of_children()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    used = _processor_seconds_of_children() - before
    return replace(parse(done.stdout), wrk_cores=used / seconds)


def _processor_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def parse(text: str) -> Load:
    """Parse wrk's report."""
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
