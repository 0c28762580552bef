"""A client of one MLflow server and its registry; every call returns or raises one of our errors.

Calls have one total deadline, whatever the server does (`deadline`), and short retries of our own;
a `Retry-After` header is ignored. Reads are retried; writes are retried only where the server
cannot have started them.
"""

import functools
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from core.contract import names
from core.mlflow_client.deadline import DeadlineError, within
from core.mlflow_client.errors import RegistryError, RegistryUnreachable
from core.mlflow_client.translation import cause_of_status, is_foreign, translate

T = TypeVar("T")

CALL_SECONDS = 10.0
"""Total time of one call, its retries included."""
TRANSFER_SECONDS = 300.0
"""Total time of one upload or download."""
REACH_SECONDS = 5.0
"""Longest time that `reach` takes."""
FIRST_SECONDS = 7.0
"""Time within which a command's first call must be answered: under 10 s with the start-up."""
_LEAST_SECONDS = 3.0
"""Minimum time for the first call, even where importing MLflow used up the rest."""
_HEALTH_BYTES = 200
_PAUSES = (0.2, 0.6)
"""Pauses before the second and the third attempt, in seconds."""
_PASSING = ("reset", "limited", "unavailable", "refused")
"""Transient causes, after which reads are retried."""
_UNHEARD = ("limited", "unavailable", "refused")
"""Causes after which the server cannot have started a write, so that it is retried."""
_READING = ("get_", "search_", "list_", "download_", "load_")
_TRANSFERS = ("download_artifacts", "log_artifact", "log_artifacts", "log_model_artifacts")
_MLFLOW = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0.1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    # A redirected POST becomes a GET; so a redirect is reported to the operator instead.
    "MLFLOW_ALLOW_HTTP_REDIRECTS": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""Settings of MLflow's own HTTP calls, those of its fluent functions included."""


class Client:
    """MLflow's `MlflowClient` of one server, each method with a deadline, retries and our errors.

    `uri` is the tracking server's address, `place` the registry's: the same unless another is
    given.
    """

    def __init__(self, uri: str, registry_uri: str = "") -> None:
        """Store the addresses; nothing is imported or requested before the first call."""
        self.uri, self.place = uri, registry_uri or uri
        self._client: Any = None
        self._first_by: float | None = None

    def expect(self, seconds: float = FIRST_SECONDS) -> None:
        """Limit calls to so many seconds from now, until one of them is answered.

        A server may pass its health check and answer nothing else, for example if its database is
        locked.
        """
        self._first_by = time.monotonic() + seconds

    @property
    def is_split(self) -> bool:
        """Return whether the registry is not at the tracking server."""
        return self.place != self.uri

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a method of the client with deadline, retries and our errors."""
        if name.startswith("_"):
            raise AttributeError(name)
        method = getattr(self.prepare(), name)
        seconds = TRANSFER_SECONDS if name in _TRANSFERS else CALL_SECONDS

        @functools.wraps(method)
        def ending(*args: Any, **options: Any) -> Any:
            work = functools.partial(method, *args, **options)
            return self.call(work, name, seconds, repeat=name.startswith(_READING))

        return ending

    def call(
        self, work: Callable[[], T], name: str, seconds: float = CALL_SECONDS, *, repeat: bool
    ) -> T:
        """Return what `work`, a call to this server named `name`, returns.

        Raises:
            RegistryError: there is no answer within `seconds`, or the answer is an error.
        """
        self.prepare()
        begun = time.monotonic()
        if self._first_by is not None:
            seconds = min(seconds, max(_LEAST_SECONDS, self._first_by - begun))
        passing = _PASSING if repeat else _UNHEARD
        pauses = list(_PAUSES)
        known: RegistryError | None = None
        while True:
            try:
                answer = within(begun + seconds - time.monotonic(), work)
                self._first_by = None
                return answer
            except Exception as exc:
                if isinstance(exc, OSError) and not is_foreign(exc):
                    raise  # local, such as a full disk or no permission: not from the server
                # At the deadline, the failure before it is more informative than the timeout.
                late = isinstance(exc, DeadlineError) and known
                error = known = late or translate(self._asked(name), name, exc)
                cause = error.cause if isinstance(error, RegistryUnreachable) else ""
                if not cause:
                    self._first_by = None  # a rejection is a response, too
                if late or not pauses or cause not in passing:
                    raise error from exc
            time.sleep(pauses.pop(0))

    def prepare(self) -> Any:
        """Import MLflow, configured for this server; return MLflow's client."""
        if self._client is None:
            configure_client()
            names.configure_mlflow_environment()
            import mlflow

            # MLflow's functions use the process-wide addresses, not the client's.
            mlflow.set_tracking_uri(self.uri)
            mlflow.set_registry_uri(self.place if self.is_split else "")
            self._client = mlflow.MlflowClient(self.uri, self.place)
            if self.place.startswith("databricks"):
                import databricks.sdk  # noqa: F401 (slow: not within a call's deadline)
        return self._client

    def _asked(self, name: str) -> str:
        """Return the address of the server that a call goes to."""
        registering = any(word in name for word in ("model_version", "register"))
        return self.place if registering else self.uri


def configure_client() -> None:
    """Set the defaults of MLflow's HTTP calls where the environment has no other values."""
    for name, value in _MLFLOW.items():
        os.environ.setdefault(name, value)


def reach(uri: str) -> None:
    """Check that a server responds, before MLflow is imported, which alone takes seconds.

    Raises:
        RegistryUnreachable: there is no response, or not one of MLflow.
    """

    def ask() -> bytes:
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(f"{uri}/health", timeout=REACH_SECONDS) as answer:
            return bytes(answer.read(_HEALTH_BYTES))

    try:
        if within(REACH_SECONDS, ask).lstrip().startswith(b"<"):
            raise RegistryUnreachable(uri, "not_mlflow")  # MLflow returns OK, others HTML
    except urllib.error.HTTPError as exc:
        if exc.code in (301, 302, 303, 307, 308, 429) or exc.code >= 500:
            raise RegistryUnreachable(uri, cause_of_status(exc.code), status=exc.code) from exc
        # A server responds; the first call shows whether it is MLflow.
    except Exception as exc:
        raise translate(uri, "health", exc) from exc


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Convert exceptions of MLflow's own functions into our errors, where no `Client` is used.

    Exceptions that do not come from a request to the server are re-raised unchanged.
    """
    try:
        yield
    except Exception as exc:
        if not is_foreign(exc):
            raise
        error = translate(uri, "mlflow", exc)
        if isinstance(error, RegistryUnreachable) and error.cause == "failure":
            raise
        raise error from exc


def paged(ask: Callable[[str | None], Any]) -> Iterator[Any]:
    """Yield a search's results, page by page; `ask` takes a page's token, None for the first."""
    token: str | None = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **options: Any) -> None:
        """Follow no redirect, so that its status is reported."""
