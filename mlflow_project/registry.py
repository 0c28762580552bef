"""Command line of the registry: `python -m mlflow_project.registry list | promote | ...`."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mlflow_project.contract import names
from mlflow_project.tables import text_table

if TYPE_CHECKING:
    from mlflow_project.ledger import Entry
    from mlflow_project.versions import Registry


_VERDICTS = {"passed": "aprovada", "failed": "reprovada"}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no MLflow, so a typing error is answered at once."""
    parser = argparse.ArgumentParser(
        prog="python -m mlflow_project.registry",
        description="Versões do modelo: listar, promover, voltar atrás, mudar o limiar.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="comando")
    commands.add_parser("list", help="tabela das versões")
    commands.add_parser("history", help="quem foi champion, quando e por quê")

    difference = commands.add_parser("diff", help="o que difere entre duas versões")
    difference.add_argument("first", metavar="v1.0.0")
    difference.add_argument("second", metavar="v1.1.0")

    promote = commands.add_parser("promote", help="passa a servir uma versão")
    promote.add_argument("--model_version", required=True, metavar="v1.1.0")
    promote.add_argument("--reason", default="", help="por quê (fica no histórico)")
    promote.add_argument(
        "--force", action="store_true", help="mesmo reprovada nos critérios; exige --reason"
    )

    rollback = commands.add_parser("rollback", help="volta à versão anterior")
    rollback.add_argument(
        "--to", metavar="v1.0.0", default=names.PREVIOUS, help="destino (padrão: %(default)s)"
    )
    rollback.add_argument(
        "--reason", required=True, type=_reason, help="por quê (fica no histórico)"
    )

    threshold = commands.add_parser("threshold", help="muda o limiar de uma versão")
    threshold.add_argument("--model_version", required=True, metavar="v1.1.0")
    threshold.add_argument("--value", required=True, type=float, metavar="0.35")
    threshold.add_argument(
        "--reason", required=True, type=_reason, help="por quê (fica no histórico)"
    )
    return parser


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("diga o motivo")
    return text


def list_versions(registry: "Registry") -> str:
    """Return the versions as a table, newest first."""
    rows = [
        [
            version.release or "–",
            str(version.number),
            ", ".join(version.aliases) or "–",
            f"{version.created.astimezone():%Y-%m-%d %H:%M}",
            _VERDICTS.get(version.tags.get("gate", ""), "–"),
            version.tags.get(names.TAG_THRESHOLD, "do modelo"),
            version.tags.get(names.TAG_DRIFT_STATUS, "–"),
        ]
        for version in registry.versions()
    ]
    if not rows:
        return f"O modelo {registry.name} ainda não tem versões."
    head = ["versão", "nº", "alias", "criada em", "critérios", "limiar", "drift"]
    return text_table(head, rows)


def show_history(registry: "Registry", entries: "Sequence[Entry]") -> str:
    """Return the ledger as a table, oldest first."""
    from mlflow_project.ledger import NOTICED

    releases = {str(v.number): v.release or f"nº {v.number}" for v in registry.versions()}
    rows = []
    for entry in entries:
        when = f"{entry.when.astimezone():%Y-%m-%d %H:%M:%S}"
        noticed = entry.action in NOTICED
        rows.append(
            [
                f"notada em {when}" if noticed else when,
                _action(entry),
                *_from_to(entry, releases),
                # Who noticed is not who did it.
                "–" if noticed else entry.who,
                entry.why or "–",
            ]
        )
    if not rows:
        return "O histórico está vazio: nenhuma versão foi promovida ainda."
    return text_table(["quando", "ação", "de", "para", "quem", "motivo"], rows)


def _action(entry: "Entry") -> str:
    """Return what was done: the command, or what a later command noticed."""
    label = {"unrecorded": "não registrada", "conflict": "conflito"}.get(entry.action, entry.action)
    return label + " --force" * bool(entry.forced) + " (na origem)" * entry.origin


def _from_to(entry: "Entry", releases: Mapping[str, str]) -> tuple[str, str]:
    """Return the two cells for people: releases, or thresholds and whose they are."""

    def release(number: str) -> str:
        if entry.origin:
            return number or "–"
        return releases.get(number, f"nº {number} (apagada)") if number else "–"

    if entry.action == "threshold":
        return entry.before, f"{entry.after} ({release(entry.version)})"
    return release(entry.before), release(entry.after)


def run(args: argparse.Namespace) -> str:
    """Carry out one command; return what to tell the operator."""
    from mlflow_project import promotion
    from mlflow_project.versions import Registry

    registry = Registry()
    match args.command:
        case "list":
            promotion.settled(registry)
            return list_versions(registry)
        case "history":
            return show_history(registry, promotion.settled(registry).entries())
        case "diff":
            from mlflow_project.version_diff import diff

            return diff(registry, args.first, args.second)
        case "promote":
            reason = args.reason or "promoção"
            version = promotion.promote(registry, args.model_version, reason, force=args.force)
        case "rollback":
            to = None if args.to == names.PREVIOUS else args.to
            version = promotion.rollback(registry, args.reason, to=to)
        case "threshold":
            version = promotion.set_threshold(registry, args.model_version, args.value, args.reason)
            return f"Limiar de {version.release}: {args.value}. A API o adota em segundos."
    return f"{version.release} (nº {version.number}) é a champion. A API a adota em segundos."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0 done, 1 refused or unreachable."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.command == "promote" and args.force and not args.reason.strip():
        parser.error("--force exige --reason")
    names.configure_mlflow_environment()
    from mlflow_project.versions import RegistryError

    try:
        sys.stdout.write(run(args) + "\n")
    except RegistryError as exc:
        sys.stderr.write(f"erro: {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
