"""Command line of the registry: `python -m mlflow_project.registry list | promote | ...`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli.arguments import run_command, say
from core.contract import names
from core.messages import N_, _, decimal
from core.messages.formats import percent
from core.mlflow_client.client import translated
from mlflow_project.versions.arguments import build_parser

if TYPE_CHECKING:
    from core.registry.versions import Registry, Version


_FIRST = ("import", "adopt")
"""Commands that may create the registered model."""


def run(args: argparse.Namespace) -> None:
    """Run one command and print its result lines for the operator."""
    from core.registry.versions import open_registry
    from mlflow_project.flips.adoption import wait_until_adopted

    registry = open_registry()
    if args.command not in _FIRST:
        registry.check_name()
    say(*_COMMANDS[args.command](registry, args))
    if getattr(args, "wait", None) is not None:
        say(_("Proxies: {told}", told=wait_until_adopted(registry, args.wait)))


def _list(registry: "Registry", args: argparse.Namespace) -> list[str]:
    from mlflow_project.flips import canary
    from mlflow_project.flips.adoption import proxies_told
    from mlflow_project.flips.listing import list_versions

    canary.look(registry)
    table = list_versions(registry, args.last)
    return [table, _("Proxies: {told}", told=proxies_told(registry))]


def _history(registry: "Registry", args: argparse.Namespace) -> list[str]:
    from mlflow_project.flips import canary
    from mlflow_project.flips.listing import show_history

    return [show_history(registry, canary.look(registry).entries(args.last))]


def _diff(registry: "Registry", args: argparse.Namespace) -> list[str]:
    from mlflow_project.versions.diff import diff

    return [diff(registry, args.first, args.second)]


def _promote(registry: "Registry", args: argparse.Namespace) -> list[str]:
    from mlflow_project.flips.promotion import promote
    from mlflow_project.flips.rehearsal import show_rehearsal

    show_rehearsal(registry, args.model_version, yes=args.yes)
    forced, consent = args.force, args.accept_contract_change
    reason = args.reason or _("promotion")
    return _is_champion(
        promote(registry, args.model_version, reason, force=forced, accept_contract_change=consent)
    )


def _rollback(registry: "Registry", args: argparse.Namespace) -> list[str]:
    from mlflow_project.flips.promotion import rollback
    from mlflow_project.flips.rehearsal import look_again

    to = None if args.to == names.PREVIOUS else args.to
    version = rollback(registry, args.reason, to=to)
    return [*_is_champion(version), *look_again(registry, version.release)]


def _threshold(registry: "Registry", args: argparse.Namespace) -> list[str]:
    from mlflow_project.flips.promotion import set_threshold

    release = set_threshold(registry, args.model_version, args.value, args.reason).release
    return _soon(_("Threshold of {release}: {value}.", release=release, value=decimal(args.value)))


def _canary(registry: "Registry", args: argparse.Namespace) -> list[str]:
    """Start, stop or promote a canary."""
    from mlflow_project.flips import canary

    match args.step:
        case "start":
            reason = args.reason or _("canary")
            version = canary.start(registry, args.release, args.share, reason)
            facts = {"release": version.release, "share": percent(args.share / 100)}
            text = N_("{release} (no. {number}) answers {share} of the requests as canary.")
            return _soon(_(text, **facts, number=version.number))
        case "promote":
            return _is_champion(canary.promote(registry, args.reason or _("promotion")))
        case _:
            canary.stop(registry, args.reason or _("canary stopped"))
            return [_("The champion answers all requests again, within seconds.")]


def _is_champion(version: "Version") -> list[str]:
    release, number = version.release, version.number
    return _soon(_("{release} (no. {number}) is the champion.", release=release, number=number))


def _soon(told: str) -> list[str]:
    return [f"{told} " + _("The API adopts it within seconds.")]


def _describe(registry: "Registry", args: argparse.Namespace) -> list[str]:
    from core.registry.packages import read_contract
    from mlflow_project.describing.description import describe, reset_description
    from mlflow_project.describing.knowledge import known_of

    release, consent = args.model_version, args.accept_contract_change
    if args.reset:
        reset_description(registry, release, args.reason, accept_contract_change=consent)
        told = _("{release} is as it was registered.", release=release)
    else:
        version = registry.by_release(release)
        known = known_of(registry, version, read_contract(registry, version), args)
        contract = describe(registry, release, known, args.reason, accept_contract_change=consent)
        told = _("{release} is described.", release=release)
        if not contract.outputs:
            value = decimal(contract.threshold)
            told += " " + _("Threshold of {release}: {value}.", release=release, value=value)
    return _soon(told)


def _export(registry: "Registry", args: argparse.Namespace) -> list[str]:
    from mlflow_project.migration.transfer import export_version

    named = [args.model_version] if args.model_version else []
    release, file = named + args.what
    done = export_version(registry, release, Path(file))
    facts = {"release": done.release, "number": done.number, "file": file}
    return [
        _("{release} (no. {number}) written to {file}.", **facts),
        _("SHA-256 of the manifest: {digest}", digest=done.sha256),
        _("The file holds training rows, without name or RA: keep it as you keep the data."),
    ]


def _import(registry: "Registry", args: argparse.Namespace) -> list[str]:
    from mlflow_project.migration.transfer import import_version

    trust, sha256 = args.trust_pickle, args.sha256
    done = import_version(registry, args.bundle, trust_pickle=trust, sha256=sha256)
    facts = {"release": done.release, "number": done.number}
    if done.identical:
        return [_("{release} is here already (no. {number}), identical; nothing to do.", **facts)]
    return [
        _("{release} registered (no. {number}); its example gave the expected score.", **facts),
        _("SHA-256 of the manifest: {digest}", digest=done.sha256),
        _("To serve it: {command}", command=_to_serve(done.release)),
    ]


def _to_serve(release: str) -> str:
    return f"python -m mlflow_project.registry promote --model_version {release}"


def _adopt(registry: "Registry", args: argparse.Namespace) -> list[str]:
    from mlflow_project.migration.adopt import Request, adopt

    done = adopt(
        registry,
        Request(
            args.model,
            args.metadata,
            args.signature,
            args.version,
            args.threshold,
            args.example,
            args.trust_pickle,
            args.keep_pickle,
        ),
    )
    release = done.version.release
    lines = [_("warning: {text}", text=text) for text in done.warnings]
    if done.renamed:
        shown = ", ".join(f"{old} → {new}" for old, new in done.renamed.items())
        lines.append(_("Inputs without year: {names}", names=shown))
    if done.serialization != "skops":
        lines.append(_("Stored as a pickle: the API loads it only with ALLOW_PICKLE=true."))
    facts = {"release": release, "number": done.version.number, "kind": done.serialization}
    return [
        *lines,
        _("{release} registered (no. {number}, {kind}): it scores as the file does.", **facts),
        _("Before it is served, its baseline and its promotion:"),
        f"python -m monitoring.build_baseline --model_version {release} --source dados.parquet",
        _to_serve(release),
    ]


def _convert(registry: "Registry", args: argparse.Namespace) -> list[str]:
    from mlflow_project.migration.convert import convert

    trust = args.trust_pickle
    done = convert(registry, args.release, trust_pickle=trust, new=args.version)
    facts = {"release": done.release, "number": done.number, "old": args.release}
    return [
        _("{release} registered (no. {number}, skops): it answers as {old} does.", **facts),
        _("To serve it: {command}", command=_to_serve(done.release)),
    ]


_COMMANDS = {
    "list": _list,
    "history": _history,
    "diff": _diff,
    "promote": _promote,
    "rollback": _rollback,
    "threshold": _threshold,
    "canary": _canary,
    "describe": _describe,
    "export": _export,
    "import": _import,
    "adopt": _adopt,
    "convert": _convert,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code.

    0 done, 1 refused or unreachable, 3 done but not adopted by every proxy (`--wait`).
    """
    parser = build_parser()
    args, rest = parser.parse_known_args(argv)
    if args.command == "rehearse":
        from mlflow_project.flips.rehearsal import run_monitoring

        return run_monitoring("rehearsal", rest)
    if rest:
        parser.error(_("unrecognized arguments: %s") % " ".join(rest))
    if args.command == "promote" and args.force and not args.reason.strip():
        parser.error(_("--force needs --reason"))
    if args.command == "export" and len(args.what) + bool(args.model_version) != 2:
        parser.error(_("export wants a version and a file: export v1.1.0 bundle.zip"))
    uri = names.configure_mlflow_environment()
    return run_command(translated(uri)(lambda: run(args)))


if __name__ == "__main__":
    sys.exit(main())
