"""Capture: every scored instance is a row in a journal before its response is sent.

A plain append survives the end of the process, whatever its cause. Parquet is written later: a
thread seals the open journals periodically, and a child process converts every journal that no
process holds, this worker's and those of ended workers (`serving.capture.conversion`).
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from core.journals.journal import Journal
from core.messages import N_, _, ngettext
from core.messages.system import system_reason
from core.store.places import ROTATE_LOOK_SECONDS, ROTATE_REQUEST
from core.store.quarantined import quarantined_journals
from core.store.schema import ROLE_PRIMARY, JournalHeader
from serving.capture import conversion
from serving.capture.rows import RowFormat, format_of, rows_of
from serving.config.settings import Settings
from serving.engine.job import Job
from serving.errors import CaptureFailed, ConversionFailed, ConversionHung
from serving.telemetry.heartbeat import Heartbeat
from serving.telemetry.logs import JsonLog, location


@dataclass(frozen=True, slots=True)
class CaptureCounters:
    """Rows of this worker since its start: journalled, not yet in Parquet, lost.

    `oldest` is the age of the oldest row that is not yet in Parquet, in seconds; 0 without one.
    """

    captured: int
    pending: int
    lost: int
    oldest: float = 0.0


_OLDEST_SECONDS = 60.0
"""Age above which a row not yet in Parquet is a problem; at least twice the flush interval."""
_SILENT_SECONDS = 10.0
_MAX_PATIENCE_SECONDS = 600.0


class Capture:
    """Recorder of a worker's answered rows in journals, converted to Parquet by its own thread."""

    def __init__(self, settings: Settings, log: JsonLog, role: str = ROLE_PRIMARY) -> None:
        """Store the settings and the role of the rows; nothing is written yet."""
        self._role = role
        self._store, self._folder = settings.inference_store, settings.journal_dir
        self._key, self._seconds = settings.pseudonym_key, settings.capture_flush_seconds
        self._sync, self._required = settings.capture_sync, settings.capture_required
        self._log = log
        self._encoder = msgspec.json.Encoder()
        self._lock = threading.Lock()
        self._formats: dict[int, RowFormat] = {}
        self._open: dict[int, Journal] = {}
        self._sealed: dict[Path, Journal] = {}  # closed, not yet in Parquet
        self._captured = self._lost = 0
        self._writing_fails = False
        self._conversion_fails: str | None = None
        self._unconverted: dict[Path, str] = {}
        self._set_aside: list[str] = []
        self._made_in = _identity(self._folder)
        self._request_seen = 0
        suffix = "" if role == ROLE_PRIMARY else f"_{role}"
        self._heart, self._child = Heartbeat(f"capture{suffix}"), Heartbeat(f"conversion{suffix}")
        self.hearts = (self._heart, self._child)
        self._patience = conversion.CONVERSION_SECONDS
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def start(self) -> None:
        """Start the converting thread; journals of earlier processes come first."""
        self._thread.start()

    def close(self) -> None:
        """Seal and convert the open journals. Call it when no request is served any more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()
        self._heart.rest()

    def append(self, jobs: Sequence[Job]) -> None:
        """Journal the rows of scored jobs, all of one version, in one write.

        A failure is logged. Unless capture is required, the rows are counted as lost, since their
        responses are sent all the same.

        Raises:
            CaptureFailed: capture is required and the rows could not be written; none was.
        """
        version = jobs[0].model.version
        form = self._formats.get(version.number)
        if form is None:
            form = self._formats[version.number] = format_of(version, self._role)
        rows = [row for job in jobs for row in rows_of(job, form, self._key)]
        data = self._encoder.encode_lines(rows)
        try:
            with self._lock:
                self._journal(form.header).append(data, len(rows))
                self._captured += len(rows)
        except OSError as exc:
            self._fail(exc, len(rows))
            return
        if self._writing_fails:
            self._writing_fails = False
            resumed = ngettext(
                "capture resumed; {n} row was lost",
                "capture resumed; {n} rows were lost",
                self._lost,
            )
            self._log.event("ERROR", resumed)

    def _fail(self, exc: OSError, rows: int) -> None:
        """Log the first of consecutive failures; count lost rows, or raise where required."""
        text = N_("capture failed, rows are lost: {reason}")
        if self._required:
            text = N_("capture failed, requests are refused: {reason}")
        if not self._writing_fails:
            self._log.event("ERROR", _(text, reason=system_reason(exc)))
        self._writing_fails = True
        if self._required:
            raise CaptureFailed from exc
        with self._lock:
            self._lost += rows

    def counters(self) -> CaptureCounters:
        """Return this worker's counters."""
        with self._lock:
            waiting = [j for j in (*self._open.values(), *self._sealed.values()) if j.rows]
            pending, now = sum(journal.rows for journal in waiting), time.monotonic()
            oldest = now - min((journal.since for journal in waiting), default=now)
            return CaptureCounters(self._captured, pending, self._lost, oldest)

    def problems(self) -> list[str]:
        """Return the current problems as messages for operators."""
        found = []
        if self._writing_fails and self._required:
            found.append(_("capture fails and, with CAPTURE_REQUIRED=true, nothing is answered"))
        if self._lost:
            found.append(
                ngettext(
                    "{n} answered row could not be captured, or vanished with its journal",
                    "{n} answered rows could not be captured, or vanished with their journal",
                    self._lost,
                )
            )
        oldest = self.counters().oldest
        if oldest > max(_OLDEST_SECONDS, 2 * self._seconds):
            text = _("captured rows have waited for {n} s to become Parquet", n=round(oldest))
            found.append(text)
        if self._conversion_fails:
            found.append(self._conversion_fails)
        if self._unconverted:
            found.append(
                ngettext(
                    "{n} journal could not become Parquet",
                    "{n} journals could not become Parquet",
                    len(self._unconverted),
                )
            )
        return [*found, *self._set_aside]

    def flush(self) -> None:
        """Seal the open journals and convert every journal that no process holds.

        A failure is logged once and listed in `problems`; the next turn retries.
        """
        try:
            self._seal_and_convert()
        except Exception as exc:
            problem = _("capture could not be converted: {where}", where=location(exc))
            if isinstance(exc, ConversionFailed | ConversionHung):
                problem = str(exc)
            if problem != self._conversion_fails:
                self._log.event("ERROR", problem)
            self._conversion_fails = problem
        else:
            self._conversion_fails = None

    def _seal_and_convert(self) -> None:
        with self._lock:
            for journal in self._open.values():
                if journal.is_there():
                    self._sealed[journal.path] = journal
                else:
                    self._lose(journal)
                journal.close()
            self._open.clear()
        outcomes = self._converted()
        failed = {path: reason for path, reason in outcomes.items() if reason is not None}
        for path, reason in failed.items():
            if self._unconverted.get(path) != reason:
                text = N_("the journal {name} did not become Parquet: {reason}")
                self._log.event("ERROR", _(text, name=path.name, reason=reason))
        # A journal may have been converted by another worker, or moved to quarantine.
        left = {path: why for path, why in self._unconverted.items() if path not in outcomes}
        self._unconverted = {path: why for path, why in (left | failed).items() if path.exists()}
        self._set_aside = [str(one) for one in quarantined_journals(self._folder)]
        self._forget_converted(outcomes)

    def _converted(self) -> Mapping[Path, str | None]:
        """Convert the journals in a child process; after a timeout the next turn has more time."""
        self._heart.beat(_SILENT_SECONDS)
        try:
            found = conversion.convert_free(self._folder, self._store, self._alive, self._patience)
        except ConversionHung:
            self._patience = min(2 * self._patience, _MAX_PATIENCE_SECONDS)
            raise
        finally:
            self._child.rest()
        self._patience = conversion.CONVERSION_SECONDS
        return found

    def _alive(self, within: float) -> None:
        """Record a heartbeat of the converting process, and of the thread that waits for it."""
        self._child.beat(within)
        self._heart.beat(within + _SILENT_SECONDS)

    def _forget_converted(self, outcomes: Mapping[Path, str | None]) -> None:
        """Drop sealed journals that no longer exist; count them lost if the folder was replaced."""
        with self._lock:
            gone = [path for path in self._sealed if not path.exists()]
            folder_went = _identity(self._folder) != self._made_in
            for path in gone:
                journal = self._sealed.pop(path)
                if folder_went and path not in outcomes:
                    self._lose(journal)

    def _lose(self, journal: Journal) -> None:
        """Count as lost, and log, the rows of a journal that vanished before its conversion."""
        if journal.rows:
            self._lost += journal.rows
            text = ngettext(
                "the journal {name} vanished: {n} answered row is lost",
                "the journal {name} vanished: {n} answered rows are lost",
                journal.rows,
                name=journal.path.name,
            )
            self._log.event("ERROR", text)

    def _journal(self, header: JournalHeader) -> Journal:
        number = header.constants["registry_version"]
        journal = self._open.get(number)
        if journal is not None and not journal.is_there():
            del self._open[number]
            journal.close()
            self._lose(journal)
            journal = None
        if journal is None:
            journal = self._open[number] = Journal(self._folder, header, self._sync)
            self._made_in = _identity(self._folder)
        return journal

    def _run(self) -> None:
        self.flush()
        while not self._rest():
            self.flush()

    def _rest(self) -> bool:
        """Wait for the next turn or a job's rotation request; return whether to stop instead."""
        until = time.monotonic() + self._seconds
        while (left := until - time.monotonic()) > 0:
            self._heart.beat(_SILENT_SECONDS)
            if self._stop.wait(min(left, ROTATE_LOOK_SECONDS)):
                return True
            # Another worker's process may have converted a sealed journal in the meantime.
            self._forget_converted({})
            if self._asked_to_rotate():
                return False
        return self._stop.is_set()

    def _asked_to_rotate(self) -> bool:
        """Return whether a request has come since the last check (see `core.store.places`)."""
        try:
            found = (self._folder / ROTATE_REQUEST).stat().st_mtime_ns
        except OSError:
            return False
        seen, self._request_seen = self._request_seen, found
        return found != seen


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return a folder's device and inode, which change if it is replaced; None without one."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
