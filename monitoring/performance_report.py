"""Measure a version by what became of those it scored; write the report, log it in MLflow.

`monitoring.performance` is the arithmetic; the command around it reads late labels, joins them with
the answers in the store, writes the page and the numbers, logs both, and sets the version's tag
last.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.contract import names
from core.store.filesystem import Store
from core.store.reader import Captures, Selection
from monitoring import command
from monitoring.errors import LabelsError
from monitoring.pages.performance_page import (
    NAMES,
    PerformanceFacts,
    coverage,
    headline,
    render,
    volumes,
)
from monitoring.pages.plots import number
from monitoring.performance.labels import KEYS, TARGET, Labels, read_labels
from monitoring.performance.matching import COLUMNS, Matched, match
from monitoring.performance.verdict import PerformanceResult, PerformanceStatus, assess
from monitoring.tracking.escalation import escalate
from monitoring.tracking.notification import notify
from monitoring.tracking.output import to_json, write_files
from monitoring.tracking.registry import JobRun, Registry
from monitoring.tracking.version import Version

ARTIFACT_FOLDER = names.JOB_PERFORMANCE
_MAX_GROUPS = 50
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_LEVEL = {PerformanceStatus.OK: 0.0, PerformanceStatus.DEGRADED: 2.0}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = _parser().parse_args(arguments)
    return command.run(lambda: _job(args))


def _job(args: argparse.Namespace) -> int:
    if not args.labels.is_file():
        raise LabelsError(f"O arquivo {args.labels} não existe; confira --labels.")
    end = datetime.now(UTC)
    start = end - timedelta(days=args.last_n_days) if args.last_n_days else None
    registry = Registry()
    version = registry.version(args.model_version)
    if version.contract.outputs:
        raise LabelsError(f"A versão {version.release} não dá score; não há o que medir.")
    labels = read_labels(args.labels, version.contract, args.target, args.group)
    groups = _groups(args, version, labels)
    matched = _match(labels, version, args.inference_store, start or _BEGINNING, end, groups)
    result = assess(
        matched.target,
        matched.score,
        matched.flag,
        matched.months,
        registry.test_metrics(version),
        groups=_shown(matched, args.group),
        same_threshold=_same(matched, version),
    )
    standing = _standing(result, version)
    with registry.run(version, names.JOB_PERFORMANCE, f"performance {version.release}") as run:
        facts = PerformanceFacts(
            model_name=version.model_name,
            model_version=version.release,
            registry_version=version.number,
            window_start=start,
            window_end=end,
            labels=labels,
            matched=matched,
            escalation=escalate(
                version.drift_status, standing, release=version.release, served=version.served
            ),
            run_id=run.id,
            run_url=run.url,
            version_url=registry.version_url(version),
        )
        paths = _write(result, facts, args.output)
        _log(run, result, facts, paths)
        told = notify(registry, version, run, facts.escalation, headline(result, facts))
    registry.set_tag(version, names.TAG_PERFORMANCE_STATUS, standing)
    _tell(result, facts, paths)
    command.say(*filter(None, [told]))
    if standing != result.status:
        command.say(f"Continua valendo o veredito anterior da versão: {standing}.")
    failed = args.fail_on and result.status is PerformanceStatus.DEGRADED
    return command.EXIT_DRIFT if failed else 0


def _standing(result: PerformanceResult, version: Version) -> str:
    """Return the verdict that now holds: too few labels take back no earlier one."""
    if result.status is PerformanceStatus.NO_DATA and version.performance_status:
        return version.performance_status
    return str(result.status)


def _groups(args: argparse.Namespace, version: Version, labels: Labels) -> list[str]:
    """Return the columns to measure by: those asked for, else what is text or boolean by nature.

    Raises:
        LabelsError: one asked for is nowhere, or says who a row is.
    """
    features = {feature.name: feature.type for feature in version.contract.features}
    for name in args.group:
        if name in (version.contract.entity, *KEYS):
            raise LabelsError(f"A coluna {name} diz de quem é cada linha; não é um grupo.")
        if name not in features and name not in labels.columns:
            raise LabelsError(
                f"A coluna {name}, de --group, não é entrada da versão {version.release} nem está "
                f"em {args.labels}."
            )
    return args.group or [n for n, kind in features.items() if kind in ("string", "boolean")]


def _shown(matched: Matched, wanted: Sequence[str]) -> dict[str, list[str]]:
    """Leave out columns of too many values.

    Raises:
        LabelsError: one of them was asked for.
    """
    many = [name for name, values in matched.groups.items() if len(set(values)) > _MAX_GROUPS]
    if wanted and many:
        raise LabelsError(
            f"A coluna {many[0]} tem mais de {_MAX_GROUPS} valores; indique uma de poucos."
        )
    return {name: values for name, values in matched.groups.items() if name not in many}


def _match(
    labels: Labels,
    version: Version,
    store: Store,
    start: datetime,
    end: datetime,
    groups: Sequence[str],
) -> Matched:
    captures = Captures(
        store,
        Selection(version.model_name, version.number, start, end),
        {feature.name: feature.type for feature in version.contract.features},
        command.journal_folder(store),
    )
    captured = [name for name in groups if name not in labels.columns]
    return match(labels, captures.rows([*COLUMNS, *captured]), groups)


def _same(matched: Matched, version: Version) -> bool:
    """Tell whether all rows were answered under the threshold that the test metrics are of."""
    tested = version.contract.threshold
    return all(math.isclose(found, tested, abs_tol=1e-9) for found in matched.thresholds)


def _write(result: PerformanceResult, facts: PerformanceFacts, output: Path) -> list[Path]:
    """Write the page and the numbers of the day; a second report of a day replaces the first."""
    day = facts.window_end.astimezone().strftime("%Y%m%d")
    texts = {
        f"performance_report_{day}.html": render(result, facts),
        f"performance_metrics_{day}.json": to_json({**facts.to_dict(), **result.to_dict()}),
    }
    return write_files(output / facts.model_version, texts)


def _log(
    run: JobRun, result: PerformanceResult, facts: PerformanceFacts, paths: Sequence[Path]
) -> None:
    start = facts.window_start
    params = {
        "model_version": facts.model_version,
        "registry_version": facts.registry_version,
        "window_start": start.isoformat(timespec="seconds") if start else "",
        "window_end": facts.window_end.isoformat(timespec="seconds"),
        "joined_by": facts.labels.by,
        "same_threshold": result.same_threshold,
        **result.policy.to_dict(),
    }
    note = facts.escalation.note(f"{headline(result, facts)}\n\n{coverage(facts)}")
    tags = {names.TAG_STATUS: str(result.status), "mlflow.note.content": note}
    tags |= facts.escalation.tags()
    run.log(params, metrics(result, facts), tags)
    for path in paths:
        run.log_file(path, ARTIFACT_FOLDER)


def metrics(result: PerformanceResult, facts: PerformanceFacts) -> dict[str, float | None]:
    """Return the run's metrics, under the same names every time; None where there is no number."""
    named: dict[str, float | None] = {"status_level": _LEVEL.get(result.status)}
    named |= {name: value for name, value in volumes(facts).items() if name != "joined_by"}
    for name, found in result.metrics.items():
        named |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    for name, against in result.against_test.items():
        named[f"{name}_change"] = against.change
    return named


def _tell(result: PerformanceResult, facts: PerformanceFacts, paths: Sequence[Path]) -> None:
    """Print the verdict, the numbers, and where to read on."""
    lines = [f"Status: {result.status}", headline(result, facts), coverage(facts)]
    lines += [_line(name, result) for name in NAMES if name in result.metrics]
    if not result.same_threshold:
        lines.append(
            "O limiar mudou desde o teste: recall, precisão e F2 não são comparados com ele."
        )
    lines += filter(None, [facts.escalation.action, facts.escalation.command])
    lines += [f"Relatório: {paths[0]}", f"Métricas: {paths[1]}", f"Run no MLflow: {facts.run_url}"]
    command.say(*lines)


def _line(name: str, result: PerformanceResult) -> str:
    found, against = result.metrics[name], result.against_test.get(name)
    text = f"  {NAMES[name]}: {number(found.value, 3)}"
    if found.low is not None:
        text += f" ({number(found.low, 3)} a {number(found.high, 3)})"
    if against is not None and against.test is not None:
        text += f", no teste {number(against.test, 3)}"
        text += ": pior" if against.degraded else ""
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m monitoring.performance_report",
        description="Mede uma versão pelos resultados reais de quem ela pontuou.",
        epilog="Os resultados se ligam às predições pelas colunas request_id e instance, ou pela "
        "identificação da pessoa: em claro, na coluna que a versão usa para ela (exige "
        "PSEUDONYM_KEY), ou já como pseudônimo, na coluna entity.",
    )
    command.add_version(parser)
    parser.add_argument(
        "--labels",
        type=Path,
        required=True,
        metavar="ARQUIVO",
        help="resultados reais, em .csv, .parquet ou .jsonl",
    )
    parser.add_argument(
        "--target",
        default=TARGET,
        metavar="COLUNA",
        help="coluna do resultado, 0 ou 1 (padrão: %(default)s)",
    )
    parser.add_argument(
        "--group",
        action="append",
        default=[],
        metavar="COLUNA",
        help="medir também por grupo: uma entrada da versão ou uma coluna do arquivo (pode se "
        "repetir; sem isto, por toda entrada que é texto ou sim/não)",
    )
    parser.add_argument(
        "--last_n_days",
        type=command.days,
        metavar="N",
        help="só predições dos últimos N dias; sem isto, todas as da versão",
    )
    command.add_store(parser)
    command.add_output(parser)
    parser.add_argument(
        "--fail-on",
        choices=("yellow", "red", "degraded"),
        help="terminar com código 3 se o desempenho piorou (para agendadores); os três valores "
        "dizem o mesmo aqui: o veredito é OK ou DEGRADED, sem meio-termo",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
