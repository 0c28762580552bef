"""`python -m monitoring.compact`: merge past days' small Parquet files (see `compaction`)."""

import argparse
import sys
from collections.abc import Sequence

from core.messages import N_
from core.store.compaction import KEEP_MINUTES, compact
from core.store.errors import StoreError
from core.store.filesystem import Store
from monitoring.command import add_store, run, say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m monitoring.compact",
        description="Junta os arquivos Parquet de cada dia passado e versão em um só. Pode rodar "
        "a qualquer hora, com a API no ar; o que foi juntado é removido numa execução posterior.",
    )
    add_store(parser)
    parser.add_argument(
        "--keep_minutes",
        type=_minutes,
        default=KEEP_MINUTES,
        metavar="N",
        help="minutos que os arquivos já juntados ainda ficam, para quem os está lendo "
        "(padrão: %(default)g)",
    )
    options = parser.parse_args(arguments)
    return run(lambda: _job(options.inference_store, options.keep_minutes))


def _job(store: Store, keep_minutes: float) -> int:
    if store.folder is not None and not store.folder.is_dir():
        raise StoreError(N_("the inference store {store} does not exist"), store=store)
    done = compact(store, keep_minutes)
    say(
        f"{done.merged} arquivos juntados em {done.written}; "
        f"{done.removed} arquivos já substituídos removidos ({store})"
    )
    return 0


def _minutes(text: str) -> float:
    number = float(text.replace(",", "."))
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} não é um número de minutos")
    return number


if __name__ == "__main__":
    sys.exit(main())
