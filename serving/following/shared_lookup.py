"""One look at the alias for all workers of a server: whoever comes first asks, the others read.

A read costs the MLflow server milliseconds of its processor; without this, each worker would cost
them again. What was found lies in a small file beside its lock; monotonic clocks agree within a
host, so each worker can tell how old it is.
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
"""Longest time that a worker waits for the look of another, which may have been stopped."""


class SharedLook:
    """Resolves an alias, at most once per interval among the processes that share a folder."""

    def __init__(
        self, registry: Registry, folder: Path, seconds: float, missing: float | None = None
    ) -> None:
        """Remember whom to ask, where the answer lies, and how long it is good for.

        That there is no such alias is good for `missing` seconds; as long as others by default.
        """
        self._registry, self._seconds = registry, seconds
        self._missing_seconds = seconds if missing is None else missing
        self._path = folder / f"alias-{file_word(registry.name)}-{registry.alias}.look"

    def resolve(self) -> Version:
        """Return what the alias points to, as of at most the interval ago.

        Raises:
            ModelMissing, AliasMissing, RegistryUnreachable: what the registry said then.
        """
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o640)
        except OSError:
            # Somebody tidied up the temporary folder; following goes on without it.
            return self._registry.resolve()
        try:
            # While another worker asks, this one waits for its answer.
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
    """Return what was found last; None where nothing was, or a killed worker left half of it."""
    try:
        return json.loads(os.pread(fd, os.fstat(fd).st_size, 0))
    except ValueError:
        return None
