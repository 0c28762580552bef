"""Once a day, in a quiet hour, the small files of past days become one (`core.upkeep.compaction`).

A proxy that was started by itself has no other clock. Of the workers of a server one does it; whom
the store's lock keeps out looks again later, and then finds nothing left to do. A day that was
missed, since the machine slept, is a past day at the next quiet hour like any other.
"""

import json
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from core.files.locks import locked
from core.store.places import store_place
from serving.capture.child import Child, stand_back
from serving.config.settings import Settings
from serving.errors import CompactionFailed, CompactionHung, CompactionUndone, ServingError
from serving.telemetry.heartbeat import Heartbeat
from serving.telemetry.logs import JsonLog, location

LOOK_SECONDS = 5.0
"""How often the clock is looked at: somebody may set it, and a machine may sleep."""
AGAIN_SECONDS = 600.0
"""Pause after an attempt; it doubles with each failure, up to a day."""
_MOST_SECONDS = 86_400.0
SILENT_SECONDS = 300.0
"""Longest time that one step may take: a file, or the upload of a day's rows."""
_JITTER = 0.5
"""Share of the pause by which an attempt may come early."""
_END_SECONDS = 5.0
_SIGN_SECONDS = 1.0


class Compactor:
    """Compacts the store at an hour of the local clock (`TZ`), or never where that is None.

    A thread starts a process for it and listens to it.
    """

    def __init__(self, settings: Settings, log: JsonLog) -> None:
        """Remember where and when; nothing is looked at before `start`."""
        self._store, self._journals = settings.inference_store, settings.journal_dir
        self._hour, self._folder, self._log = settings.compact_hour, settings.workers_dir, log
        self.heart = Heartbeat("compaction")
        self._problem: str | None = None
        self._not_before, self._pause = 0.0, AGAIN_SECONDS
        self._child: Child | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="compaction", daemon=True)

    def start(self) -> None:
        """Begin to look at the clock, if there is an hour for it."""
        if self._hour is not None:
            self._thread.start()

    def close(self) -> None:
        """Stop; a compaction under way is ended, and the next one does what it did not."""
        self._stop.set()
        if self._child is not None:
            self._child.interrupt()
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)
        self.heart.rest()

    def problems(self) -> list[str]:
        """Return why the last attempt failed, for people."""
        return [self._problem] if self._problem else []

    def _run(self) -> None:
        while not self._stop.is_set():
            self._alive(LOOK_SECONDS)
            now = datetime.now().astimezone()
            # What failed is tried again at other hours too: a reason goes once its cause has.
            due = now.hour == self._hour or self._problem is not None
            if due and time.monotonic() >= self._not_before:
                self._attempt(now.date().isoformat())
            self._stop.wait(LOOK_SECONDS)

    def _alive(self, within: float) -> None:
        """Note a sign of life of this thread and of the process that it listens to."""
        self.heart.beat(within + _END_SECONDS)

    def _attempt(self, today: str) -> None:
        """Compact unless this server has today; note what went wrong, or that nothing did."""
        problem = None
        try:
            self._compact_in_turn(today)
        except ServingError as exc:
            problem = str(exc)
        except Exception as exc:
            problem = str(CompactionUndone(reason=location(exc)))
        if self._stop.is_set():
            return  # The process was ended.
        if problem is not None and problem != self._problem:
            self._log.event("ERROR", problem)
        self._problem = problem
        self._pause = AGAIN_SECONDS if problem is None else min(2 * self._pause, _MOST_SECONDS)
        # Proxies whose claims on a bucket made each other give up must not meet again.
        early = _JITTER * random.random()  # noqa: S311 (nobody gains by guessing it)
        self._not_before = time.monotonic() + self._pause * (1 - early)

    def _compact_in_turn(self, today: str) -> None:
        """Compact, unless another worker of this server does now or has done it today."""
        if self._folder is None or not self._folder.is_dir():
            self._compact()
            return
        done = self._folder / f"compacted-{today}"
        with locked(self._folder / "compaction.lock", wait=False) as mine:
            if mine is not None and not done.exists() and self._compact():
                done.touch()

    def _compact(self) -> bool:
        """Run the process and tell what it did; return False where another job holds the store.

        Raises:
            CompactionFailed: it ended before it was done.
            CompactionHung: it was ended, since it stood still.
            CompactionUndone: the store cannot be read or changed.
            OSError: it cannot be started.
        """
        place = self._store.absolute() if isinstance(self._store, Path) else self._store
        if isinstance(place, Path) and not place.is_dir():
            return True
        arguments = (str(place), str(self._journals.absolute()))
        self._child = Child(
            "serving.capture.compaction", arguments, CompactionFailed, CompactionHung
        )
        if self._stop.is_set():
            self._child.interrupt()
        said = self._child.said(self._alive, SILENT_SECONDS).strip()
        if said:
            self._tell(json.loads(said))
        return bool(said)

    def _tell(self, outcome: dict[str, str | list[str]]) -> None:
        if "failed" in outcome:
            raise CompactionUndone(reason=outcome["failed"])
        for line in outcome["unreadable"]:
            self._log.event("ERROR", line)
        if outcome["done"]:
            self._log.event("INFO", str(outcome["done"]))


def main() -> int:
    """Compact; write an empty line now and then, and the outcome as a line of JSON.

    Nothing is said where another job holds the store, or when this process is told to end.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    stand_back(signal.SIGTERM, _END_SECONDS)
    from core.store.errors import StoreBusy, StoreError
    from core.store.filesystem import Store
    from core.store.quarantined import told
    from core.upkeep.compaction import compact

    store = Store(store_place(sys.argv[1]), Path(sys.argv[2]))
    try:
        done = compact(store, step=_signs_of_life())
    except StoreBusy:
        return 0
    except StoreError as exc:
        outcome: dict[str, str | list[str]] = {"failed": str(exc)}
    else:
        changed = done.written or done.removed
        said = done.said(store) if changed else ""
        outcome = {"done": said, "unreadable": told(done.quarantined)}
    sys.stdout.write(f"{json.dumps(outcome)}\n")
    return 0


def _signs_of_life() -> Callable[[], None]:
    due = 0.0

    def step() -> None:
        nonlocal due
        if (now := time.monotonic()) >= due:
            due = now + _SIGN_SECONDS
            sys.stdout.write("\n")
            sys.stdout.flush()

    return step


if __name__ == "__main__":
    sys.exit(main())
