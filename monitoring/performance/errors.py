"""Errors of measuring and comparing versions.

ProjectError
├── LabelsError           a file of labels that cannot be used
├── SameVersionError      a version that is compared with itself
└── NotComparableError    versions whose outputs are of different or unknown kinds
"""

from core.errors import ProjectError
from core.messages import N_


class LabelsError(ProjectError):
    """A file of labels that cannot be used; its text never quotes a value of the file."""

    code = "labels"


class SameVersionError(ProjectError):
    """A version that is compared with itself."""

    code = "same_version"
    message = N_(
        "Version {version} would be compared with itself; name another one, "
        "or what to compare it with ({option})."
    )


class NotComparableError(ProjectError):
    """Versions whose outputs are of different kinds, or of an unknown kind."""

    code = "not_comparable"
    message = N_(
        "Versions {answered} and {shadow} do not both give a score, a number or classes; there is "
        "nothing to compare."
    )
