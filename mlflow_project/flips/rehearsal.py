"""Rehearsals, made by a monitoring command; a promotion shows the newest one of its version."""

import os
import subprocess
import sys
from collections.abc import Sequence

from core.cli.arguments import say
from core.contract import names
from core.messages import N_, _
from core.messages.formats import moment
from core.registry.runs import RunRecord, newest_runs
from core.registry.versions import Registry, Version
from mlflow_project.versions.errors import Refused

_NOTE = "mlflow.note.content"
_YES = ("y", "yes", "s", "sim")


def run_monitoring(command: str, options: Sequence[str]) -> int:
    """Run a monitoring command as a subprocess; return its exit code.

    It prints to this process's output. Under `mlflow run` it logs a run of its own, not ours.
    """
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_RUN_ID"}
    line = [sys.executable, "-m", f"monitoring.{command}", *options]
    return subprocess.run(line, env=environment, check=False).returncode


def newest_rehearsal(registry: Registry, version: Version) -> RunRecord | None:
    """Return the newest finished rehearsal of a version; None where there is none."""
    filters = (
        f"tags.{names.TAG_JOB} = '{names.JOB_REHEARSAL}' and attributes.status = 'FINISHED' "
        f"and tags.{names.TAG_REGISTRY_VERSION} = '{version.number}'"
    )
    runs = newest_runs(registry, names.monitoring_experiment(registry.name), filters, most=1)
    # Version numbers may be reused after a deletion.
    return next((run for run in runs if run.started >= version.created), None)


def show_rehearsal(registry: Registry, release: str, *, yes: bool = False) -> None:
    """Print the result of a version's newest rehearsal; without one, ask for confirmation.

    No confirmation is asked for with `yes`, without a terminal, or without another champion to
    compare with.

    Raises:
        Refused: the operator did not confirm.
        UnknownVersion: there is no such release.
    """
    version = registry.by_release(release)
    if registry.aliases().get(names.CHAMPION) in (None, version.number):
        return
    if found := newest_rehearsal(registry, version):
        text = found.tags.get(_NOTE, "")
        say(_("Rehearsed {time}: {headline}", time=moment(found.started), headline=text))
        return
    text = _(
        "{release} was not rehearsed. To see first what it changes: "
        "python -m mlflow_project.registry rehearse {release}",
        release=release,
    )
    say(text)
    if yes or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    say(_("Promote {release} without a rehearsal? [y/N]", release=release))
    if sys.stdin.readline().strip().lower() not in _YES:
        raise Refused(N_("{release} was not promoted."), release=release)


def look_again(registry: Registry, release: str) -> list[str]:
    """Return the command that lists whom the version before a rollback answered differently."""
    left = registry.by_alias(names.PREVIOUS)
    if left is None:
        return []
    command = (
        f"python -m mlflow_project.registry rehearse {release} --answered_by {left.release} "
        "--output rever.xlsx"
    )
    facts = {"release": left.release, "command": command}
    return [_("Who got another answer than {release} gives: {command}", **facts)]
