"""Journals dated yesterday, as a killed proxy leaves them, since only past days are compacted."""

import json
import os
import random
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.chaos.account import Acknowledged
from benchmarks.chaos.system import System
from benchmarks.chaos.versions import MODEL, ROWS, Pair
from core.contract.pseudonym import pseudonym
from core.store.schema import JOURNAL_SUFFIX, ROLE_PRIMARY, JournalHeader, file_stem


@dataclass(frozen=True, slots=True)
class Past:
    """A writer of complete journals dated yesterday; their rows count as acknowledged."""

    system: System
    versions: Pair
    seed: int
    over: threading.Event

    def run(self) -> None:
        """Write a journal every 1 to 4 s."""
        draw = random.Random(f"{self.seed}-past")
        (self.system.disk / "incoming").mkdir()
        number = 0
        while not self.over.wait(draw.uniform(1, 4)):
            with self.system.account.asking() as person:
                number += 1
                try:
                    self._leave(draw, person, f"past-{number:06d}")
                except OSError:
                    continue  # the disk is full: the request is not acknowledged

    def _leave(self, draw: random.Random, person: int, request: str) -> None:
        version = draw.choice(self.versions)
        moment = datetime.now(UTC) - timedelta(days=1)
        header = JournalHeader.of(
            {
                "model_name": MODEL,
                "model_version": version.release,
                "registry_version": version.number,
                "role": ROLE_PRIMARY,
            },
            dict.fromkeys(ROWS[0], "double"),
        )
        rows = [draw.randrange(len(ROWS)) for _ in range(draw.randrange(1, 20))]
        lines = [header.to_line()]
        for number, row in enumerate(rows):
            known = {
                "request_id": request,
                "instance": number,
                **ROWS[row],
                "timestamp": int(moment.timestamp() * 1e6),
                "entity": pseudonym(f"person-{person}", "chaos"),
                "score": version.scores[row],
                "label": int(version.scores[row] >= version.threshold),
                "threshold": version.threshold,
                "scored_ms": 1.0,
            }
            values = [known.get(name) for name in header.columns]
            lines.append(json.dumps(values).encode() + b"\n")
        stem = file_stem(moment, f"{os.getpid()}-{uuid.uuid4().hex[:8]}", version.number)
        waiting = self.system.disk / "incoming" / f"{stem}{JOURNAL_SUFFIX}"
        waiting.write_bytes(b"".join(lines))
        if not self.system.journals.is_dir():
            time.sleep(1)
        waiting.rename(self.system.journals / waiting.name)
        scores = tuple(version.scores[row] for row in rows)
        self.system.account.acknowledged[request] = Acknowledged(version.number, scores, person)
