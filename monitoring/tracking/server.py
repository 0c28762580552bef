"""Whether anybody answers at the tracking URI, asked before MLflow is imported."""

import urllib.error
import urllib.request

from monitoring.errors import ServerUnreachableError

_REACH_SECONDS = 5


def reach(uri: str) -> None:
    """Ask for the server: importing MLflow takes seconds, and it retries for minutes.

    Raises:
        ServerUnreachableError: the address refuses, or does not answer in time.
    """
    if not uri.startswith(("http://", "https://")):
        return
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=_REACH_SECONDS):  # noqa: S310
            return
    except urllib.error.HTTPError:
        return  # Somebody answers; whether it is MLflow shows soon.
    except (OSError, ValueError) as exc:
        raise ServerUnreachableError(uri) from exc
