"""Addresses of `make up`, by command line, environment, `.env` and default, in this order."""

import argparse
import errno
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from core.messages import N_
from core.messages.system import system_reason
from scripts.starting.processes import StartError

LOOPBACK = "127.0.0.1"
NOT_FROM_FILE = ("SOURCE",)
"""Ignored in `.env`: a workbook is for one start, and an older `.env` has that of compose's
retraining here."""
_EVERYWHERE = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104
_TAKEN = (errno.EADDRINUSE, errno.EACCES)


@dataclass(frozen=True, slots=True)
class Options:
    """Options of one start."""

    host: str
    api_port: int
    mlflow_port: int
    workers: int
    source: str | None

    @property
    def api_url(self) -> str:
        """Return the API's address for a client on this machine."""
        host = _EVERYWHERE.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.api_port}"

    @property
    def mlflow_url(self) -> str:
        """Return MLflow's address: always loopback, since the server has no authentication."""
        return f"http://{LOOPBACK}:{self.mlflow_port}"

    @property
    def is_open(self) -> bool:
        """Return whether other machines reach the API."""
        return not (self.host == "localhost" or self.host == "::1" or self.host.startswith("127."))


def load_env_file(path: Path) -> None:
    """Set the variables of a `.env` file that the environment does not have."""
    for name, value in dotenv_values(path).items():
        if value is not None and name not in NOT_FROM_FILE:
            os.environ.setdefault(name, value)


def read_options(args: argparse.Namespace, environ: Mapping[str, str]) -> Options:
    """Return the options of the command line, completed by the environment.

    Raises:
        StartError: one is no number in its range (names the variable), or the ports are equal.
    """
    host = args.host or environ.get("HOST") or environ.get("BIND_ADDRESS") or LOOPBACK

    def number(given: str | None, variable: str, default: int, most: int) -> int:
        text = given or environ.get(variable) or str(default)
        if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= most):
            message = N_("{variable}={text}: a number from 1 to {most} is needed")
            raise StartError(message, variable=variable, text=text, most=most)
        return int(text)

    api_port = number(args.api_port, "API_PORT", 8000, 65535)
    mlflow_port = number(args.mlflow_port, "MLFLOW_PORT", 5000, 65535)
    workers = number(args.workers, "WORKERS", 1, 1000)
    if api_port == mlflow_port:
        raise StartError(N_("API_PORT and MLFLOW_PORT are both {port}; change one"), port=api_port)
    source = args.source or environ.get("SOURCE") or None
    return Options(host, api_port, mlflow_port, workers, source)


def check_port(host: str, port: int, variable: str) -> None:
    """Raise StartError when the port is taken, or the address is not this machine's."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as exc:
            if exc.errno in _TAKEN:
                message = N_("cannot use {address} ({reason}); choose another port: {command}")
            else:
                message = N_("cannot use {address} ({reason}); correct HOST or BIND_ADDRESS")
            raise StartError(
                message,
                address=f"{host}:{port}",
                reason=system_reason(exc),
                command=f"make up {variable}={port % 65535 + 1}",
            ) from exc
