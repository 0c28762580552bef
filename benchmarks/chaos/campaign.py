"""One campaign: start the system, inject faults, wait until it is idle, check the stored rows."""

import contextlib
import json
import os
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.chaos import hostile, versions
from benchmarks.chaos.account import Account
from benchmarks.chaos.clients import Client, watch_health
from benchmarks.chaos.faults import Faults
from benchmarks.chaos.jobs import Flips, Jobs
from benchmarks.chaos.past import Past
from benchmarks.chaos.system import System
from benchmarks.chaos.verdict import StoredRow, check_rows, judge
from core.captured.reader import Captures
from core.captured.selection import Selection
from core.store.filesystem import Store

_CLIENTS = 3
_REST_SECONDS = 240.0
_TELL_SECONDS = 60.0


def run(seconds: float, seed: int, pace: float) -> dict[str, object]:
    """Run a campaign; return its findings.

    Args:
        seconds: duration of the faults; start and end take about two minutes more.
        seed: of all random draws.
        pace: approximate mean seconds between two kills, and minimum between two flips.
    """
    account = Account()
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        system = System(Path(name), account)
        try:
            system.start()
            os.environ["MLFLOW_TRACKING_URI"] = system.uri
            kinds = versions.register()
            system.serve()
            began = time.monotonic()
            jobs = _disturb(system, kinds, seconds, seed, pace)
            lasted = time.monotonic() - began
            _come_to_rest(system, jobs)
            code = system.close()
            if code:
                account.note(f"the proxy ended with exit code {code}")
            rows = check_rows(account.acknowledged, stored(system), account.forgotten)
        finally:
            system.close()
            system.unmount()
    return judge(account, rows, lasted)


def _disturb(system: System, kinds: versions.Pair, seconds: float, seed: int, pace: float) -> Jobs:
    """Run clients, faults and jobs for `seconds`; return the jobs once all threads have ended."""
    account, over, quiet = system.account, threading.Event(), threading.Event()
    faults = Faults(system, seed, pace, over, threading.Lock())
    jobs = Jobs(system, seed, 0.4, over)
    beside: list[Callable[[], None]] = [
        Flips(system, kinds, pace, over).run,
        Past(system, kinds, seed, over).run,
        *(jobs.maintain, jobs.report),
        lambda: hostile.attack(system.port, account, f"{seed}-hostile", over),
    ]
    clients: list[threading.Thread] = [
        Client(f"c{n}", system.port, account, kinds, f"{seed}-{n}", quiet) for n in range(_CLIENTS)
    ]
    health = threading.Thread(target=watch_health, args=(system.port, account, quiet))
    clients.append(health)
    threads = [threading.Thread(target=one) for one in beside]
    for thread in (*clients, *threads):
        thread.start()
    threads += faults.start()
    until = time.monotonic() + seconds
    with contextlib.suppress(KeyboardInterrupt):  # findings until then are reported
        while (left := until - time.monotonic()) > 0:
            over.wait(min(left, _TELL_SECONDS))
            sys.stderr.write(f"{account.so_far()}; {max(0.0, left / 60):.0f} min left\n")
    over.set()
    for thread in threads:
        thread.join()
    time.sleep(3)
    quiet.set()
    for thread in clients:
        thread.join()
    return jobs


def _come_to_rest(system: System, jobs: Jobs) -> None:
    """Finish started erasures, compact, and wait for conversions and a healthy `/health`."""
    account, until = system.account, time.monotonic() + _REST_SECONDS
    while account.during("outage", "mlflow down") and time.monotonic() < until:
        time.sleep(0.2)
    for person, fate in sorted(account.forgotten.items()):
        if fate != "done":
            jobs.forget_person(person, None)
    if jobs.compact(None):
        account.note("the last compaction failed")
    while any(system.journals.glob("*.jsonl")) and time.monotonic() < until:
        time.sleep(0.2)
    if any(system.journals.glob("*.jsonl")):
        account.note("a journal did not become Parquet at rest")
    while (reasons := _reasons(system)) and time.monotonic() < until:
        time.sleep(0.5)
    account.notes += [f"at rest: {reason}" for reason in reasons]


def _reasons(system: System) -> list[str]:
    """Return the reasons why `/health` is not healthy; empty if it is."""
    try:
        url = f"http://127.0.0.1:{system.port}/health"
        with urllib.request.urlopen(url, timeout=30) as answer:
            health = json.load(answer)
    except OSError as exc:
        return [f"/health does not answer: {exc}"]
    return [] if health["status"] == "healthy" else health["reasons"]


def stored(system: System) -> Iterator[StoredRow]:
    """Yield every row of the store, read by the reports' reader; record quarantined files."""
    now = datetime.now(UTC)
    chosen = Selection(versions.MODEL, None, now - timedelta(days=30), now + timedelta(days=1))
    features = dict.fromkeys(versions.FEATURES, "double")
    captures = Captures(Store(system.store, system.journals), chosen, features)
    for batch in captures.rows(["request_id", "instance", "registry_version", "score"]):
        columns = (batch.column(number).to_pylist() for number in range(4))
        yield from (StoredRow(*row) for row in zip(*columns, strict=True))
    for damaged in captures.quarantined:
        system.account.note(f"put aside: {damaged}")
