"""Compare what the shadow would have answered with what was answered, on the same rows.

`monitoring.agreement` is the arithmetic; the command around it reads both versions' rows, writes
the page and the numbers, and logs both as a run of the shadow's version.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from core.contract import names
from core.contract.columns import LEADING_COLUMNS, TRAILING_COLUMNS
from core.store.arrow_types import ARROW_TYPES
from core.store.reader import Captures, Selection
from core.store.schema import ROLE_SHADOW
from monitoring import command
from monitoring.errors import SameVersionError
from monitoring.pages.shadow_page import ShadowFacts, headline, render
from monitoring.performance.agreement import COLUMNS, Agreement, agree, pair
from monitoring.tracking.output import to_json, write_files
from monitoring.tracking.registry import Registry

DEFAULT_DAYS = 7.0
ARTIFACT_FOLDER = "shadow"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = _parser().parse_args(arguments)
    return command.run(lambda: _job(args))


def _job(args: argparse.Namespace) -> int:
    end = datetime.now(UTC)
    days = args.last_n_days or DEFAULT_DAYS
    start = end - timedelta(days=days)
    registry = Registry()
    answered = registry.version(args.model_version)
    shadow = registry.version(args.shadow, alias=names.CHALLENGER)
    if answered.number == shadow.number:
        raise SameVersionError(answered.release)
    left = Selection(answered.model_name, answered.number, start, end)
    right = Selection(shadow.model_name, shadow.number, start, end, ROLE_SHADOW)
    paired = pair(_rows(args, left), _rows(args, right))
    result = agree(paired)
    with registry.run(shadow, ARTIFACT_FOLDER, f"shadow {shadow.release} {days:g}d") as run:
        facts = ShadowFacts(
            model_name=shadow.model_name,
            model_version=shadow.release,
            registry_version=shadow.number,
            answered_version=answered.release,
            window_start=start,
            window_end=end,
            run_id=run.id,
            run_url=run.url,
            version_url=registry.version_url(shadow),
        )
        paths = _write(result, paired, facts, args.output)
        params = {
            "model_version": shadow.release,
            "answered_version": answered.release,
            "last_n_days": f"{days:g}",
        }
        run.log(params, metrics(result), {"mlflow.note.content": headline(result, facts)})
        for path in paths:
            run.log_file(path, ARTIFACT_FOLDER)
    command.say(
        headline(result, facts),
        f"Relatório: {paths[0]}",
        f"Métricas: {paths[1]}",
        f"Run no MLflow: {run.url}",
    )
    return 0


def metrics(result: Agreement) -> dict[str, float | None]:
    """Return the run's metrics, under the same names every time; None where there is no number."""
    return {
        "n_instances": result.n_instances,
        "n_entities": result.n_entities,
        "n_only_answered": result.n_only_answered,
        "n_only_shadow": result.n_only_shadow,
        "share_differ": result.share_differ.value,
        "mean_score": result.mean_shadow,
        "delta_mean_score": result.shift.value,
        "mean_score_distance": result.mean_distance,
        "rank_correlation": result.rank_correlation,
    }


def _rows(args: argparse.Namespace, selection: Selection) -> pa.Table:
    """Return what one version scored, without its features."""
    store = args.inference_store
    captures = Captures(store, selection, {}, command.journal_folder(store))
    kinds = {name: {**LEADING_COLUMNS, **TRAILING_COLUMNS}[name] for name in COLUMNS}
    schema = pa.schema((name, ARROW_TYPES[kind]) for name, kind in kinds.items())
    return pa.Table.from_batches(captures.rows(COLUMNS), schema)


def _write(result: Agreement, paired: pa.Table, facts: ShadowFacts, output: Path) -> list[Path]:
    """Write the page and the numbers of the day; a second report of a day replaces the first."""
    day = facts.window_end.astimezone().strftime("%Y%m%d")
    texts = {
        f"shadow_report_{day}.html": render(result, paired, facts),
        f"shadow_metrics_{day}.json": to_json({**facts.to_dict(), **result.to_dict()}),
    }
    return write_files(output / facts.model_version, texts)


def _shadow(text: str) -> str | None:
    """Read the shadow's release; empty or `challenger` is None (an argparse type)."""
    if text == names.CHALLENGER:
        return None
    if text == names.CHAMPION:
        raise argparse.ArgumentTypeError(f"{text} é a versão no ar; a sombra é outra")
    return command.release(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m monitoring.shadow_report",
        description="Compara o que a sombra teria respondido com o que foi respondido, nas mesmas "
        "linhas.",
    )
    command.add_version(parser)
    parser.add_argument(
        "--shadow",
        type=_shadow,
        metavar="v1.3.0",
        help="versão que pontuou como sombra; sem ela, a do alias challenger",
    )
    parser.add_argument(
        "--last_n_days",
        type=command.days,
        metavar="N",
        default=DEFAULT_DAYS,
        help=f"janela em dias até agora (padrão: {DEFAULT_DAYS:g})",
    )
    command.add_store(parser)
    command.add_output(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
