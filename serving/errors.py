"""Errors of the proxy, as facts. None of them repeats a value that a client sent.

ServingError
├── SettingsError               the process cannot start as configured
├── StoreUnreachable            the object store of the captures takes no file now
├── CacheDamaged                the local copy of the last good version is not what was kept
└── RequestError                answered to the client: a status, a code, details
    ├── MalformedBody           400
    ├── Unauthorized            401
    ├── RouteError              404, 405 and other refusals of the router
    ├── BodyTooSlow             408
    ├── BodyTooLarge            413
    ├── UnsupportedMediaType    415
    ├── InvalidInstances        422
    ├── ScoringFailed           500
    ├── InternalError           500
    ├── NotReady                503
    ├── HistoryUnavailable      503
    └── CaptureFailed           503
"""

from collections.abc import Mapping, Sequence
from typing import Any


class ServingError(Exception):
    """Root of the proxy's own errors."""


class SettingsError(ServingError):
    """An environment variable that cannot be used."""

    def __init__(self, variable: str, problem: str) -> None:
        """Name the variable and what it may be."""
        super().__init__(f"{variable} {problem} (veja .env.example)")


class StoreUnreachable(ServingError):
    """The object store does not answer, or refuses; journals wait for it."""

    def __init__(self, uri: str, cause: str) -> None:
        """Name the store and the kind of failure."""
        super().__init__(f"o inference store {uri} não recebe arquivos ({cause})")


class ConversionFailed(ServingError):
    """The process that converts journals ended before it was done."""

    def __init__(self, code: int) -> None:
        """Name its exit code, or the signal that ended it."""
        how = f"o sinal {-code}" if code < 0 else f"o código {code}"
        super().__init__(f"a conversão dos journals em Parquet terminou com {how}")


class CacheDamaged(ServingError):
    """Files of the local cache that are gone or changed."""

    def __init__(self, folder: object) -> None:
        """Name the folder."""
        super().__init__(f"a cópia local em {folder} não confere com o que foi guardado")


class RequestError(ServingError):
    """An answer other than 200: HTTP status, stable code, message for people, details."""

    status = 500
    code = "internal_error"
    headers: Mapping[str, str] = {}

    def __init__(self, message: str, details: Sequence[Mapping[str, Any]] = ()) -> None:
        """Keep the message and the details, each plain data."""
        super().__init__(message)
        self.message = message
        self.details = details


class MalformedBody(RequestError):
    """The body is not JSON."""

    status, code = 400, "invalid_json"

    def __init__(self, position: int | None = None) -> None:
        """Say where, never what."""
        where = "" if position is None else f" a partir da posição {position}"
        super().__init__(
            f'o corpo não é JSON válido em UTF-8{where}; esperado: {{"instances": [{{...}}]}}'
        )


class Unauthorized(RequestError):
    """The key is missing or unknown."""

    status, code = 401, "unauthorized"
    headers = {"WWW-Authenticate": "Bearer"}  # noqa: RUF012 (never changed)

    def __init__(self, *, browser: bool = False) -> None:
        """Say how a key is sent; for a page of a browser, in the way that makes it ask."""
        if browser:
            self.headers = {"WWW-Authenticate": 'Basic realm="painel", charset="UTF-8"'}
        super().__init__(
            "chave ausente ou desconhecida; envie X-API-Key: <chave> ou "
            "Authorization: Bearer <chave>"
        )


class RouteError(RequestError):
    """The router has no such path or method."""

    def __init__(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        """Keep the router's status and its headers."""
        known = {404: ("not_found", "rota inexistente"), 405: ("method_not_allowed", "método")}
        self.status = status
        self.code, text = known.get(status, ("http_error", "requisição não atendida"))
        self.headers = dict(headers or {})
        allowed = self.headers.get("Allow") or self.headers.get("allow")
        super().__init__(f"método não permitido; use {allowed}" if allowed else text)


class BodyTooSlow(RequestError):
    """The body did not arrive in time."""

    status, code = 408, "body_too_slow"
    headers = {"Connection": "close"}  # noqa: RUF012 (the rest of the body is not read)

    def __init__(self, seconds: float) -> None:
        """Give the limit."""
        super().__init__(f"o corpo não chegou inteiro em {seconds:g} segundos")


class BodyTooLarge(RequestError):
    """The body is longer than `MAX_BODY_BYTES`."""

    status, code = 413, "body_too_large"
    headers = {"Connection": "close"}  # noqa: RUF012 (the rest of the body is not read)

    def __init__(self, limit: int) -> None:
        """Give the limit."""
        super().__init__(f"o corpo excede {limit} bytes; divida as instâncias em mais requisições")


class UnsupportedMediaType(RequestError):
    """The body's `Content-Type` is none that is read here."""

    status, code = 415, "unsupported_media_type"

    def __init__(self, accepted: Sequence[str]) -> None:
        """Name the accepted ones."""
        super().__init__(f"envie Content-Type: {' ou '.join(accepted)}, em UTF-8")


class InvalidInstances(RequestError):
    """Instances that do not fit the contract; all problems at once, up to a limit."""

    status, code = 422, "validation_failed"

    def __init__(self, details: Sequence[Mapping[str, Any]], total: int) -> None:
        """Count the problems; the details may be only the first of them."""
        more = f"; os {len(details)} primeiros estão em details" if total > len(details) else ""
        noun = "problema" if total == 1 else "problemas"
        super().__init__(f"{total} {noun} na requisição{more}", details)
        self.total = total


class ScoringFailed(RequestError):
    """The model raised or gave no finite score."""

    status, code = 500, "scoring_failed"

    def __init__(self, kind: str) -> None:
        """Name the kind of failure, not its text, which may hold data."""
        super().__init__(f"o modelo falhou ao pontuar ({kind})")


class InternalError(RequestError):
    """Anything unforeseen."""

    def __init__(self) -> None:
        """Say that the log has more."""
        super().__init__("erro interno; procure o request_id no log")


class NotReady(RequestError):
    """No version is loaded yet."""

    status, code = 503, "not_ready"
    headers = {"Retry-After": "1"}  # noqa: RUF012 (never changed)

    def __init__(self, reason: str) -> None:
        """Say what is being waited for."""
        super().__init__(f"nenhum modelo carregado: {reason}")


class HistoryUnavailable(RequestError):
    """What MLflow keeps cannot be read now."""

    status, code = 503, "registry_unreachable"
    headers = {"Retry-After": "5"}  # noqa: RUF012 (never changed)

    def __init__(self) -> None:
        """Say who is missing."""
        super().__init__("o MLflow não responde; tente de novo quando ele voltar")


class CaptureFailed(RequestError):
    """The answer cannot be captured, and `CAPTURE_REQUIRED` asks that every answer be."""

    status, code = 503, "capture_failed"
    headers = {"Retry-After": "5"}  # noqa: RUF012 (never changed)

    def __init__(self) -> None:
        """Say who can mend it."""
        super().__init__(
            "a predição não pôde ser registrada e não foi respondida (CAPTURE_REQUIRED=true); "
            "verifique o disco do servidor"
        )
