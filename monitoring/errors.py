"""What can go wrong in a monitoring job, in words for the operator.

MonitoringError
├── RegistryError            the MLflow side
│   ├── ServerUnreachableError
│   ├── UnknownVersionError
│   ├── UnreadableContractError
│   └── NoBaselineError
├── CaptureError             the inference store
│   ├── StoreChangedError
│   └── StoreUnreachableError
├── StoreBusyError           another job is changing the store (see `store_lock`)
└── EngineError              Spark is missing, or failed

Errors of the other rooms: `drift.errors`, `performance.errors`, `tracking.output`.
"""

from collections.abc import Iterable
from pathlib import PurePath

from core.errors import ProjectError


class MonitoringError(ProjectError):
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


class EngineError(MonitoringError):
    """The engine that was asked for is not there, or failed."""

    def __init__(self, reason: str) -> None:
        """Say why."""
        super().__init__(f"O motor spark não pode ser usado: {reason}.")
