"""Command-line arguments of `python -m mlflow_project.registry`."""

import argparse
from pathlib import Path

from core.cli.arguments import Parser, parser
from core.contract import names
from core.contract.numbers import NumberError, read_number
from core.messages import _

_MOST = 100_000


def build_parser() -> Parser:
    """Return the parser; it imports no MLflow, so that usage errors are reported at once."""
    root = parser(
        "mlflow_project.registry",
        _("Versions of the model: list, promote, roll back, change the threshold."),
    )
    commands = root.add_subparsers(dest="command", required=True, metavar=_("command"))
    for name, text in (
        ("list", _("table of the versions")),
        ("history", _("who was champion, when and why")),
    ):
        listing = commands.add_parser(name, help=text)
        listing.add_argument("--last", type=_count, metavar="N", help=_("only the newest N"))
    difference = commands.add_parser("diff", help=_("what differs between two versions"))
    difference.add_argument("first", metavar="v1.0.0")
    difference.add_argument("second", metavar="v1.1.0")
    _add_flips(commands)
    _add_canary(commands)
    _add_describe(commands)
    _add_transfer(commands)
    _add_adopt(commands)
    _add_convert(commands)
    return root


def _add_flips(commands: "argparse._SubParsersAction[Parser]") -> None:
    promote = commands.add_parser("promote", help=_("serve a version from now on"))
    _add_version(promote)
    _add_reason(promote, required=False)
    _add_flag(promote, "--force", _("even if it failed the gate's criteria; needs --reason"))
    _add_consent(promote)
    _add_wait(promote)
    _add_flag(promote, "--yes", _("do not ask, even if it was not rehearsed"))
    commands.add_parser(
        "rehearse",
        help=_("what a version would change in captured rows (monitoring.rehearsal)"),
        add_help=False,  # further arguments are that command's
    )
    rollback = commands.add_parser("rollback", help=_("go back to the previous version"))
    text = _("where to (default: %(default)s)")
    rollback.add_argument("--to", metavar="v1.0.0", default=names.PREVIOUS, help=text)
    _add_reason(rollback)
    _add_wait(rollback)
    threshold = commands.add_parser("threshold", help=_("change a version's threshold"))
    _add_version(threshold)
    threshold.add_argument("--value", required=True, type=number, metavar="0.35")
    _add_reason(threshold)


def _add_canary(commands: "argparse._SubParsersAction[Parser]") -> None:
    canary = commands.add_parser("canary", help=_("let a version answer a share of the requests"))
    steps = canary.add_subparsers(dest="step", required=True, metavar=_("command"))
    start = steps.add_parser("start", help=_("begin, or change the share"))
    start.add_argument("release", metavar="v1.1.0")
    text = _("how many requests of a hundred it answers (default: %(default)s)")
    start.add_argument("--share", type=number, default=10.0, metavar="10", help=text)
    _add_reason(start, required=False)
    stop = steps.add_parser("stop", help=_("let the champion answer all requests again"))
    _add_reason(stop, required=False)
    promote = steps.add_parser("promote", help=_("make the canary the champion"))
    _add_reason(promote, required=False)
    _add_wait(promote)


def _add_describe(commands: "argparse._SubParsersAction[Parser]") -> None:
    describe = commands.add_parser(
        "describe", help=_("say what a version's files do not: threshold, units, ranges, ...")
    )
    describe.add_argument("model_version", metavar="v0.0.3")
    threshold = describe.add_mutually_exclusive_group()
    threshold.add_argument("--threshold", type=number, metavar="0.4", help=_("score to flag from"))
    threshold.add_argument(
        *("--threshold-policy", "--threshold_policy"),
        metavar="recall>=0.85",
        help=_("choose it on --data: recall>=x, precision>=x or share<=x"),
    )
    for name, metavar, text in (
        ("--target", _("COLUMN"), _("column of --data with the outcomes")),
        ("--positive-class", "1", _("class whose probability is the score")),
        ("--entity", _("FIELD"), _("field that identifies a person; stored as a pseudonym")),
        ("--period-field", _("FIELD"), _("field that states the period of a row")),
        ("--target-description", _("TEXT"), _("what the score predicts, in words")),
    ):
        describe.add_argument(name, metavar=metavar, help=text)
    for name, text in (
        ("--data", _("rows with known outcomes (CSV, .xlsx, Parquet, JSON lines)")),
        ("--ranges-from", _("rows that give each input's range (the same formats)")),
        ("--descriptions", _("CSV with name, description, unit, min, max")),
    ):
        describe.add_argument(name, type=Path, metavar=_("FILE"), help=text)
    describe.add_argument(
        "--units", nargs="+", type=_unit, metavar="age=years", help=_("units of inputs")
    )
    _add_flag(describe, "--reset", _("take all descriptions back"))
    _add_consent(describe)
    _add_reason(describe, required=False)


def _add_transfer(commands: "argparse._SubParsersAction[Parser]") -> None:
    export = commands.add_parser(
        "export", help=_("write a version to a file, for another MLflow server")
    )
    export.add_argument("what", nargs="+", metavar="[v1.1.0] bundle.zip")
    export.add_argument("--model_version", metavar="v1.1.0")
    importing = commands.add_parser(
        "import", help=_("register the version in a file, without promoting it")
    )
    importing.add_argument("bundle", type=Path, metavar="bundle.zip")
    importing.add_argument("--sha256", help=_("the manifest's SHA-256 that export printed"))
    text = _("accept a model that runs code when it is loaded")
    _add_flag(importing, "--trust-pickle", text)


def _add_adopt(commands: "argparse._SubParsersAction[Parser]") -> None:
    adopt = commands.add_parser("adopt", help=_("register a model.joblib of the old service"))
    for name, text in (
        ("model", _("the model's pickle (model.joblib)")),
        ("metadata", _("version, threshold and metrics (model_metadata.json)")),
        ("signature", _("inputs (model_signature.json)")),
    ):
        adopt.add_argument(f"--{name}", required=True, type=Path, metavar=_("FILE"), help=text)
    adopt.add_argument("--version", metavar="v1.1.0", help=_("instead of the metadata's"))
    adopt.add_argument("--threshold", type=number, help=_("instead of the metadata's"))
    adopt.add_argument(
        "--example", type=Path, metavar=_("FILE"), help=_("an invented instance, in JSON")
    )
    _add_flag(adopt, "--trust-pickle", _("allow reading the pickle, once"))
    text = _("store as a pickle what skops cannot hold; the API then needs ALLOW_PICKLE=true")
    _add_flag(adopt, "--keep-pickle", text)


def _add_convert(commands: "argparse._SubParsersAction[Parser]") -> None:
    text = _("register a pickled version anew, as data; it is served without ALLOW_PICKLE")
    convert = commands.add_parser("convert", help=text)
    convert.add_argument("release", metavar="v0.0.3")
    convert.add_argument("--version", metavar="v1.2.0", help=_("release of the new version"))
    _add_flag(convert, "--trust-pickle", _("allow reading the pickle, once"))


def _add_flag(command: Parser, name: str, text: str) -> None:
    command.add_argument(name, action="store_true", help=text)


def _add_version(command: Parser) -> None:
    command.add_argument("--model_version", required=True, metavar="v1.1.0")


def _add_wait(command: Parser) -> None:
    command.add_argument(
        "--wait",
        type=number,
        metavar=_("SECONDS"),
        help=_("return when all known proxies answer with it; exit code 3 if one does not"),
    )


def _add_consent(command: Parser) -> None:
    text = _("even if it breaks those who use the API today (the refusal lists how)")
    _add_flag(command, "--accept-contract-change", text)


def _add_reason(command: Parser, *, required: bool = True) -> None:
    text = _("why (kept in the history)")
    if required:
        command.add_argument("--reason", required=True, type=_reason, help=text)
    else:
        command.add_argument("--reason", default="", help=text)


def number(text: str) -> float:
    """Parse a number with a point or a comma (an argparse type)."""
    try:
        return read_number(text)
    except NumberError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def _unit(text: str) -> tuple[str, str]:
    name, separator, unit = text.partition("=")
    if not (name and separator):
        raise argparse.ArgumentTypeError(_("{text!r} is not of the form name=unit", text=text))
    return name, unit


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= _MOST):
        raise argparse.ArgumentTypeError(_("{text!r} is not a whole number above 0", text=text))
    return int(text)


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError(_("give a reason"))
    return text
