"""Fault injection: kills, suspended processes, a full disk, and a misbehaving gateway to MLflow.

Each thread draws from a random generator of its own, so a seed repeats the plan; actual times
depend on the machine.
"""

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.chaos.gateway import CLEAN, MOODS
from benchmarks.chaos.system import System, is_stopped, send

_KILLS = {"worker": 96, "master": 2, "mlflow": 2}
"""Weights of the draw; jobs are killed by `Jobs`, which starts them."""
_KILLED = ("outage", "mlflow down")
_SEARCH_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Faults:
    """Threads that inject faults until `over`; the lock `upset` keeps one worker running."""

    system: System
    seed: int
    pace: float
    over: threading.Event
    upset: threading.Lock

    def start(self) -> list[threading.Thread]:
        """Start the threads; return them."""
        parts = [self.kill_servers, self.kill_conversions, self.stand_still, self.misbehave]
        if self.system.small_disk:
            parts.append(self.fill_disk)
        threads = [threading.Thread(target=self._seeded, args=(part,)) for part in parts]
        for thread in threads:
            thread.start()
        return threads

    def _seeded(self, part: Callable[[random.Random], None]) -> None:
        part(random.Random(f"{self.seed}-{part.__name__}"))

    def kill_servers(self, draw: random.Random) -> None:
        """Kill a worker, the master or MLflow; only a worker while a killed server restarts."""
        while not self.over.wait(draw.expovariate(1 / (2 * self.pace))):
            (kind,) = draw.choices(list(_KILLS), list(_KILLS.values()))
            if kind != "worker" and self.system.account.during(*_KILLED):
                kind = "worker"
            with self.upset:
                if kind == "worker":
                    self._kill_worker(draw)
                else:
                    self.system.kill(kind)

    def _kill_worker(self, draw: random.Random) -> None:
        """Kill a worker if another one is serving."""
        answering = self.system.answering()
        if len(answering) > 1:
            self.system.account.killed("worker")
            send(draw.choice(answering), signal.SIGKILL)

    def kill_conversions(self, draw: random.Random) -> None:
        """Kill conversions at random moments, with pauses of up to `pace` seconds between."""
        while not self.over.wait(draw.uniform(0, self.pace)):
            until = time.monotonic() + _SEARCH_SECONDS
            while not (found := self.system.conversions()) and time.monotonic() < until:
                time.sleep(0.05)
            if found:
                time.sleep(draw.choice((0.0, draw.uniform(0, 0.6))))
                if send(draw.choice(found), signal.SIGKILL):
                    self.system.account.killed("conversion")

    def stand_still(self, draw: random.Random) -> None:
        """Suspend one process at a time for 0.5 to 4 s."""
        while not self.over.wait(draw.uniform(5, 25) * self.pace / 3):
            kind = draw.choice(("worker", "worker", "master", "conversion", "mlflow"))
            with self.upset:
                pid = self._find(kind, draw)
                if not pid or not send(pid, signal.SIGSTOP):
                    continue
                fault = self.system.account.fault(f"stopped {kind}")
                self.over.wait(draw.uniform(0.5, 4.0))
                send(pid, signal.SIGCONT)
                fault.ended = time.monotonic()

    def _find(self, kind: str, draw: random.Random) -> int | None:
        if kind == "worker":
            answering = self.system.answering()
            return draw.choice(answering) if len(answering) > 1 else None
        if kind == "conversion":
            return next(iter(self.system.conversions()), None)
        return None if is_stopped(self.system.pid(kind)) else self.system.pid(kind)

    def misbehave(self, draw: random.Random) -> None:
        """Switch the gateway to MLflow to a random fault mode for 2 to 12 s at a time."""
        gateway, account = self.system.gateway, self.system.account
        while not self.over.wait(draw.uniform(4, 20)):
            mood = draw.choice(MOODS)
            fault = account.fault(f"MLflow {mood}")
            gateway.become(mood)
            self.over.wait(draw.uniform(2, 12))
            gateway.become(CLEAN)
            fault.ended = time.monotonic()

    def fill_disk(self, draw: random.Random) -> None:
        """Fill the store's disk completely for 1 to 6 s at a time."""
        filler = self.system.disk / "filler"
        while not self.over.wait(draw.uniform(15, 40) * self.pace):
            fault = self.system.account.fault("disk full")
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(1 << 16))
            with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
                while True:
                    file.write(bytes(1))
            self.over.wait(draw.uniform(1, 6))
            filler.unlink()
            fault.ended = time.monotonic()
