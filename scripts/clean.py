"""Remove generated files (`make clean`); with `--all` the registry and the captured rows too.

Files that users put here stay in both cases: workbooks in data/raw, `.env`. Standard library only,
since it removes the virtual environment that it could run in.
"""

import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from core.cli.arguments import parser, run_command, say
from core.errors import ProjectError
from core.messages import N_, _
from core.messages.system import system_reason

ROOT = Path(__file__).resolve().parents[1]
REMADE = (
    *(".venv", "logs", "artifacts", "mlruns", "data/processed", "data/raw/pede_synthetic.xlsx"),
    *("monitoring/reports", "var/*.log", "var/model-cache"),
)
"""Reproducible files, as glob patterns under the project's folder."""
KEPT = {
    "data/raw": N_("workbooks"),
    "var": N_("registry: versions, runs, aliases"),
    "monitoring/inference_store": N_("captured answers"),
    "backups": N_("backups"),
}
"""Folders whose content `make clean` keeps, with their descriptions."""
PRECIOUS = ("var", "monitoring/inference_store")
"""Data that cannot be reproduced, and only `--all` removes."""
YES = ("sim", "yes")


class CleanError(ProjectError):
    """Something could not be removed, or the removal was not confirmed."""

    code = "clean_failed"


def found(patterns: Iterable[str]) -> list[Path]:
    """Return the existing paths that match these patterns, in order."""
    return [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]


def remove(path: Path) -> None:
    """Remove a file, a link or a folder.

    Raises:
        CleanError: the system refuses it.
    """
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as exc:
        raise CleanError(
            N_("cannot remove {path} ({reason})"), path=exc.filename, reason=system_reason(exc)
        ) from exc
    say(_("removed {path}", path=path.relative_to(ROOT)))


def consent(paths: Sequence[Path]) -> None:
    """Print what would be lost permanently, and ask for confirmation.

    Raises:
        CleanError: the answer was not a typed yes.
    """
    say(_("This removes for ever the registry and the captured answers:"))
    say(*(f"  {path}" for path in paths))
    sys.stdout.write(_("To agree, type sim and Enter: "))
    sys.stdout.flush()
    if sys.stdin.readline().strip().lower() not in YES:
        raise CleanError(N_("nothing was removed"))


def clean(everything: bool) -> None:
    """Remove reproducible files, with `everything` the others too; print what is kept."""
    if everything and (paths := found(PRECIOUS)):
        consent(paths)
    for path in found((*REMADE, *(PRECIOUS if everything else ()))):
        remove(path)
    for name, what in KEPT.items():
        if any((ROOT / name).glob("*")):
            say(_("kept {path} ({what})", path=name, what=_(what)))


def main(argv: Sequence[str] | None = None) -> int:
    """Clean; return the exit code."""
    arguments = parser("scripts.clean", _("Remove what running left behind."))
    arguments.add_argument(
        "--all", action="store_true", help=_("the registry and the answers too, after a typed yes")
    )
    args = arguments.parse_args(argv)
    return run_command(lambda: clean(args.all))


if __name__ == "__main__":
    sys.exit(main())
