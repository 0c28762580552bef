"""A temporary proxy of the registry's champion for one command, if no proxy is named."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from core.messages import N_, _
from mlflow_project.lists.scoring import ApiError, ProxyApi

READY_SECONDS = 120.0
LOOK_SECONDS = 20.0
"""Time for a proxy to find the alias in the registry, without the time to load its version."""
STOP_SECONDS = 60.0


class NoProxy(ApiError):
    """The proxy of this command did not start, or has no version to serve."""

    message = N_("no version could be loaded from the registry: {reason} (log: {log})")


@contextmanager
def own_proxy() -> Iterator[ProxyApi]:
    """Yield the API of a proxy on a free local port; afterwards it completes its capture and ends.

    Raises:
        NoProxy: it exited, found no alias, or loaded no version within `READY_SECONDS`.
    """
    port, key = _free_port(), secrets.token_urlsafe(24)
    command = [sys.executable, "-m", "serving", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        command, env={**os.environ, "API_KEYS": key}, stdout=subprocess.DEVNULL
    )
    try:
        api = ProxyApi(f"http://127.0.0.1:{port}", key)
        _wait(api, process)
        yield api
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _wait(api: ProxyApi, process: subprocess.Popen[bytes]) -> None:
    """Wait until a version is loaded.

    Raises:
        NoProxy: as `own_proxy`; no alias is found within `LOOK_SECONDS` of the first response.
    """
    deadline, first = time.monotonic() + READY_SECONDS, 0.0
    while process.poll() is None and time.monotonic() < deadline:
        try:
            health = api.call("/health")
        except ApiError:
            pass
        else:
            if health["model_loaded"]:
                return
            first = first or time.monotonic()
            if health["alias_version"] is None and time.monotonic() > first + LOOK_SECONDS:
                raise NoProxy(reason=" ".join(health["reasons"]), log=_log())
        time.sleep(0.2)
    raise NoProxy(reason=_("nothing within {n} s", n=round(READY_SECONDS)), log=_log())


def _log() -> str:
    return os.environ.get("LOG_FILE") or "logs/app.log"


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
