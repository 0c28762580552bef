"""Argument parsing and error reporting of every command, in the process's language.

A command builds its parser with `parser(...)` and ends in `run_command(work)`. Every option is
accepted with underscores and with hyphens (`--last_n_days`, `--last-n-days`); the help shows both,
the documented one first. Exit codes: 0 success, 1 failure, 2 usage error, 130 interrupted; an
error class may state its own in `exit_code`.
"""

import argparse
import re
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from core.contract.model import RELEASE
from core.errors import ProjectError
from core.messages import N_, _, ngettext
from core.messages.system import system_reason

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """A localized argument parser that accepts options with hyphens and with underscores."""

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        """Add an option under its name and under the same one with hyphens or underscores."""
        return super().add_argument(*both_spellings(names), **options)

    def error(self, message: str) -> NoReturn:
        """Print usage and the error; exit with status 2."""
        self.print_usage(sys.stderr)
        complain(message)
        self.exit(EXIT_USAGE)


def parser(command: str, description: str, **options: Any) -> Parser:
    """Return the parser of `python -m <command>`; `description` is translated already."""
    # argparse translates its own messages with our catalogue.
    argparse._ = _  # type: ignore[attr-defined]
    argparse.ngettext = _argparse_ngettext  # type: ignore[attr-defined]
    return Parser(prog=f"python -m {command}", description=description, **options)


def both_spellings(names: tuple[str, ...]) -> list[str]:
    """Return option names, each followed by its other spelling; positional names as they are."""
    found = list(names)
    for name in names:
        if name.startswith("--"):
            stem = name.removeprefix("--")
            for other in (stem.replace("_", "-"), stem.replace("-", "_")):
                if f"--{other}" not in found:
                    found.append(f"--{other}")
    return found


def release(text: str) -> str:
    """Parse a release such as `v1.2.0` (an argparse type)."""
    if not RELEASE.fullmatch(text):
        raise argparse.ArgumentTypeError(_("{text!r} is not of the form v1.2.0", text=text))
    return text


def year(text: str) -> int | None:
    """Parse a year (an argparse type); `auto`, MLproject's default, is None."""
    if text == "auto":
        return None
    if not re.fullmatch(r"[12][0-9]{3}", text):
        raise argparse.ArgumentTypeError(_("{text!r} is not a year, for example 2024", text=text))
    return int(text)


def say(*lines: str) -> None:
    """Print lines to standard output and flush."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print one line about an error to standard error."""
    sys.stderr.write(_("error: {text}", text=text) + "\n")


def run_command(work: Callable[[], int | None]) -> int:
    """Run a command's work; return its exit code. An expected error is printed as one line."""
    try:
        return work() or 0
    except ProjectError as exc:
        complain(str(exc))
        return getattr(exc, "exit_code", EXIT_FAILED)
    except OSError as exc:
        if exc.filename is None or exc.strerror is None:
            raise  # not about a file whose path or permissions the operator could correct
        complain(f"{exc.filename}: {system_reason(exc)}")
        return EXIT_FAILED
    except KeyboardInterrupt:
        sys.stderr.write(_("Interrupted.") + "\n")
        return EXIT_INTERRUPTED


_ARGPARSE = (
    N_("usage: "),
    N_("options"),
    N_("positional arguments"),
    N_("show this help message and exit"),
    N_("the following arguments are required: %s"),
    N_("unrecognized arguments: %s"),
    N_("argument %(argument_name)s: %(message)s"),
    N_("invalid choice: %(value)r (choose from %(choices)s)"),
    N_("invalid %(type)s value: %(value)r"),
    N_("expected one argument"),
    N_("expected at most one argument"),
    N_("expected at least one argument"),
    N_("ambiguous option: %(option)s could match %(matches)s"),
    N_("ignored explicit argument %r"),
    N_("not allowed with argument %s"),
    N_("one of the arguments %s is required"),
)
"""The standard library's own messages, marked for the catalogue."""


def _argparse_ngettext(one: str, many: str, n: int) -> str:
    return ngettext(one, many, n) if "{n}" in one else (_(one) if n == 1 else _(many))
