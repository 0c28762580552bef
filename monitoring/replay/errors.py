"""What can go wrong with a rehearsal."""

from core.errors import ProjectError
from core.messages import N_


class UnknownGroup(ProjectError):
    """A column to count by that is no input of the version."""

    code = "unknown_group"
    message = N_(
        "{name!r} is no input of version {version}; --by takes the inputs of its contract."
    )
