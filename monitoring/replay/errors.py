"""Errors of a rehearsal."""

from core.errors import ProjectError
from core.messages import N_


class UnknownGroup(ProjectError):
    """A column to group by that is not an input of the version."""

    code = "unknown_group"
    message = N_(
        "{name!r} is no input of version {version}; --by takes the inputs of its contract."
    )
