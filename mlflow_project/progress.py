"""Telling whoever waits what is being done."""

import sys


def say(text: str) -> None:
    """Print one step, at once."""
    sys.stdout.write(f"→ {text}\n")
    sys.stdout.flush()
