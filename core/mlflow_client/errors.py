"""Errors of calls to MLflow, as codes and facts.

RegistryError
├── NotAServer              MLFLOW_TRACKING_URI names no server
├── NotARegistry            MLFLOW_REGISTRY_URI names no supported registry
├── NotPortable             the registry's server does not accept files of the tracking server
├── UnityName               a model's name does not have the three parts of Unity Catalog
├── RegistryUnreachable     no response, or no usable one; a retry may succeed
├── CallRejected            MLflow responded and rejected the call
├── NotFound                the requested run, file or version does not exist (any more)
├── ModelMissing            no registered model of that name
├── AliasMissing            the model has no such alias
├── UnknownVersion          no version has this release
├── UnreadableContract      a version has no readable contract, or neither contract nor signature
└── VersionRefused          a version that must not or cannot be used; a retry is useless
"""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from core.errors import ProjectError
from core.messages import N_, _

CAUSES = {
    "refused": N_("nobody listens there; start it (make up) or correct MLFLOW_TRACKING_URI"),
    "unknown_host": N_("no such host; correct MLFLOW_TRACKING_URI"),
    "tls": N_("TLS failed; check http:// or https:// in MLFLOW_TRACKING_URI and the certificate"),
    "timeout": N_("no answer in time; the server hangs or is overloaded: look at it, restart it"),
    "reset": N_("the connection was cut before the answer was whole"),
    "unauthorized": N_(
        "user or password refused; check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    ),
    "forbidden": N_("the user MLFLOW_TRACKING_USERNAME has no permission for this"),
    "no_endpoint": N_("HTTP 404: no MLflow API at this address; correct MLFLOW_TRACKING_URI"),
    "limited": N_("HTTP 429: too many requests; wait, or raise the limit of the gateway"),
    "unavailable": N_("HTTP {status}: the gateway finds no MLflow behind it; start the server"),
    "failed": N_("HTTP {status}: an error inside the server; look at its log and its database"),
    "redirect": N_("HTTP {status}: a redirect, perhaps to a login; use the final address"),
    "not_mlflow": N_("what answers is not MLflow, perhaps a login page; check the address"),
    "failure": N_("unexpected failure: {kind}"),
}
"""Causes of a missing or unusable response by code, as text that an operator can act on."""


class RegistryError(ProjectError):
    """Base class of errors of the registry."""

    code = "registry_error"


class NotAServer(RegistryError):
    """A tracking URI of a local file or database: its runs keep paths no server can resolve."""

    code = "no_tracking_server"
    message = N_(
        "MLFLOW_TRACKING_URI does not name an MLflow server. Before the command: "
        "export MLFLOW_TRACKING_URI={default}"
    )


class NotARegistry(RegistryError):
    """A registry address that is neither a server nor Unity Catalog."""

    code = "no_registry"
    message = N_(
        "MLFLOW_REGISTRY_URI must be the address of an MLflow server or databricks-uc; leave it "
        "empty where the tracking server registers, too"
    )


class NotPortable(RegistryError):
    """Model files that a separate registry cannot accept, since they are not in a bucket.

    MLflow's servers reject a source that is another server's own, since their users could read it.
    """

    code = "files_not_portable"
    message = N_(
        "the registry at {place} cannot register files that lie behind the tracking server "
        "({scheme}): start that one with --default-artifact-root s3://... --no-serve-artifacts, or "
        "register there and move versions with registry export and import"
    )


class UnityName(RegistryError):
    """A model name that Unity Catalog does not accept."""

    code = "unity_name"
    message = N_(
        "in Unity Catalog a model is called catalog.schema.model; {name} is no such name: correct "
        "MODEL_NAME"
    )


class RegistryUnreachable(RegistryError):
    """A missing or unusable response of the server; `cause` is a key of `CAUSES`."""

    code = "registry_unreachable"
    message = N_("MLflow at {uri} does not answer as it should ({reason})")

    def __init__(self, uri: str, cause: str, **facts: Any) -> None:
        """Store the server's address, without credentials, and the cause."""
        super().__init__(uri=without_credentials(uri), cause=cause, **facts)

    @property
    def cause(self) -> str:
        """Return the cause, a key of `CAUSES`."""
        return str(self.facts["cause"])

    @property
    def reason(self) -> str:
        """Return the cause as text."""
        return _(CAUSES[self.cause], **self.facts)

    def __str__(self) -> str:
        """Return the message in this process's language."""
        return _(self.message, reason=self.reason, **self.facts)


class CallRejected(RegistryError):
    """A call that MLflow understood and rejected."""

    code = "registry_rejected"
    message = N_("MLflow refused {call}: {reason}")


class NotFound(RegistryError):
    """A run, file or version that does not exist (any more)."""

    code = "registry_not_found"
    message = N_("MLflow does not have what {call} asks for: {reason}")


class ModelMissing(RegistryError):
    """A registered model that does not exist (yet)."""

    code = "model_missing"
    message = N_("the registered model {name} does not exist in MLflow yet")

    misspelt = N_(
        "the registered model {name} does not exist in MLflow; correct MODEL_NAME. There are: "
        "{known}"
    )

    def __init__(self, name: str, known: str = "") -> None:
        """Store the model's name, and the existing models' names as one text."""
        super().__init__(self.misspelt if known else None, name=name, known=known)


class AliasMissing(RegistryError):
    """An alias that does not exist (any more)."""

    code = "alias_missing"
    message = N_("the model {name} has no alias {alias}")


class UnknownVersion(RegistryError):
    """A release that no version has."""

    code = "unknown_version"
    message = N_("The model {model} has no version {wanted}. Known: {known}.")


class UnreadableContract(RegistryError):
    """A version whose inputs and outputs are unknown, without a readable contract or signature."""

    code = "unreadable_contract"
    message = N_("Version {release} has no readable contract: {reason}")


class VersionRefused(RegistryError):
    """A version that must not or cannot be used; `reason` is a text, or an error shown as one."""

    code = "version_refused"
    message = N_("version {number} was refused: {reason}")

    def __init__(self, number: int, reason: object) -> None:
        """Store the version's number and the reason."""
        super().__init__(number=number, reason=reason)


def without_credentials(uri: str) -> str:
    """Return an address without user and password."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
