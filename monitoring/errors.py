"""What can go wrong in a monitoring job, in words for the operator.

MonitoringError
├── NoBaselineError          a version without a baseline
├── ScoringError             a version that cannot score rows
├── CaptureError             the inference store
│   ├── StoreChangedError
│   └── StoreUnreachableError
├── StoreBusyError           another job is changing the store (see `store_lock`)
├── EngineError              Spark is missing, or failed
├── OutputError              a report that cannot be written
├── BaselineError            a baseline that cannot be made or read
├── SameVersionError         a version that is compared with itself
├── LabelsError              a file of labels that cannot be used
└── ColumnError              a table that does not fit
"""

from pathlib import Path, PurePath

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


class CaptureError(MonitoringError):
    """A file of the inference store cannot be read."""

    def __init__(self, path: PurePath, reason: str) -> None:
        """Name the file and what is wrong with it."""
        super().__init__(
            f"O arquivo de inferências {path} não pode ser lido ({reason}). "
            "Mova-o para fora do diretório e repita."
        )


class StoreChangedError(CaptureError):
    """Files of the inference store were replaced while they were read."""

    def __init__(self, store: object) -> None:
        """Name the store."""
        MonitoringError.__init__(
            self,
            f"Um arquivo de {store} foi trocado ou danificado durante a leitura; repita o comando.",
        )


class StoreUnreachableError(CaptureError):
    """The bucket does not answer, or refuses."""

    def __init__(self, store: object, cause: str) -> None:
        """Name the store and the kind of failure."""
        MonitoringError.__init__(
            self,
            f"O inference store {store} não responde ({cause}). Confira o endereço e as variáveis "
            "AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID e AWS_SECRET_ACCESS_KEY.",
        )


class OutputError(MonitoringError):
    """A report cannot be written."""

    def __init__(self, folder: Path, reason: str) -> None:
        """Name the folder and the system's reason."""
        super().__init__(f"Não foi possível gravar o relatório em {folder}: {reason}.")


class EngineError(MonitoringError):
    """The engine that was asked for is not there, or failed."""

    def __init__(self, reason: str) -> None:
        """Say why."""
        super().__init__(f"O motor spark não pode ser usado: {reason}.")


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
