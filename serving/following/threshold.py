"""The threshold in force: the environment's, else the version's tag, else its contract's."""

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
    """Return the threshold, its source, and a warning about an invalid tag.

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
    """Return the warning that the environment's threshold is in force."""
    return _(
        "THRESHOLD={threshold} of the environment is in force: it holds for any version, "
        "after promotions and rollbacks too",
        threshold=format(threshold, "g"),  # as set, in any language
    )
