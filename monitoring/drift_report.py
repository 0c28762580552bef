"""Compare what a version answered lately with its baseline; write the report, log it in MLflow.

`compare` is the arithmetic (`monitoring.drift`); the command around it reads the window, writes the
page and the numbers, logs both as a run, and puts the verdict on the version last.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.contract import names
from core.store.filesystem import Store
from core.store.reader import Captures, Selection
from monitoring import command
from monitoring.drift.baseline import Baseline
from monitoring.drift.comparison import ColumnDrift, DriftResult, Status, compare
from monitoring.drift.expected import FLAG, ScoreTally
from monitoring.pages.drift_page import (
    EXPECTED,
    ReportFacts,
    expectation,
    headline,
    render,
    repeated,
)
from monitoring.tracking.escalation import escalate
from monitoring.tracking.notification import notify
from monitoring.tracking.output import to_json, write_files
from monitoring.tracking.registry import JobRun, Registry

__all__ = ["DriftResult", "Status", "compare", "main"]

DEFAULT_DAYS = 7.0
ARTIFACT_FOLDER = names.JOB_DRIFT
_LEVEL = {Status.GREEN: 0.0, Status.YELLOW: 1.0, Status.RED: 2.0}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = _parser().parse_args(arguments)
    return command.run(lambda: _job(args))


def _job(args: argparse.Namespace) -> int:
    end = datetime.now(UTC)
    days = args.last_n_days or DEFAULT_DAYS
    registry = Registry()
    version = registry.version(args.model_version)
    baseline = registry.baseline(version)
    captures = Captures(
        args.inference_store,
        Selection(version.model_name, version.number, end - timedelta(days=days), end),
        {feature.name: feature.type for feature in version.contract.features},
        command.journal_folder(args.inference_store),
    )
    result, tally = _count(args.engine, baseline, captures)
    with registry.run(version, names.JOB_DRIFT, f"drift {version.release} {days:g}d") as run:
        facts = ReportFacts(
            contract=version.contract,
            model_name=version.model_name,
            model_version=version.release,
            registry_version=version.number,
            baseline_created_at=baseline.created_at,
            baseline_source=baseline.source,
            window_start=end - timedelta(days=days),
            window_end=end,
            n_requests=captures.n_requests,
            n_instances=captures.n_instances,
            n_entities=captures.n_entities,
            escalation=escalate(
                result.global_status,
                version.performance_status,
                release=version.release,
                served=version.served,
            ),
            expected=None if version.contract.outputs else tally.estimate(),
            test_metrics=registry.test_metrics(version),
            run_id=run.id,
            run_url=run.url,
            version_url=registry.version_url(version),
        )
        paths = _write(result, facts, args.output)
        _log(run, result, facts, paths, days)
        told = notify(registry, version, run, facts.escalation, headline(result, facts))
    registry.set_tag(version, names.TAG_DRIFT_STATUS, str(result.global_status))
    _tell(result, facts, paths, args.inference_store)
    command.say(*filter(None, [told]))
    return _exit_code(result.global_status, args.fail_on)


def _count(engine: str, baseline: Baseline, captures: Captures) -> tuple[DriftResult, ScoreTally]:
    """Compare on this machine or on Spark; the counts are the same."""
    if engine == "spark":
        from monitoring.drift.spark import compare_on_spark

        return compare_on_spark(baseline, captures)
    tally = ScoreTally()
    return compare(baseline, tally.watch(captures.batches((FLAG,)))), tally


def _write(result: DriftResult, facts: ReportFacts, output: Path) -> tuple[Path, Path]:
    """Write the page and the numbers of the day; a second report of a day replaces the first."""
    day = facts.window_end.astimezone().strftime("%Y%m%d")
    texts = {
        f"drift_report_{day}.html": render(result, facts),
        f"drift_metrics_{day}.json": to_json({**facts.to_dict(), **result.to_dict()}),
    }
    page, numbers = write_files(output / facts.model_version, texts)
    return page, numbers


def _log(
    run: JobRun, result: DriftResult, facts: ReportFacts, paths: Sequence[Path], days: float
) -> None:
    params = {
        "model_version": facts.model_version,
        "registry_version": facts.registry_version,
        "last_n_days": f"{days:g}",
        "window_start": facts.window_start.isoformat(timespec="seconds"),
        "window_end": facts.window_end.isoformat(timespec="seconds"),
        "baseline_created_at": facts.baseline_created_at,
        **result.policy.to_dict(),
    }
    note = facts.escalation.note(headline(result, facts))
    tags = {names.TAG_STATUS: str(result.global_status), "mlflow.note.content": note}
    tags |= facts.escalation.tags()
    run.log(params, metrics(result, facts), tags)
    for path in paths:
        run.log_file(path, ARTIFACT_FOLDER)


def metrics(result: DriftResult, facts: ReportFacts) -> dict[str, float | None]:
    """Return the run's metrics, under the same names every time; None where there is no number."""
    score = result.score
    effects = [column.effect for column in result.features if column.effect is not None]
    named: dict[str, float | None] = {
        "status_level": _LEVEL.get(result.global_status),
        "n_requests": float(facts.n_requests),
        "n_instances": float(facts.n_instances),
        "n_entities": float(facts.n_entities),
        "n_red": float(len(result.of_status(Status.RED))),
        "n_yellow": float(len(result.of_status(Status.YELLOW))),
        "n_green": float(len(result.of_status(Status.GREEN))),
        "psi_effect_max": max(effects, default=None),
        "psi_score": score.psi if score else None,
        "psi_effect_score": score.effect if score else None,
        "mean_score": score.current_mean if score else None,
        "delta_mean_score": score.delta_mean if score else None,
    }
    for name in EXPECTED:
        found = getattr(facts.expected, name, None)
        named[f"expected_{name}"] = found.value if found is not None else None
    for column in result.features:
        named[f"psi.{column.name}"] = column.psi
        named[f"psi_effect.{column.name}"] = column.effect
        named[f"missing_delta.{column.name}"] = column.missing_delta
    return named


def _tell(result: DriftResult, facts: ReportFacts, paths: Sequence[Path], store: Store) -> None:
    """Print the verdict, what lies behind it, and where to read on."""
    lines = [f"Status: {result.global_status}", headline(result, facts)]
    if result.global_status is Status.NO_DATA and not store.exists():
        lines.append(f"{store} não existe; confira --inference_store.")
    lines += filter(None, [repeated(facts)])
    lines += [_line(column) for column in _drifted(result)]
    lines += filter(None, [expectation(facts)])
    lines += filter(None, [facts.escalation.action, facts.escalation.command])
    lines += [f"Relatório: {paths[0]}", f"Métricas: {paths[1]}", f"Run no MLflow: {facts.run_url}"]
    command.say(*lines)


def _drifted(result: DriftResult) -> list[ColumnDrift]:
    columns = [*result.features, *([result.score] if result.score else [])]
    drifted = [column for column in columns if column.status in (Status.RED, Status.YELLOW)]
    return sorted(drifted, key=lambda c: (-_LEVEL[c.status], -(c.effect or 0.0)))


def _line(column: ColumnDrift) -> str:
    return (
        f"  {column.status:<6} {column.name}: PSI {column.psi:.3f} "
        f"(além do acaso {column.effect:.3f}), ausentes {column.missing_delta:+.1%}"
    )


def _exit_code(status: Status, fail_on: str | None) -> int:
    failing = {"yellow": (Status.YELLOW, Status.RED), "red": (Status.RED,)}
    return command.EXIT_DRIFT if fail_on and status in failing[fail_on] else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m monitoring.drift_report",
        description="Compara o que uma versão respondeu com a baseline dela (drift).",
    )
    command.add_version(parser)
    parser.add_argument(
        "--last_n_days",
        type=command.days,
        metavar="N",
        default=DEFAULT_DAYS,
        help=f"janela em dias até agora (padrão: {DEFAULT_DAYS:g})",
    )
    command.add_store(parser)
    command.add_output(parser)
    parser.add_argument(
        "--engine",
        choices=("local", "spark"),
        default="local",
        help="onde contar: nesta máquina ou no Apache Spark (padrão: %(default)s)",
    )
    parser.add_argument(
        "--fail-on",
        choices=("yellow", "red"),
        help="terminar com código 3 a partir deste status (para agendadores)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
