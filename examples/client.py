"""Ask the proxy for scores from Python, with nothing but the standard library: copy and change.

    python examples/client.py http://127.0.0.1:8000 rows.jsonl

sends the rows of a file, one JSON object a line, and prints one prediction a line.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class RefusedError(Exception):
    """What the proxy refused, with the field and the reason of each problem."""

    def __init__(self, status: int, error: dict[str, Any]) -> None:
        """Keep the answer; its texts never repeat a value that was sent."""
        self.status, self.error = status, error
        problems = [
            f"row {each.get('instance')}, {each.get('field')}: {each.get('problem')}"
            for each in error.get("details") or []
        ]
        super().__init__("; ".join([f"{status} {error.get('message')}", *problems]))


class Client:
    """Scores rows over HTTP; asks again where the proxy says to (503, Retry-After)."""

    def __init__(self, address: str, key: str = "", batch: int = 500, patience: float = 60) -> None:
        """Remember where.

        Args:
            address: of the proxy, such as http://127.0.0.1:8000.
            key: one of the proxy's API_KEYS, if it has any.
            batch: rows in one request, at most the proxy's MAX_INSTANCES.
            patience: seconds for which a proxy that is not ready is asked again.
        """
        self._address, self._key = address.rstrip("/"), key
        self._batch, self._patience = batch, patience

    def predict(self, rows: Sequence[Row], request_id: str = "") -> Iterator[Row]:
        """Yield the prediction of each row, in order.

        `request_id` comes back in the proxy's log and store, followed by the batch's number, so
        that outcomes can later be matched to answers by it.

        Raises:
            RefusedError: the proxy refused a batch, or was not ready for too long.
        """
        for number, start in enumerate(range(0, len(rows), self._batch)):
            named = f"{request_id}-{number}" if request_id else ""
            body = {"instances": list(rows[start : start + self._batch])}
            yield from self._ask("/predict", body, named)["predictions"]

    def _ask(self, path: str, body: Any, request_id: str) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        headers |= {"X-API-Key": self._key} if self._key else {}
        headers |= {"X-Request-ID": request_id} if request_id else {}
        data, until = json.dumps(body).encode(), time.monotonic() + self._patience
        while True:
            request = urllib.request.Request(self._address + path, data, headers)  # noqa: S310
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                    return dict(json.load(answer))
            except urllib.error.HTTPError as refusal:
                again = refusal.headers.get("Retry-After")
                if again is None or time.monotonic() >= until:
                    raise RefusedError(refusal.code, json.load(refusal)["error"]) from None
                time.sleep(float(again))


def main(arguments: Sequence[str]) -> int:
    """Score a file of JSON lines."""
    address, path = arguments
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    client = Client(address, os.environ.get("API_KEY", ""))
    for prediction in client.predict([json.loads(line) for line in lines if line]):
        sys.stdout.write(json.dumps(prediction, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
