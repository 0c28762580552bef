"""`scripts.check_secrets`: example values and weak secrets are rejected."""

import io
import os
import subprocess
import sys

from dotenv import dotenv_values

from tests.live import ROOT

COMMAND = [sys.executable, "-m", "scripts.check_secrets"]


def check(**environ: str | None) -> subprocess.CompletedProcess[str]:
    """Run the check as its container does, with only these variables and PATH."""
    clean = {"PATH": os.environ["PATH"], **{k: v for k, v in environ.items() if v is not None}}
    return subprocess.run(COMMAND, cwd=ROOT, env=clean, capture_output=True, text=True)


def fresh() -> dict[str, str | None]:
    """Return the variables of a new .env."""
    done = subprocess.run([*COMMAND, "--new"], cwd=ROOT, capture_output=True, text=True)
    return dict(dotenv_values(stream=io.StringIO(done.stdout)))


def test_the_example_is_refused_secret_by_secret() -> None:
    """The example gets exit code 1, a line for each secret, and the command for new ones."""
    example = dotenv_values(ROOT / ".env.example")
    secrets = [name for name, value in example.items() if value == "change-me"]
    done = check(**example)
    assert done.returncode == 1
    assert len(secrets) == 7
    for name in secrets:
        assert f"{name} ainda tem o valor de exemplo" in done.stderr
    assert "--new" in done.stderr


def test_a_new_env_is_accepted_and_never_the_same_twice() -> None:
    """`--new` prints the example's variables with valid secrets, which differ between runs."""
    first, second = fresh(), fresh()
    assert check(**first).returncode == 0
    assert first.keys() == dotenv_values(ROOT / ".env.example").keys()
    assert first["POSTGRES_PASSWORD"] != second["POSTGRES_PASSWORD"]


def test_missing_short_and_repeated_secrets_are_refused_without_being_repeated() -> None:
    """Missing, short and repeated secrets are named with their problem, never their value."""
    wrong = fresh() | {"S3_SECRET_KEY": "", "MLFLOW_SECRET_KEY": "tiny-secret"}
    wrong["MLFLOW_JOBS_PASSWORD"] = wrong["MLFLOW_READER_PASSWORD"]
    done = check(**wrong)
    assert done.returncode == 1
    assert "S3_SECRET_KEY não foi definida" in done.stderr
    assert "MLFLOW_SECRET_KEY tem menos de 16" in done.stderr
    assert "MLFLOW_JOBS_PASSWORD repete" in done.stderr
    assert "tiny-secret" not in done.stderr
    assert str(wrong["MLFLOW_READER_PASSWORD"]) not in done.stderr


def test_an_open_address_needs_keys() -> None:
    """A bind address other than loopback is rejected without API_KEYS."""
    opened = fresh() | {"BIND_ADDRESS": "192.0.2.7"}
    assert "API_KEYS" in check(**opened).stderr
    assert check(**opened | {"API_KEYS": "a-key-of-some-client"}).returncode == 0
