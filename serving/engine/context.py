"""Context of a request while it is being served."""

import os
import random
import re
import time

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# os.urandom at every request would release the interpreter lock to another thread.
_numbers = random.Random(os.urandom(32))  # noqa: S311 (an identity, no secret)


class RequestContext:
    """Request id, start time, and fields of the log line; no message means success."""

    __slots__ = (
        *("client", "message", "model_version", "n_instances", "request_id", "started", "status"),
    )

    def __init__(self, proposed_id: bytes | None) -> None:
        """Use the client's request id if it is well-formed, else generate one."""
        if proposed_id is not None and _SANE_ID.fullmatch(proposed_id):
            self.request_id = proposed_id.decode()
        else:
            self.request_id = f"{_numbers.getrandbits(128):032x}"
        self.started = time.perf_counter_ns()
        self.status = 500
        self.message: str | None = None
        self.model_version: str | None = None
        self.n_instances: int | None = None
        self.client: str | None = None

    def elapsed_ms(self) -> float:
        """Return the time since the request arrived, in milliseconds to whole microseconds."""
        return (time.perf_counter_ns() - self.started) // 1000 / 1000
