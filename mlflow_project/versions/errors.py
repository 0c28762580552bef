"""Errors of the registry's commands."""

from core.mlflow_client.errors import RegistryError


class Refused(RegistryError):
    """The requested change is invalid and was not made; the message states the reason."""

    code = "refused"
