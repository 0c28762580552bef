"""Root of the errors of the privacy room; the other rooms have their own (`<room>/errors.py`)."""

from core.errors import ProjectError


class MonitoringError(ProjectError):
    """A job cannot go on; its text says what was wrong, where, and what to do."""

    def __init__(self, reason: str) -> None:
        """Keep the sentence."""
        super().__init__(reason=reason)
