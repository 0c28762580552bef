"""One alias query for all workers of a server: the first one queries, the others read its result.

A query costs the MLflow server milliseconds of CPU; without this, each worker would repeat it. The
result is in a small file, which is also the lock; monotonic clocks agree within a host, so each
worker can compute its age.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.files.locks import lock_within
from core.mlflow_client.client import CALL_SECONDS
from core.mlflow_client.errors import AliasMissing, ModelMissing, RegistryUnreachable
from core.registry.versions import Registry, Version
from serving.config.model_paths import file_word

_PATIENCE_SECONDS = CALL_SECONDS + 2.0
"""Longest time that a worker waits for the query of another, which may have been stopped."""


class SharedLook:
    """Resolver of an alias, at most once per interval among the processes that share a folder."""

    def __init__(
        self, registry: Registry, folder: Path, seconds: float, missing: float | None = None
    ) -> None:
        """Store the registry, the folder of the result, and the seconds that it is valid.

        The result that the alias does not exist is valid for `missing` seconds, by default as long.
        """
        self._registry, self._seconds = registry, seconds
        self._missing_seconds = seconds if missing is None else missing
        self._path = folder / f"alias-{file_word(registry.name)}-{registry.alias}.look"

    def resolve(self) -> Version:
        """Return the version that the alias names, as of at most one interval ago.

        Raises:
            ModelMissing, AliasMissing, RegistryUnreachable: the result of the query.
        """
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o640)
        except OSError:
            # The temporary folder has been removed: query without sharing.
            return self._registry.resolve()
        try:
            # While another worker queries, wait for its result.
            if not lock_within(fd, _PATIENCE_SECONDS):
                return self._registry.resolve()
            found = _read(fd)
            good_for = self._missing_seconds if found and "missing" in found else self._seconds
            if found is None or not 0 <= time.monotonic() - found["at"] < good_for:
                found = self._ask()
                os.ftruncate(fd, os.pwrite(fd, json.dumps(found).encode(), 0))
        finally:
            os.close(fd)
        return self._told(found)

    def _ask(self) -> dict[str, Any]:
        said: dict[str, Any]
        try:
            said = {"target": self._registry.resolve().to_dict()}
        except ModelMissing as exc:
            said = {"missing": "model", "known": exc.facts["known"]}
        except AliasMissing:
            said = {"missing": "alias"}
        except RegistryUnreachable as exc:
            said = {"unreachable": exc.facts}
        return {"at": time.monotonic(), **said}

    def _told(self, found: Mapping[str, Any]) -> Version:
        if "unreachable" in found:
            raise RegistryUnreachable(**found["unreachable"])
        if found.get("missing") == "model":
            raise ModelMissing(self._registry.name, found["known"])
        if "missing" in found:
            raise AliasMissing(name=self._registry.name, alias=self._registry.alias)
        return Version.from_dict(found["target"])


def _read(fd: int) -> Any:
    """Return the last result; None without one, or if a killed worker wrote only half of it."""
    try:
        return json.loads(os.pread(fd, os.fstat(fd).st_size, 0))
    except ValueError:
        return None
