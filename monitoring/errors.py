"""What can go wrong in a monitoring job, in words for the operator.

MonitoringError
├── RegistryError            the MLflow side
│   ├── ServerUnreachableError
│   ├── UnknownVersionError
│   ├── UnreadableContractError
│   └── NoBaselineError
├── OutputError              a report that cannot be written
├── BaselineError            a baseline that cannot be made or read
├── SameVersionError         a version that is compared with itself
├── LabelsError              a file of labels that cannot be used
└── ColumnError              a table that does not fit
"""

from collections.abc import Iterable
from pathlib import Path


class MonitoringError(Exception):
    """A job cannot go on; its text says what was wrong, where, and what to do (Portuguese)."""


class RegistryError(MonitoringError):
    """MLflow refused or failed a call."""

    def __init__(self, action: str, reason: str) -> None:
        """Say which `action` failed and the `reason` MLflow gave."""
        super().__init__(f"O MLflow não conseguiu {action}: {reason}")


class ServerUnreachableError(RegistryError):
    """Nobody answers at the tracking URI."""

    def __init__(self, uri: str) -> None:
        """Name the `uri` that was tried."""
        MonitoringError.__init__(
            self,
            f"O servidor MLflow não responde em {uri}. Inicie-o (make up) ou aponte "
            "MLFLOW_TRACKING_URI para o endereço certo.",
        )


class UnknownVersionError(RegistryError):
    """No version carries the release or alias asked for."""

    def __init__(self, model: str, wanted: str, known: Iterable[str]) -> None:
        """List the `known` releases of `model` beside the one `wanted`."""
        listed = ", ".join(known) or "nenhuma versão registrada"
        MonitoringError.__init__(
            self, f"O modelo {model} não tem a versão {wanted}. Versões conhecidas: {listed}."
        )


class UnreadableContractError(RegistryError):
    """A version whose metadata holds no contract that can be read."""

    def __init__(self, model: str, number: int, reason: str) -> None:
        """Name version `number` of `model` and what is wrong with its contract."""
        MonitoringError.__init__(
            self,
            f"A versão {number} de {model} não traz um contrato legível ({reason}). "
            "Registre-a de novo com o treino deste projeto.",
        )


class NoBaselineError(RegistryError):
    """A version whose baseline was never built, or is gone."""

    def __init__(self, release: str, reason: str) -> None:
        """Say why `release` has na baseline, and the command that builds one."""
        MonitoringError.__init__(
            self,
            f"A versão {release} não tem baseline ({reason}). Crie com: "
            f"python -m monitoring.build_baseline --model_version {release}",
        )


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
