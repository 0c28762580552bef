"""List children in order of risk from a PEDE workbook: `python -m mlflow_project.risk_list`.

Reads the newest year's sheet, scores it through a proxy's API (`--url`; by default a temporary
proxy of the registry's champion) and writes an Excel list, or CSV. Names and registration numbers
are written to that file alone.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from core.cli import arguments
from core.errors import ProjectError
from core.files.whole import replacing
from core.messages import N_, _, ngettext
from core.messages.system import system_reason
from core.sheets import ScoredSheet

SUFFIXES = (".xlsx", ".csv")


class ListError(ProjectError):
    """The workbook cannot be read, or the list cannot be written."""

    code = "list"
    exit_code = 2
    message = N_("{path}: {reason}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(argv)
    return arguments.run_command(lambda: make_list(options))


def make_list(options: argparse.Namespace) -> None:
    """Read, score and write; print how many rows were scored, flagged and not scored.

    Raises:
        ProjectError: reading, scoring or writing failed.
    """
    from mlflow_project.lists import read, write
    from mlflow_project.lists.scoring import score_sheet
    from mlflow_project.lists.table import write_csv

    if options.output.suffix.lower() not in SUFFIXES:
        raise ListError(N_("--output must end with .xlsx or .csv"))
    key = os.environ.get("PSEUDONYM_KEY", "")
    try:
        sheet = read(options.source.read_bytes(), options.year)
        if not key:
            text = _(
                "PSEUDONYM_KEY is not set: what is captured of this list can never be joined with "
                "outcomes, child by child."
            )
            arguments.say(text)
        with _api(options.url) as api:
            scored = score_sheet(api, sheet, key)
        content = (write_csv if options.output.suffix.lower() == ".csv" else write)(scored)
        with replacing(options.output) as path:
            path.write_bytes(content)
    except OSError as exc:
        raise ListError(path=exc.filename or options.output, reason=system_reason(exc)) from exc
    arguments.say(*summary(scored), _("Written: {path}", path=options.output))


def _api(url: str | None) -> "AbstractContextManager":
    """Return the API at `url`, or that of a temporary proxy."""
    from mlflow_project.lists.own_proxy import own_proxy
    from mlflow_project.lists.scoring import ProxyApi

    if url is None:
        return own_proxy()
    keys = os.environ.get("API_KEY") or os.environ.get("API_KEYS", "").split(",")[0]
    return nullcontext(ProxyApi(url, keys.strip()))


def summary(scored: ScoredSheet) -> list[str]:
    """Return summary lines of the list without personal data."""
    sheet = scored.sheet
    lines = [
        _("{model} {release}, sheet of {year}", model=scored.model_name, release=scored.release,
          year=str(sheet.year)),
        ngettext("{n} child scored, {flagged} flagged", "{n} children scored, {flagged} flagged",
                 len(scored.results), flagged=scored.flagged),
    ]  # fmt: skip
    if sheet.unscored:
        lines.append(
            ngettext("{n} row not scored: see the list", "{n} rows not scored: see the list",
                     len(sheet.unscored))
        )  # fmt: skip
    return lines


def _parser() -> arguments.Parser:
    made = arguments.parser(
        "mlflow_project.risk_list",
        _(
            "Makes the list of children in order of risk from a year's sheet of the PEDE workbook. "
            "A help for people, no decision; names and RAs stay in the list."
        ),
        epilog=_("The environment variables are listed in .env.example."),
    )
    made.add_argument("--source", type=Path, required=True, help=_("PEDE workbook (.xlsx)"))
    made.add_argument("--output", type=Path, required=True, help=_("list to write (.xlsx, .csv)"))
    made.add_argument(
        "--year", type=arguments.year, help=_("year of the sheet (default: the newest)")
    )
    made.add_argument(
        "--url",
        help=_(
            "address of the proxy, whose key is in API_KEY; without it the registry's champion "
            "scores in a proxy that lives as long as this command"
        ),
    )
    return made


if __name__ == "__main__":
    sys.exit(main())
