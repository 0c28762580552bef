"""Texts of systemd's units: MLflow, the API, and a service with a timer per routine."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PREFIX = "risco"
MLFLOW, API = f"{PREFIX}-mlflow.service", f"{PREFIX}-api.service"
MEMORY = "2G"
"""Memory limit of each service, in systemd's notation."""

# Hardening that a user's own manager can apply too, without privileges.
_ANYWHERE = """NoNewPrivileges=yes
UMask=0077
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
LimitCORE=0
LimitNOFILE=16384
TasksMax=512
"""
_BY_ROOT = """User={user}
CapabilityBoundingSet=
AmbientCapabilities=
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={folder}
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictNamespaces=yes
RemoveIPC=yes
"""


@dataclass(frozen=True, slots=True)
class Place:
    """The project's folder, and the variables of each process, which override those of `.env`.

    `user` is the account of a unit of the machine; empty for a unit of a user's own manager.
    """

    folder: str
    environment: Mapping[str, str]
    user: str = ""


def service(
    place: Place, about: str, command: Sequence[str], more: str = "", unit: str = ""
) -> str:
    """Return a unit that runs a command; `about` is what `systemctl status` shows.

    `more` are further lines of its `[Service]`, `unit` of its `[Unit]`.
    """
    folder = _escaped(place.folder)
    hardening = _ANYWHERE + (
        _BY_ROOT.format(user=place.user, folder=_quoted(place.folder)) if place.user else ""
    )
    return (
        f"[Unit]\nDescription={_escaped(about)}\n{unit}\n"
        f"[Service]\nWorkingDirectory={folder}\nEnvironmentFile=-{folder}/.env\n"
        f"ExecStart={_line(place, command)}\n{more}MemoryMax={MEMORY}\n{hardening}"
    )


def server(
    place: Place, about: str, command: Sequence[str], unit: str, first: Sequence[str] = ()
) -> str:
    """Return the unit of a server, started after the command `first` and always restarted."""
    more = "Restart=always\nRestartSec=5\nTimeoutStopSec=60\nKillMode=mixed\n"
    if first:
        more = f"ExecStartPre={_line(place, first)}\nTimeoutStartSec=1800\n{more}"
    target = "multi-user.target" if place.user else "default.target"
    return f"{service(place, about, command, more, unit)}\n[Install]\nWantedBy={target}\n"


def _line(place: Place, command: Sequence[str]) -> str:
    """Return a command line in the place's environment."""
    # By env(1), since EnvironmentFile overrides Environment.
    variables = [f"{name}={value}" for name, value in sorted(place.environment.items())]
    return " ".join(map(_quoted, ["/usr/bin/env", *variables, *command]))


def timer(about: str, when: Mapping[str, str]) -> str:
    """Return a timer for the service of the same name; a run missed while off is made up for.

    `when` has fields of a crontab: `hour`, `minute`, and a `day` of the month or `day_of_week`.
    """
    week = f"{_DAYS[int(when['day_of_week'])]} " if "day_of_week" in when else ""
    day = f"*-*-{int(when['day']):02}" if "day" in when else "*-*-*"
    clock = f"{int(when['hour']):02}:{int(when['minute']):02}:00"
    return (
        f"[Unit]\nDescription={_escaped(about)}\n\n[Timer]\nOnCalendar={week}{day} {clock}\n"
        "Persistent=true\n\n[Install]\nWantedBy=timers.target\n"
    )


_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    """Return a command-line word quoted for systemd, its specifiers and variables escaped."""
    plain = _escaped(text).replace("$", "$$")
    if shlex.quote(plain) == plain:
        return plain
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
