"""What is known of a request while it is being answered."""

import os
import random
import re
import time

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# A call of the system's source at every request lets another thread take the interpreter.
_numbers = random.Random(os.urandom(32))  # noqa: S311 (an identity, no secret)


class RequestContext:
    """Identity, start, and what the log line will say; without a message all went well."""

    __slots__ = (
        *("client", "message", "model_version", "n_instances", "request_id", "started", "status"),
    )

    def __init__(self, proposed_id: bytes | None) -> None:
        """Take over the client's request id when it is sane, else make one."""
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
        """Return the time since the request arrived, in milliseconds, of whole microseconds."""
        return (time.perf_counter_ns() - self.started) // 1000 / 1000
