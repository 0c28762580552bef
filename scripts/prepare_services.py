"""Create what the services need and cannot create themselves: buckets, and MLflow's two users.

Run by the `setup` container at each start, as MLflow's administrator; what exists is unchanged,
except that the users' passwords are set to those of the environment.
"""

import os
import sys
from urllib.parse import urlsplit

from core.cli.arguments import say
from core.messages import _

ARTIFACTS = "mlflow"
"""Bucket of MLflow's artifacts, as docker-compose.yml names it."""
USERS = {"jobs": "MLFLOW_JOBS_PASSWORD", "reader": "MLFLOW_READER_PASSWORD"}
"""MLflow users and their passwords' variables: `jobs` train and monitor, `reader` is the proxy's.

In MLflow the creator of a model or an experiment may change it, and others may read it."""


def buckets() -> list[str]:
    """Return the buckets in use: MLflow's, and the inference store's where that is in S3."""
    store = urlsplit(os.environ.get("INFERENCE_STORE", ""))
    return [ARTIFACTS, *([store.netloc] if store.scheme == "s3" else [])]


def make_buckets(names: list[str]) -> list[str]:
    """Create the buckets that do not exist; return those created."""
    import boto3  # type: ignore[import-untyped]

    s3 = boto3.client("s3")
    present = {bucket["Name"] for bucket in s3.list_buckets().get("Buckets", [])}
    missing = [name for name in names if name not in present]
    for name in missing:
        s3.create_bucket(Bucket=name)
    return missing


def make_users(uri: str) -> list[str]:
    """Create the users that do not exist, set the passwords of the others; return those created."""
    from mlflow.exceptions import MlflowException
    from mlflow.server.auth.client import AuthServiceClient

    client, made = AuthServiceClient(uri), []
    for name, variable in USERS.items():
        password = os.environ[variable]
        try:
            client.create_user(name, password)
            made.append(name)
        except MlflowException as exc:
            if exc.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            client.update_user_password(name, password)
    return made


def main() -> int:
    """Create buckets and users; return the exit code."""
    made = make_buckets(buckets())
    made += make_users(os.environ["MLFLOW_TRACKING_URI"])
    say(_("ready; made now: {names}", names=", ".join(made) or _("none")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
