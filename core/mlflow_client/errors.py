"""What can go wrong with MLflow, as codes and facts.

RegistryError
├── NotAServer              MLFLOW_TRACKING_URI names no server
├── NotARegistry            MLFLOW_REGISTRY_URI names nothing that our client speaks with
├── NotPortable             the registry's server does not take files from the tracking server
├── UnityName               a model in Unity Catalog has a name of three parts
├── RegistryUnreachable     no answer, or none that can be used; worth trying again
├── CallRejected            MLflow answered and refused the call
├── NotFound                the run, file or version asked for does not exist (any more)
├── ModelMissing            no registered model of that name
├── AliasMissing            the model has no such alias
├── UnknownVersion          no version has this release
├── UnreadableContract      a version states a contract that cannot be read, and has no signature
└── VersionRefused          a version that must not or cannot be used; trying again is vain
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
"""Why there is no usable answer, by code, in words that an operator can act on."""


class RegistryError(ProjectError):
    """Root of what can go wrong with the registry."""

    code = "registry_error"


class NotAServer(RegistryError):
    """The tracking URI is a local file or database: its runs keep paths no server can follow."""

    code = "no_tracking_server"
    message = N_(
        "MLFLOW_TRACKING_URI does not name an MLflow server. Before the command: "
        "export MLFLOW_TRACKING_URI={default}"
    )


class NotARegistry(RegistryError):
    """The registry's address is neither a server nor Unity Catalog."""

    code = "no_registry"
    message = N_(
        "MLFLOW_REGISTRY_URI must be the address of an MLflow server or databricks-uc; leave it "
        "empty where the tracking server registers, too"
    )


class NotPortable(RegistryError):
    """Another MLflow server registers only what lies in a bucket, not behind the tracking server.

    MLflow's servers refuse a source that is another server's own, since their users could read it.
    """

    code = "files_not_portable"
    message = N_(
        "the registry at {place} cannot register files that lie behind the tracking server "
        "({scheme}): start that one with --default-artifact-root s3://... --no-serve-artifacts, or "
        "register there and move versions with registry export and import"
    )


class UnityName(RegistryError):
    """A name that Unity Catalog does not know how to read."""

    code = "unity_name"
    message = N_(
        "in Unity Catalog a model is called catalog.schema.model; {name} is no such name: correct "
        "MODEL_NAME"
    )


class RegistryUnreachable(RegistryError):
    """The server gives no answer that can be used; `cause` is a key of `CAUSES`."""

    code = "registry_unreachable"
    message = N_("MLflow at {uri} does not answer as it should ({reason})")

    def __init__(self, uri: str, cause: str, **facts: Any) -> None:
        """Name the server, without what its address may hold of credentials, and the cause."""
        super().__init__(uri=without_credentials(uri), cause=cause, **facts)

    @property
    def cause(self) -> str:
        """Return why, a key of `CAUSES`."""
        return str(self.facts["cause"])

    @property
    def reason(self) -> str:
        """Return why, in words."""
        return _(CAUSES[self.cause], **self.facts)

    def __str__(self) -> str:
        """Return the sentence in this process's language."""
        return _(self.message, reason=self.reason, **self.facts)


class CallRejected(RegistryError):
    """MLflow understood the call and refused it."""

    code = "registry_rejected"
    message = N_("MLflow refused {call}: {reason}")


class NotFound(RegistryError):
    """What a call names does not exist (any more)."""

    code = "registry_not_found"
    message = N_("MLflow does not have what {call} asks for: {reason}")


class ModelMissing(RegistryError):
    """The registered model does not exist (yet)."""

    code = "model_missing"
    message = N_("the registered model {name} does not exist in MLflow yet")

    misspelt = N_(
        "the registered model {name} does not exist in MLflow; correct MODEL_NAME. There are: "
        "{known}"
    )

    def __init__(self, name: str, known: str = "") -> None:
        """Name the model, and those that there are, as one text."""
        super().__init__(self.misspelt if known else None, name=name, known=known)


class AliasMissing(RegistryError):
    """The alias does not exist (any more)."""

    code = "alias_missing"
    message = N_("the model {name} has no alias {alias}")


class UnknownVersion(RegistryError):
    """No version has this release."""

    code = "unknown_version"
    message = N_("The model {model} has no version {wanted}. Known: {known}.")


class UnreadableContract(RegistryError):
    """A version of which nobody can tell what it takes and gives."""

    code = "unreadable_contract"
    message = N_("Version {release} has no readable contract: {reason}")


class VersionRefused(RegistryError):
    """A version that must not or cannot be used, and why: a sentence, or an error that is one."""

    code = "version_refused"
    message = N_("version {number} was refused: {reason}")

    def __init__(self, number: int, reason: object) -> None:
        """Name the version and the reason."""
        super().__init__(number=number, reason=reason)


def without_credentials(uri: str) -> str:
    """Return an address without user and password."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
