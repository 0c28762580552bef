"""Command-line options that the jobs share: version, store, window and output folder."""

import argparse
import os
from contextlib import suppress
from pathlib import Path

from core.captured.reader import Captures
from core.cli.arguments import parser, run_command
from core.cli.arguments import release as _release
from core.contract.names import CHAMPION, DEFAULT_INFERENCE_STORE
from core.contract.numbers import NumberError, read_number
from core.messages import _
from core.store.filesystem import Store
from core.store.places import journal_folder as journal_folder_of
from core.store.places import store_place
from core.store.quarantined import EXIT_QUARANTINED
from monitoring.tracking.window import Window

__all__ = ["Window", "parser", "run_command"]

EXIT_DRIFT = 3
DEFAULT_OUTPUT = Path("monitoring/reports")
DEFAULT_DAYS = 7.0

_MAX_DAYS = 36_500


def exit_code(code: int, *read: Captures) -> int:
    """Return a job's exit code; instead of 0, `EXIT_QUARANTINED` if a file could not be read."""
    return code or (EXIT_QUARANTINED if any(one.quarantined for one in read) else 0)


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add `--model_version`; absent, empty or `champion` means the champion (None)."""
    parser.add_argument(
        "--model_version",
        type=release,
        metavar="v1.2.3",
        help=_("version to use; without it, the one that is served (champion)"),
    )


def add_window(parser: argparse.ArgumentParser, usual: float = DEFAULT_DAYS) -> None:
    """Add `--last_n_days`; absent or empty means `usual`."""
    parser.add_argument(
        "--last_n_days",
        type=lambda text: days(text) or usual,
        metavar="N",
        default=usual,
        help=_("window in days until now (default: {days})", days=usual),
    )


def add_fields(parser: argparse.ArgumentParser, about: str) -> None:
    """Add `--by`, a repeatable option that names an input to group rows by."""
    parser.add_argument("--by", action="append", default=[], metavar=_("FIELD"), help=about)


def add_engine(parser: argparse.ArgumentParser, about: str) -> None:
    """Add `--engine`: `local` or `spark`."""
    parser.add_argument("--engine", choices=("local", "spark"), default="local", help=about)


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add `--inference_store`: a folder or a bucket."""
    parser.add_argument(
        "--inference_store",
        type=_store,
        metavar="DIR",
        default=os.environ.get("INFERENCE_STORE") or DEFAULT_INFERENCE_STORE,
        help=_(
            "where the API keeps what it answered, a folder or s3://bucket/prefix "
            "(default: %(default)s)"
        ),
    )


def add_output(parser: argparse.ArgumentParser, name: str = "--output") -> None:
    """Add the option for the folder of reports, by default `--output`."""
    parser.add_argument(
        name,
        type=Path,
        metavar="DIR",
        default=DEFAULT_OUTPUT,
        help=_("where to write the reports (default: %(default)s)"),
    )


def _store(text: str) -> Store:
    """Return the store at an address; `JOURNAL_DIR` applies to the environment's store only."""
    try:
        place = store_place(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            _(
                "the inference store is neither a folder nor s3://bucket/prefix (without access "
                "keys)"
            )
        ) from None
    ours = text == (os.environ.get("INFERENCE_STORE") or DEFAULT_INFERENCE_STORE)
    return Store(place, journal_folder_of(place, os.environ.get("JOURNAL_DIR", "") if ours else ""))


def days(text: str) -> float | None:
    """Read a number of days above 0; empty is None (an argparse type)."""
    if not text:
        return None
    with suppress(NumberError):
        if 0 < (number := read_number(text)) <= _MAX_DAYS:
            return number
    raise argparse.ArgumentTypeError(_("{text!r} is not a number of days above zero", text=text))


def release(text: str) -> str | None:
    """Read a release; empty or `champion` is None (an argparse type)."""
    return None if text in ("", CHAMPION) else _release(text)
