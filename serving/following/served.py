"""The served model, and the check whether another version may replace it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from core.contract import names
from core.contract.compatibility import incompatible_changes
from core.messages import _
from core.mlflow_client.errors import VersionRefused
from serving.following.threshold import ThresholdSource
from serving.model.loading import LoadedVersion

ModelSource = Literal["registry", "cache"]


@dataclass(frozen=True, slots=True, eq=False)
class ServedModel:
    """The model that answers requests: a version, with settings of its tags and the environment.

    The threshold is None for a version that has neither score nor label.
    """

    version: LoadedVersion
    threshold: float | None
    threshold_source: ThresholdSource | None
    baseline: Mapping[str, Any] | None
    source: ModelSource = "registry"
    warning: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def release(self) -> str:
        """Return the operator's name of the version."""
        return self.version.contract.release


def check_successor(served: LoadedVersion, successor: LoadedVersion) -> None:
    """Raise if clients of the served version would break with its successor.

    A tag on the successor accepts the change; so does a restart, after which no version is served
    yet.

    Raises:
        VersionRefused: the contracts are incompatible; names each change.
    """
    tag = successor.target.tags.get(names.TAG_CONTRACT_CHANGE)
    changes = incompatible_changes(served.contract, successor.contract)
    if changes and tag != names.CONTRACT_CHANGE_ACCEPTED:
        reason = _(
            "contract incompatible with that of version {number}: {changes} (to flip all the "
            "same: registry promote --accept-contract-change, or restart the API)",
            number=served.number,
            changes="; ".join(changes),
        )
        raise VersionRefused(successor.number, reason)
