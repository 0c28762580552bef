"""A proxy of the registry's champion for the time of one command, where none is named."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from core.messages import N_
from mlflow_project.lists.scoring import ApiError, ProxyApi, RequestRefused

READY_SECONDS = 120.0
STOP_SECONDS = 60.0


class NoProxy(ApiError):
    """The proxy of this command did not start, or has no version to serve."""

    message = N_("no version could be loaded from the registry: {reason} (log: {log})")


@contextmanager
def own_proxy() -> Iterator[ProxyApi]:
    """Yield the API of a proxy on a free port of this machine; it ends, and captures, afterwards.

    Raises:
        NoProxy: it ended, or had nothing to serve after `READY_SECONDS`.
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
    deadline, reason = time.monotonic() + READY_SECONDS, ""
    while process.poll() is None and time.monotonic() < deadline:
        try:
            api.call("/metadata")
        except RequestRefused as exc:
            reason = str(exc.facts["reason"])
        except ApiError:
            pass
        else:
            return
        time.sleep(0.2)
    log = os.environ.get("LOG_FILE") or "logs/app.log"
    raise NoProxy(reason=reason or process.poll(), log=log)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
