"""Which threshold is in force: the environment's over the version's tag over its contract's."""

from collections.abc import Mapping
from typing import Literal

from core.contract import names
from core.contract.numbers import NumberError, read_share
from core.messages import _
from serving.model.loading import LoadedVersion

ThresholdSource = Literal["env", "tag", "metadata"]


def threshold_in_force(
    override: float | None, version: LoadedVersion, tags: Mapping[str, str]
) -> tuple[float | None, ThresholdSource | None, str | None]:
    """Return the threshold, where it comes from, and what is wrong with the tag.

    All are None for a version that has neither score nor label.
    """
    if version.contract.outputs:
        return None, None, None
    if override is not None:
        return override, "env", None
    tagged = tags.get(names.TAG_THRESHOLD)
    if tagged is None:
        return version.contract.threshold, "metadata", None
    try:
        return read_share(tagged), "tag", None
    except NumberError:
        warning = _(
            "the tag {tag} of version {number} is not a number between 0 and 1; "
            "the threshold of the metadata holds",
            tag=names.TAG_THRESHOLD,
            number=version.number,
        )
    return version.contract.threshold, "metadata", warning


def override_text(threshold: float) -> str:
    """Say that the environment's threshold is on."""
    return _(
        "THRESHOLD={threshold} of the environment is in force: it holds for any version, "
        "after promotions and rollbacks too",
        threshold=format(threshold, "g"),  # as it is set, whatever the language
    )
