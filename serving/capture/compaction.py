"""Daily compaction, in a quiet hour, of the small files of past days (`core.upkeep.compaction`).

A proxy started on its own has no external scheduler. One worker of a server compacts; a process
that cannot acquire the store's lock retries later, and then finds nothing left to do. A day that
was missed, because the machine was suspended, is compacted at the next quiet hour.
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
"""Interval between two readings of the clock, which may be set or jump after a suspend."""
AGAIN_SECONDS = 600.0
"""Pause after an attempt; it doubles with each failure, up to a day."""
_MOST_SECONDS = 86_400.0
SILENT_SECONDS = 300.0
"""Longest time of one step: a file, or the upload of a day's rows."""
_JITTER = 0.5
"""Share of the pause by which an attempt may come early."""
_END_SECONDS = 5.0
_SIGN_SECONDS = 1.0


class Compactor:
    """Daily compaction of the store at an hour of the local clock (`TZ`); never where it is None.

    A thread starts a child process for it and reads its output.
    """

    def __init__(self, settings: Settings, log: JsonLog) -> None:
        """Store the settings; the clock is not read before `start`."""
        self._store, self._journals = settings.inference_store, settings.journal_dir
        self._hour, self._folder, self._log = settings.compact_hour, settings.workers_dir, log
        self.heart = Heartbeat("compaction")
        self._problem: str | None = None
        self._not_before, self._pause = 0.0, AGAIN_SECONDS
        self._child: Child | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="compaction", daemon=True)

    def start(self) -> None:
        """Start the thread that reads the clock, if a compaction hour is set."""
        if self._hour is not None:
            self._thread.start()

    def close(self) -> None:
        """Stop; a compaction under way is terminated, and the next one does the rest."""
        self._stop.set()
        if self._child is not None:
            self._child.interrupt()
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)
        self.heart.rest()

    def problems(self) -> list[str]:
        """Return the message of the last attempt's failure, for operators."""
        return [self._problem] if self._problem else []

    def _run(self) -> None:
        while not self._stop.is_set():
            self._alive(LOOK_SECONDS)
            now = datetime.now().astimezone()
            # A failed attempt is retried at any hour, so that its problem clears with its cause.
            due = now.hour == self._hour or self._problem is not None
            if due and time.monotonic() >= self._not_before:
                self._attempt(now.date().isoformat())
            self._stop.wait(LOOK_SECONDS)

    def _alive(self, within: float) -> None:
        """Record a heartbeat of this thread and of the process whose output it reads."""
        self.heart.beat(within + _END_SECONDS)

    def _attempt(self, today: str) -> None:
        """Compact unless this server has done so today; log and keep the problem, if any."""
        problem = None
        try:
            self._compact_in_turn(today)
        except ServingError as exc:
            problem = str(exc)
        except Exception as exc:
            problem = str(CompactionUndone(reason=location(exc)))
        if self._stop.is_set():
            return  # `close` terminated the process: no failure.
        if problem is not None and problem != self._problem:
            self._log.event("ERROR", problem)
        self._problem = problem
        self._pause = AGAIN_SECONDS if problem is None else min(2 * self._pause, _MOST_SECONDS)
        # Proxies that backed off from each other's lock on a bucket must not retry in step.
        early = _JITTER * random.random()  # noqa: S311 (jitter, no secret)
        self._not_before = time.monotonic() + self._pause * (1 - early)

    def _compact_in_turn(self, today: str) -> None:
        """Compact, unless another worker of this server is compacting or has done so today."""
        if self._folder is None or not self._folder.is_dir():
            self._compact()
            return
        done = self._folder / f"compacted-{today}"
        with locked(self._folder / "compaction.lock", wait=False) as mine:
            if mine is not None and not done.exists() and self._compact():
                done.touch()

    def _compact(self) -> bool:
        """Run the process and log its outcome; return False where another job holds the lock.

        Raises:
            CompactionFailed: it exited with an error, or by a signal.
            CompactionHung: it was killed after too long without output.
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
    """Compact; write empty lines as heartbeats, and the outcome as a line of JSON.

    There is no outcome where another job holds the store's lock, or on SIGINT or SIGTERM.
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
