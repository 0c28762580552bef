"""Cost of one of our commands: processor time, peak memory, and bytes printed."""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ROOT


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor seconds (user and system), peak memory of the command in MB, bytes of stdout."""

    seconds: float
    peak: float
    printed: int


def cost(words: Sequence[str], **environ: str) -> Cost:
    """Run a module with arguments; return its cost.

    Raises:
        RuntimeError: it failed; the message has the end of its stderr.
    """
    with tempfile.NamedTemporaryFile(prefix="bench-peak-") as file:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.peak", file.name, *words],
            cwd=ROOT,
            env={**os.environ, **environ},
            check=False,
            capture_output=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise RuntimeError(f"{words[0]} ended with: {done.stderr.decode()[-300:]}")
        peak = int(Path(file.name).read_text()) / 1024
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(used, peak, len(done.stdout))


def medians(of: Mapping[int, Sequence[str]], turns: int) -> dict[int, Cost]:
    """Run commands in turns; return median seconds and peak, and maximum bytes, by key."""
    found: dict[int, list[Cost]] = {count: [] for count in of}
    for _ in range(turns):
        for count, words in of.items():
            found[count].append(cost(words))
    return {
        count: Cost(
            statistics.median(one.seconds for one in costs),
            statistics.median(one.peak for one in costs),
            max(one.printed for one in costs),
        )
        for count, costs in found.items()
    }


def say(text: str) -> None:
    """Print a progress line to stderr."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
