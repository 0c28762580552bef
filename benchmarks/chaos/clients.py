"""Clients that repeat each request until it is served, and record responses and failures."""

import http.client
import json
import random
import threading
import time

from benchmarks.chaos.account import Account, Acknowledged, Attempt
from benchmarks.chaos.system import KEY
from benchmarks.chaos.versions import ROWS, Pair

_PATIENCE_SECONDS = 30.0
_HEALTH_SECONDS = 1.0
_PAUSE_SECONDS = 0.06
_CONNECTION_SECONDS = 1.0
"""How long a client keeps a connection."""


class Client(threading.Thread):
    """A client that sends one request after another, with a new request id for each attempt."""

    def __init__(
        self,
        name: str,
        port: int,
        account: Account,
        versions: Pair,
        seed: str,
        over: threading.Event,
    ) -> None:
        """Prepare the thread, which ends after its request in flight once `over` is set."""
        super().__init__(name=name, daemon=True)
        self._port, self._account, self._versions = port, account, versions
        self._random, self._over = random.Random(seed), over
        self._http: http.client.HTTPConnection | None = None
        self._opened, self._number = 0.0, 0

    def run(self) -> None:
        """Send requests until `over` is set."""
        while not self._over.is_set():
            rows = [
                self._random.randrange(len(ROWS)) for _ in range(self._random.choice((1, 1, 3)))
            ]
            with self._account.asking() as person:
                while not self._asked(rows, person) and not self._over.is_set():
                    time.sleep(0.1)
            time.sleep(self._random.uniform(0.3, 1.7) * _PAUSE_SECONDS)
        self._close()

    def _asked(self, rows: list[int], person: int) -> bool:
        """Send a request once; return whether its status code was 200."""
        self._number += 1
        request = f"{self.name}-{self._number:07d}"
        instances = [{**ROWS[row], "serial": f"person-{person}"} for row in rows]
        if self._http is None or time.monotonic() - self._opened > _CONNECTION_SECONDS:
            self._close()
            self._opened = time.monotonic()
            self._http = http.client.HTTPConnection(
                "127.0.0.1", self._port, timeout=_PATIENCE_SECONDS
            )
        sent = time.monotonic()
        try:
            self._http.request(
                "POST",
                "/predict",
                json.dumps({"instances": instances}),
                {"X-API-Key": KEY, "X-Request-ID": request, "Content-Type": "application/json"},
            )
            answer = self._http.getresponse()
            status, body = answer.status, json.loads(answer.read())
        except TimeoutError:
            self._failed(sent, "timeout")
        except (OSError, http.client.HTTPException, ValueError) as exc:
            self._failed(sent, f"connection {type(exc).__name__}")
        else:
            if status == 200:
                self._note(request, sent, rows, person, body)
                return True
            self._failed(sent, f"{status} {body.get('error', {}).get('code', '')}")
        return False

    def _note(
        self, request: str, sent: float, rows: list[int], person: int, body: dict[str, object]
    ) -> None:
        gave = [version for version in self._versions if version.gave(body, rows)]
        if len(gave) != 1:
            self._account.mixed.append(f"mixed answer: {request}")
            return
        scores = tuple(one["failure_score"] for one in body["predictions"])  # type: ignore[attr-defined]
        self._account.acknowledged[request] = Acknowledged(gave[0].number, scores, person)
        self._account.answers.append((sent, gave[0].number))

    def _failed(self, sent: float, problem: str) -> None:
        ended = time.monotonic()
        self._account.attempts.append(Attempt(self._opened, sent, ended, problem))
        self._close()

    def _close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None


def watch_health(port: int, account: Account, over: threading.Event) -> None:
    """Poll `/health` as a load balancer does, on a new connection each time."""
    while not over.wait(0.2):
        asked = http.client.HTTPConnection("127.0.0.1", port, timeout=_HEALTH_SECONDS)
        try:
            asked.request("GET", "/health")
            if asked.getresponse().status == 200:
                account.health.append(time.monotonic())
        except (OSError, http.client.HTTPException):
            continue
        finally:
            asked.close()
