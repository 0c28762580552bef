"""What can be typed after `python -m mlflow_project.registry`."""

import argparse
from pathlib import Path

from core.contract import names


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
    promote.add_argument(
        "--accept-contract-change",
        action="store_true",
        help="mesmo que quebre quem usa a API hoje (a lista vem na recusa)",
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
    export = commands.add_parser("export", help="grava uma versão em um arquivo, para outro MLflow")
    export.add_argument("what", nargs="+", metavar="[v1.1.0] bundle.zip")
    export.add_argument("--model_version", metavar="v1.1.0")

    importing = commands.add_parser(
        "import", help="registra a versão de um arquivo, sem promovê-la"
    )
    importing.add_argument("bundle", type=Path, metavar="bundle.zip")
    importing.add_argument("--sha256", help="o SHA-256 do manifesto que export mostrou")
    importing.add_argument(
        "--trust-pickle",
        action="store_true",
        help="aceita um modelo que executa código ao carregar",
    )
    _add_adopt(commands)
    return parser


def _add_adopt(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    adopt = commands.add_parser("adopt", help="registra um model.joblib do serviço antigo")
    for name, text in (
        ("model", "o pickle do modelo (model.joblib)"),
        ("metadata", "versão, limiar e métricas (model_metadata.json)"),
        ("signature", "entradas (model_signature.json)"),
    ):
        adopt.add_argument(f"--{name}", required=True, type=Path, metavar="ARQUIVO", help=text)
    adopt.add_argument("--version", metavar="v1.1.0", help="no lugar da que está nos metadados")
    adopt.add_argument("--threshold", type=float, help="no lugar do que está nos metadados")
    adopt.add_argument(
        "--example", type=Path, metavar="ARQUIVO", help="uma instância inventada, em JSON"
    )
    adopt.add_argument(
        "--trust-pickle", action="store_true", help="permite ler o pickle, uma única vez"
    )
    adopt.add_argument(
        "--keep-pickle",
        action="store_true",
        help="guarda como pickle o que não cabe em skops; a API exige ALLOW_PICKLE=true",
    )


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("diga o motivo")
    return text
