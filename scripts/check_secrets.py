"""Reject the secrets of `.env.example` before a start; `--new` prints a `.env` with fresh ones.

Standard library only: it runs before anything is installed, and as the first container.
"""

import os
import re
import secrets
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.cli.arguments import complain, parser
from core.messages import N_, _

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
RENEW = "python3 -m scripts.check_secrets --new > .env"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def problems(environ: Mapping[str, str]) -> list[str]:
    """Return the problems of secrets and address, one line each; no line repeats a secret."""
    found = []
    values = {name: environ.get(name, "").strip() for name in SECRETS}
    times = Counter(value for value in values.values() if value)
    for name, value in values.items():
        if not value:
            found.append(_("{name} is not set", name=name))
        elif PLACEHOLDER in value:
            found.append(_("{name} still has the example's value", name=name))
        elif len(value) < SHORTEST:
            found.append(_("{name} is shorter than {n} characters", name=name, n=SHORTEST))
        elif times[value] > 1:
            found.append(_("{name} repeats the value of another variable", name=name))
    address = environ.get("BIND_ADDRESS", "").strip()
    if address and address not in LOOPBACK and not environ.get("API_KEYS", "").strip():
        text = N_("BIND_ADDRESS={address} opens the API to the network, and API_KEYS is empty")
        found.append(_(text, address=address))
    return found


def fresh(example: str) -> str:
    """Return the example with a random value in place of each placeholder."""
    return re.sub(re.escape(PLACEHOLDER), lambda _match: secrets.token_urlsafe(24), example)


def main(argv: Sequence[str] | None = None) -> int:
    """Check the environment, or print a new `.env`; return the exit code."""
    arguments = parser("scripts.check_secrets", _("Check the secrets of the environment."))
    arguments.add_argument(
        "--new", action="store_true", help=_("print a .env with new secrets instead")
    )
    if arguments.parse_args(argv).new:
        sys.stdout.write(fresh(EXAMPLE.read_text(encoding="utf-8")))
        return 0
    found = problems(os.environ)
    for line in found:
        complain(line)
    if found:
        advice = _("Mend .env; for a new one with random secrets: {command}", command=RENEW)
        sys.stderr.write(f"{advice}\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
