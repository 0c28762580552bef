"""Sections of benchmarks/RESULTS.md, one for each benchmark, which rewrites it."""

import os
import platform
import time
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


def machine() -> str:
    """Return a line on the machine: cores, memory, system, Python version and date."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores ({cpu}), {pages:.0f} GB, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    )


def keep(section: str, title: str, text: str) -> None:
    """Replace the section between its markers; without markers, append it."""
    opening, closing = f"<!-- {section} -->", f"<!-- /{section} -->"
    before = RESULTS.read_text("utf-8") if RESULTS.exists() else "# Results\n"
    written = f"{opening}\n## {title}\n\n{text}\n{closing}"
    if opening in before and closing in before:
        start, end = before.index(opening), before.index(closing) + len(closing)
        RESULTS.write_text(before[:start] + written + before[end:], "utf-8")
    else:
        RESULTS.write_text(f"{before.rstrip()}\n\n{written}\n", "utf-8")
