"""Operations beside the clients: flips, compaction, erasure and reports; some jobs are killed."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

from benchmarks.chaos.account import Flip
from benchmarks.chaos.system import System
from benchmarks.chaos.versions import MODEL, Pair
from benchmarks.processes import ROOT
from core.contract import names
from core.errors import ProjectError
from core.mlflow_client.client import Client

_FOLLOW_SECONDS = 20.0
_JOB_SECONDS = 180.0
_SURE = 12
"""Responses in a row of the new version after which a flip counts as complete in all workers."""
_DISTURBED = ("MLflow", "mlflow", "stopped", "outage")


@dataclass(frozen=True, slots=True)
class Flips:
    """A thread's loop that moves the alias between both versions."""

    system: System
    versions: Pair
    pace: float
    over: threading.Event

    def run(self) -> None:
        """Flip about every `pace` seconds, but not before the last flip's lag was measured."""
        client, number = Client(self.system.uri), 0
        while not self.over.is_set():
            began = time.monotonic()
            target = self.versions[(number + 1) % 2].number
            try:
                client.set_registered_model_alias(MODEL, names.CHAMPION, str(target))
            except ProjectError:
                self.over.wait(1)  # MLflow was killed or is suspended
                continue
            number += 1
            at = time.monotonic()
            self.system.account.flips.append(Flip(at, target, self._lag(at, target)))
            self.over.wait(max(0.0, began + self.pace - time.monotonic()))

    def _lag(self, at: float, target: int) -> float | None:
        """Return the seconds until all responses are the target's; None if a fault intervened."""
        account = self.system.account
        first = len(account.answers)
        while not self.over.wait(0.1):
            if account.during(*_DISTURBED):
                return None
            after = [(sent, number) for sent, number in account.answers[first:] if sent > at]
            wrong = [sent for sent, number in after if number != target]
            last = max(wrong, default=at)
            if sum(sent > last for sent, _number in after) >= _SURE:
                return last - at
            if time.monotonic() - at > _FOLLOW_SECONDS:
                account.note(f"a flip was not followed within {_FOLLOW_SECONDS:g} s")
                return time.monotonic() - at
        return None


@dataclass(frozen=True, slots=True)
class Jobs:
    """A runner of the commands that an operator schedules; it kills some of them."""

    system: System
    seed: int
    share_killed: float
    over: threading.Event

    def maintain(self) -> None:
        """Compact and erase in turns."""
        draw = random.Random(f"{self.seed}-maintain")
        while not self.over.wait(draw.uniform(1, 4)):
            self.compact(draw)
            self.system.account.next_person()
            if not self.over.wait(1):
                self.forget(draw)

    def report(self) -> None:
        """Run drift reports; build a release's baseline before its first report."""
        draw = random.Random(f"{self.seed}-report")
        built: set[str] = set()
        while not self.over.wait(draw.uniform(10, 40)):
            release = draw.choice(("v1.0.0", "v1.1.0"))
            chosen = ("--model_version", release)
            if release not in built:
                if self.run("build_baseline", chosen, draw) == 0:
                    built.add(release)
                continue
            output = ("--output", str(self.system.folder / "reports"), "--last_n_days", "2")
            self.run("drift_report", (*chosen, *output), draw)

    def compact(self, draw: random.Random | None) -> int:
        """Compact the files of past days; return the exit code."""
        return self.run("compact", ("--keep_minutes", "0,5"), draw)

    def forget(self, draw: random.Random) -> None:
        """Erase a person without requests in flight; one with an unfinished erasure comes first."""
        account = self.system.account
        erasable = account.erasable()
        begun = [person for person in erasable if person in account.forgotten]
        if erasable:
            self.forget_person(draw.choice(begun or erasable), draw)

    def forget_person(self, person: int, draw: random.Random | None) -> None:
        """Erase a person's rows, and record whether the command succeeded."""
        account = self.system.account
        account.forgotten.setdefault(person, "tried")
        if self.run("retention", ("--forget", "-", "--apply"), draw, f"person-{person}") == 0:
            account.forgotten[person] = "done"

    def run(
        self, job: str, arguments: tuple[str, ...], draw: random.Random | None, said: str = ""
    ) -> int:
        """Run a job; with `draw`, kill it at a random moment if drawn. Return its exit code."""
        account = self.system.account
        with (self.system.folder / f"{job}.out").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"monitoring.{job}", *arguments],
                cwd=ROOT,
                env=self.system.environ(self.system.uri),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.system.guard(process.pid)
        assert process.stdin is not None  # noqa: S101 (it was opened as a pipe)
        process.stdin.write(said.encode())
        process.stdin.close()
        killed = draw is not None and draw.random() < self.share_killed
        patience = draw.uniform(0.3, 8.0) if draw is not None and killed else _JOB_SECONDS
        try:
            code = process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
            account.killed(job)
            if not killed:
                account.note(f"{job} was not done within {_JOB_SECONDS:g} s")
        outcome = {0: "done", -signal.SIGKILL: "killed"}.get(code, f"exit {code}")
        account.jobs[f"{job}: {outcome}"] += 1
        return code
