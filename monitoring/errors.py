"""What can go wrong in a monitoring job, in words for the operator.

MonitoringError
├── NoBaselineError          a version without a baseline
├── ScoringError             a version that cannot score rows
├── OutputError              a report that cannot be written
├── BaselineError            a baseline that cannot be made or read
├── SameVersionError         a version that is compared with itself
├── LabelsError              a file of labels that cannot be used
└── ColumnError              a table that does not fit
"""

from pathlib import Path

from core.errors import ProjectError


class MonitoringError(ProjectError):
    """A job cannot go on; its text says what was wrong, where, and what to do."""

    def __init__(self, reason: str) -> None:
        """Keep the sentence."""
        super().__init__(reason=reason)


class NoBaselineError(MonitoringError):
    """A version whose baseline was never built, or is gone."""

    def __init__(self, release: str, reason: str) -> None:
        """Say why `release` has no baseline, and the command that builds one."""
        super().__init__(
            f"A versão {release} não tem baseline ({reason}). Crie com: "
            f"python -m monitoring.build_baseline --model_version {release}"
        )


class ScoringError(MonitoringError):
    """A version whose model does not score the rows it is given."""

    def __init__(self, release: str, kind: str) -> None:
        """Name the version and the kind of failure, not its text, which may quote rows."""
        super().__init__(f"A versão {release} não pontua as linhas: {kind}")


class OutputError(MonitoringError):
    """A report cannot be written."""

    def __init__(self, folder: Path, reason: str) -> None:
        """Name the folder and the system's reason."""
        super().__init__(f"Não foi possível gravar o relatório em {folder}: {reason}.")


class BaselineError(MonitoringError):
    """A baseline that cannot be made or read."""


class ColumnError(MonitoringError):
    """A table whose columns do not fit what is asked of them."""


class LabelsError(MonitoringError):
    """A file of labels that cannot be used; its text never quotes a value of the file."""


class SameVersionError(MonitoringError):
    """A version that is compared with itself."""

    def __init__(self, release: str) -> None:
        """Name the version."""
        super().__init__(
            f"A versão {release} seria comparada com ela mesma; indique outra com --shadow."
        )
