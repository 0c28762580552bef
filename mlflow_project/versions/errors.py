"""What the registry's commands refuse to do."""

from core.mlflow_client.errors import RegistryError


class Refused(RegistryError):
    """What was asked for would leave the registry wrong; the message says why."""

    code = "refused"
