"""Command line of the registry: `python -m mlflow_project.registry list | promote | ...`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.contract import names
from mlflow_project.versions.arguments import build_parser

if TYPE_CHECKING:
    from core.registry.versions import Registry


def _exported(args: argparse.Namespace) -> tuple[str, Path]:
    """Return release and file of `export v1.1.0 b.zip` or `export --model_version v1.1.0 b.zip`.

    Raises:
        ValueError: there are too few or too many.
    """
    given: list[str] = [args.model_version] if args.model_version else []
    release, file = given + args.what
    return release, Path(file)


def run(args: argparse.Namespace) -> str:
    """Carry out one command; return what to tell the operator."""
    from core.registry.versions import open_registry
    from mlflow_project.versions import promotion
    from mlflow_project.versions.listing import list_versions, show_history

    registry = open_registry()
    match args.command:
        case "list":
            promotion.settled(registry)
            return list_versions(registry)
        case "history":
            return show_history(registry, promotion.settled(registry).entries())
        case "diff":
            from mlflow_project.versions.diff import diff

            return diff(registry, args.first, args.second)
        case "export" | "import":
            return _transfer(registry, args)
        case "adopt":
            return _adopt(registry, args)
        case "promote":
            reason = args.reason or "promoção"
            version = promotion.promote(
                registry,
                args.model_version,
                reason,
                force=args.force,
                accept_contract_change=args.accept_contract_change,
            )
        case "rollback":
            to = None if args.to == names.PREVIOUS else args.to
            version = promotion.rollback(registry, args.reason, to=to)
        case "threshold":
            version = promotion.set_threshold(registry, args.model_version, args.value, args.reason)
            return f"Limiar de {version.release}: {args.value}. A API o adota em segundos."
    return f"{version.release} (nº {version.number}) é a champion. A API a adota em segundos."


def _transfer(registry: "Registry", args: argparse.Namespace) -> str:
    from mlflow_project.migration.transfer import export_version, import_version

    if args.command == "export":
        release, file = _exported(args)
        done = export_version(registry, release, file)
        return (
            f"{done.release} (nº {done.number}) gravada em {file}.\n"
            f"SHA-256 do manifesto: {done.sha256}\n"
            "O arquivo traz linhas do treino, sem nome e sem RA: guarde-o como os dados."
        )
    trust, sha256 = args.trust_pickle, args.sha256
    done = import_version(registry, args.bundle, trust_pickle=trust, sha256=sha256)
    if done.identical:
        return f"{done.release} já está aqui (nº {done.number}), idêntica; nada a fazer."
    return (
        f"{done.release} registrada (nº {done.number}); o exemplo dela deu o score esperado.\n"
        f"SHA-256 do manifesto: {done.sha256}\n"
        f"Para servi-la: python -m mlflow_project.registry promote --model_version {done.release}"
    )


def _adopt(registry: "Registry", args: argparse.Namespace) -> str:
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
    lines = [f"aviso: {text}" for text in done.warnings]
    if done.renamed:
        shown = ", ".join(f"{old} → {new}" for old, new in done.renamed.items())
        lines.append(f"Entradas sem ano: {shown}")
    if done.serialization != "skops":
        lines.append("Guardada como pickle: a API só a carrega com ALLOW_PICKLE=true.")
    return "\n".join(
        [
            *lines,
            f"{release} registrada (nº {done.version.number}, {done.serialization}): dá os mesmos "
            "scores que o arquivo.",
            "Antes de servi-la, a baseline e a promoção:",
            f"python -m monitoring.build_baseline --model_version {release} --source dados.parquet",
            f"python -m mlflow_project.registry promote --model_version {release}",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0 done, 1 refused or unreachable."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.command == "promote" and args.force and not args.reason.strip():
        parser.error("--force exige --reason")
    if args.command == "export" and len(args.what) + bool(args.model_version) != 2:
        parser.error("export quer uma versão e um arquivo: export v1.1.0 bundle.zip")
    names.configure_mlflow_environment()
    from core.registry.errors import RegistryError

    try:
        sys.stdout.write(run(args) + "\n")
    except RegistryError as exc:
        sys.stderr.write(f"erro: {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
