"""Refuse to start on the secrets of `.env.example`; `--new` prints a `.env` with fresh ones.

Standard library only: it runs before anything is installed, and as the first container.
"""

import argparse
import os
import re
import secrets
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[1] / ".env.example"
PLACEHOLDER = "change-me"
SECRETS = (
    "POSTGRES_PASSWORD",
    "S3_ACCESS_KEY",
    "S3_SECRET_KEY",
    "MLFLOW_ADMIN_PASSWORD",
    "MLFLOW_JOBS_PASSWORD",
    "MLFLOW_READER_PASSWORD",
    "MLFLOW_SECRET_KEY",
)
SHORTEST = 16
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def problems(environ: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the secrets, one line each; no line repeats a secret."""
    found = []
    values = {name: environ.get(name, "").strip() for name in SECRETS}
    times = Counter(value for value in values.values() if value)
    for name, value in values.items():
        if not value:
            found.append(f"{name} não foi definida")
        elif PLACEHOLDER in value:
            found.append(f"{name} ainda tem o valor de exemplo")
        elif len(value) < SHORTEST:
            found.append(f"{name} tem menos de {SHORTEST} caracteres")
        elif times[value] > 1:
            found.append(f"{name} repete o valor de outra variável")
    address = environ.get("BIND_ADDRESS", "").strip()
    if address and address not in LOOPBACK and not environ.get("API_KEYS", "").strip():
        found.append(f"BIND_ADDRESS={address} abre a API à rede, e API_KEYS está vazia")
    return found


def fresh(example: str) -> str:
    """Return the example with a random value in place of each placeholder."""
    return re.sub(re.escape(PLACEHOLDER), lambda _: secrets.token_urlsafe(24), example)


def main(argv: Sequence[str] | None = None) -> int:
    """Check the environment, or print a new `.env`; return the exit code."""
    parser = argparse.ArgumentParser(description="Confere os segredos do ambiente.")
    parser.add_argument("--new", action="store_true", help="imprime um .env com segredos novos")
    if parser.parse_args(argv).new:
        sys.stdout.write(fresh(EXAMPLE.read_text(encoding="utf-8")))
        return 0
    found = problems(os.environ)
    for line in found:
        sys.stderr.write(f"erro: {line}\n")
    if found:
        sys.stderr.write(
            "Corrija o .env; um novo, com segredos aleatórios: "
            "python3 scripts/check_secrets.py --new > .env\n"
        )
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
