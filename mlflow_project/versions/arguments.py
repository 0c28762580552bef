"""What can be typed after `python -m mlflow_project.registry`."""

import argparse
from collections.abc import Callable
from pathlib import Path

from core.cli.arguments import Parser, parser
from core.contract import names
from core.contract.numbers import NumberError, read_share
from core.messages import _


def build_parser() -> Parser:
    """Return the parser; it needs no MLflow, so a typing error is answered at once."""
    root = parser(
        "mlflow_project.registry",
        _("Versions of the model: list, promote, roll back, change the threshold."),
    )
    commands = root.add_subparsers(dest="command", required=True, metavar=_("command"))
    commands.add_parser("list", help=_("table of the versions"))
    commands.add_parser("history", help=_("who was champion, when and why"))
    difference = commands.add_parser("diff", help=_("what differs between two versions"))
    difference.add_argument("first", metavar="v1.0.0")
    difference.add_argument("second", metavar="v1.1.0")
    _add_flips(commands)
    _add_transfer(commands)
    _add_adopt(commands)
    return root


def _add_flips(commands: "argparse._SubParsersAction[Parser]") -> None:
    promote = commands.add_parser("promote", help=_("serve a version from now on"))
    _add_version(promote)
    _add_reason(promote, required=False)
    promote.add_argument(
        "--force",
        action="store_true",
        help=_("even if it failed the gate's criteria; needs --reason"),
    )
    promote.add_argument(
        "--accept-contract-change",
        action="store_true",
        help=_("even if it breaks those who use the API today (the refusal lists how)"),
    )
    rollback = commands.add_parser("rollback", help=_("go back to the previous version"))
    rollback.add_argument(
        "--to",
        metavar="v1.0.0",
        default=names.PREVIOUS,
        help=_("where to (default: %(default)s)"),
    )
    _add_reason(rollback)
    threshold = commands.add_parser("threshold", help=_("change a version's threshold"))
    _add_version(threshold)
    threshold.add_argument("--value", required=True, type=share, metavar="0.35")
    _add_reason(threshold)


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
    importing.add_argument(
        "--trust-pickle",
        action="store_true",
        help=_("accept a model that runs code when it is loaded"),
    )


def _add_adopt(commands: "argparse._SubParsersAction[Parser]") -> None:
    adopt = commands.add_parser("adopt", help=_("register a model.joblib of the old service"))
    for name, text in (
        ("model", _("the model's pickle (model.joblib)")),
        ("metadata", _("version, threshold and metrics (model_metadata.json)")),
        ("signature", _("inputs (model_signature.json)")),
    ):
        adopt.add_argument(f"--{name}", required=True, type=Path, metavar=_("FILE"), help=text)
    adopt.add_argument("--version", metavar="v1.1.0", help=_("instead of the metadata's"))
    adopt.add_argument("--threshold", type=share, help=_("instead of the metadata's"))
    adopt.add_argument(
        "--example", type=Path, metavar=_("FILE"), help=_("an invented instance, in JSON")
    )
    adopt.add_argument(
        "--trust-pickle", action="store_true", help=_("allow reading the pickle, once")
    )
    adopt.add_argument(
        "--keep-pickle",
        action="store_true",
        help=_("store as a pickle what skops cannot hold; the API then needs ALLOW_PICKLE=true"),
    )


def _add_version(command: Parser) -> None:
    command.add_argument("--model_version", required=True, metavar="v1.1.0")


def _add_reason(command: Parser, *, required: bool = True) -> None:
    options: dict[str, Callable[[str], str] | str] = (
        {"type": _reason} if required else {"default": ""}
    )
    text = _("why (kept in the history)")
    command.add_argument("--reason", required=required, help=text, **options)


def share(text: str) -> float:
    """Read a number between 0 and 1, with a point or a comma (an argparse type)."""
    try:
        return read_share(text)
    except NumberError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError(_("give a reason"))
    return text
