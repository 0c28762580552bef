"""`make services`: MLflow, the API and the routines as systemd units, without containers.

They belong to a user's own manager (`--user`), or to the machine's (`--system`, as root), with more
hardening. Ports and address are those of `.env`, read when the units are written.
"""

import argparse
import getpass
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.cli.arguments import parser, run_command, say
from core.messages import N_, _
from scripts.starting.addresses import Options, load_env_file, read_options
from scripts.starting.processes import ROOT, StartError
from scripts.starting.units import API, MLFLOW, PREFIX, Place, server, service, timer
from scripts.up import api_command, child_environment, mlflow_command

SYSTEM = Path("/etc/systemd/system")


def units(options: Options, user: str = "") -> dict[str, str]:
    """Return the text of each unit by its name.

    `user` is the account of a machine's units; empty for units of a user's own manager.
    """
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    # Compaction is a routine of its own here.
    given = {**child_environment(options), "PATH": path, "COMPACT_HOUR": "none"}
    place = Place(str(ROOT), given, user)
    upgrade = [sys.executable, "-m", "scripts.up", "--upgrade-only"]
    after, follow = "After=network.target", f"Wants={MLFLOW}\n"
    found = {
        MLFLOW: server(
            place, f"{PREFIX}: MLflow", mlflow_command(options), f"{after}\n", first=upgrade
        ),
        # No hard dependency: without MLflow the API serves its local copy.
        API: server(place, f"{PREFIX}: API", api_command(options), f"{after} {MLFLOW}\n{follow}"),
    }
    for routine in routines():
        name = f"{PREFIX}-{routine['name'].replace(' ', '-')}"
        about = f"{PREFIX}: {routine['name']}"
        command = [sys.executable, "-m", routine["module"], *routine["arguments"]]
        once, unit = "Type=oneshot\nNice=10\n", f"After={MLFLOW}\n{follow}"
        found[f"{name}.service"] = service(place, about, command, once, unit)
        found[f"{name}.timer"] = timer(about, routine["when"])
    return found


def routines() -> list[dict[str, Any]]:
    """Return monitoring's routines, as its command lists them."""
    command = [sys.executable, "-m", "monitoring.routines", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


def install(folder: Path, texts: dict[str, str], manager: Sequence[str]) -> None:
    """Write the units and start them; without a running systemd they are only written.

    Raises:
        StartError: systemctl failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    say(_("{n} units written to {folder}", n=len(texts), folder=folder))
    if not _runs(manager):
        say(_("systemd does not run here: the units are written and not started"))
        return
    started = [name for name in texts if name in (MLFLOW, API) or name.endswith(".timer")]
    _systemctl(manager, "daemon-reload")
    _systemctl(manager, "enable", "--now", *started)
    say(_("running; see them by: {c}", c=" ".join([*manager, "list-units", f"'{PREFIX}-*'"])))


def remove(folder: Path, texts: dict[str, str], manager: Sequence[str]) -> None:
    """Stop and remove the units; data stay.

    Raises:
        StartError: systemctl failed.
    """
    there = [name for name in texts if (folder / name).exists()]
    if there and _runs(manager):
        _systemctl(manager, "disable", "--now", *there)
    for name in there:
        (folder / name).unlink()
    if there and _runs(manager):
        _systemctl(manager, "daemon-reload")
    say(_("{n} units removed from {folder}", n=len(there), folder=folder))


def _runs(manager: Sequence[str]) -> bool:
    """Return whether the systemd manager is running."""
    if shutil.which(manager[0]) is None:
        return False
    asked = subprocess.run([*manager, "show-environment"], capture_output=True, check=False)
    return asked.returncode == 0


def _systemctl(manager: Sequence[str], *arguments: str) -> None:
    if code := subprocess.run([*manager, *arguments], check=False).returncode:
        what = " ".join([*manager, *arguments])
        raise StartError(
            N_("{what} failed (exit code {code}); the cause is just above"), what=what, code=code
        )


def run(args: argparse.Namespace) -> None:
    """Install or remove, for this user or for the machine."""
    load_env_file(ROOT / ".env")
    none = argparse.Namespace(host=None, api_port=None, mlflow_port=None, workers=None, source=None)
    options = read_options(none, os.environ)
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    folder = args.to or (SYSTEM if args.system else home / "systemd/user")
    manager = ["systemctl"] if args.system else ["systemctl", "--user"]
    user = (ROOT.owner() if args.system else "") or ""
    texts = units(options, user)
    if user == "root":
        say(_("the services will run as root, who owns this folder; better: chown -R USER ."))
    if args.action == "install":
        install(folder, texts, manager)
        if not args.system:
            user = getpass.getuser()
            say(_("to keep them running after logout: loginctl enable-linger {user}", user=user))
    else:
        remove(folder, texts, manager)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = parser("scripts.services", _("MLflow, the API and the routines as systemd units."))
    arguments.add_argument("action", choices=("install", "remove"), help=_("what to do"))
    whose = arguments.add_mutually_exclusive_group()
    whose.add_argument("--user", action="store_true", help=_("of this user (default)"))
    whose.add_argument("--system", action="store_true", help=_("of the machine; needs root"))
    arguments.add_argument("--to", type=Path, help=_("folder of the units (default: systemd's)"))
    args = arguments.parse_args(argv)
    return run_command(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
