"""Measure a version against actual outcomes; write the report, log it in MLflow.

`monitoring.performance` is the arithmetic; this command reads delayed labels, joins them with the
captured predictions, and publishes the result.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from core.captured.reader import Captures
from core.cli.arguments import complain, say, year
from core.contract import names
from core.contract.columns import column_of, probability_columns
from core.contract.model import CLASSES
from core.messages import N_, _
from core.messages.formats import number
from monitoring import command
from monitoring.pages.performance_page import (
    PerformanceFacts,
    coverage,
    headline,
    names_of,
    render,
    volumes,
)
from monitoring.performance.errors import LabelsError
from monitoring.performance.labels import KEYS, OUTCOME_YEAR, TARGET, Labels, read_labels
from monitoring.performance.matching import COLUMNS, Matched, match, versions_that_answered
from monitoring.performance.verdict import PerformanceResult, PerformanceStatus, assess
from monitoring.performance.yardsticks import yardstick_of
from monitoring.tracking.about import About
from monitoring.tracking.jobs import JobRegistry, MonitoredVersion
from monitoring.tracking.publishing import Report, publish

_MAX_GROUPS = 50
_LEVEL = {PerformanceStatus.OK: 0.0, PerformanceStatus.DEGRADED: 2.0}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = _parser().parse_args(arguments)
    return command.run_command(lambda: _job(args))


def _job(args: argparse.Namespace) -> int:
    if not args.labels.exists():
        raise LabelsError(N_("The file {path} does not exist; check --labels."), path=args.labels)
    window = command.Window.of(args.last_n_days)
    registry = JobRegistry()
    taken_for, versions = _versions(args, registry, window)
    told = [_report(args, registry, version, window) for version in versions]
    say(taken_for)
    degraded = PerformanceStatus.DEGRADED in [status for status, _captures in told]
    code = command.EXIT_DRIFT if args.fail_on and degraded else 0
    return command.exit_code(code, *(captures for _status, captures in told))


def _versions(
    args: argparse.Namespace, registry: JobRegistry, window: command.Window
) -> tuple[str, list[MonitoredVersion]]:
    """Return how the file of labels was read, and the versions to measure.

    Those are the requested version; without one, each that has predictions for the labels' periods,
    or the champion if none has.
    """
    version = registry.version(args.model_version)
    labels = _read(args, registry, version)
    if args.model_version or not labels.periods:
        return labels.taken_for, [version]
    answers = window.answers(args.inference_store, version.name)
    found, unknown = registry.registered(versions_that_answered(answers, labels))
    for gone in unknown:
        complain(_("version {number} answered and is no longer registered", number=gone))
    return labels.taken_for, found or [version]


def _read(args: argparse.Namespace, registry: JobRegistry, version: MonitoredVersion) -> Labels:
    if version.contract.outputs and not version.contract.output_kind:
        text = N_("Version {version} gives no score; there is nothing to measure.")
        raise LabelsError(text, version=version.release)
    return read_labels(
        args.labels,
        version.contract,
        args.target,
        args.group,
        args.period,
        lambda: registry.classes(version),
    )


def _report(
    args: argparse.Namespace,
    registry: JobRegistry,
    version: MonitoredVersion,
    window: command.Window,
) -> tuple[PerformanceStatus, Captures]:
    """Measure one version and publish its report."""
    labels = _read(args, registry, version)
    groups = _groups(args, version, labels)
    captured = [column_of(name) for name in groups if name not in labels.columns]
    kind = version.contract.output_kind
    classes = registry.classes(version) if kind == CLASSES else ()
    captures = window.captures(args.inference_store, version, classes=len(classes))
    kept = list(probability_columns(len(classes)))
    matched = match(labels, captures.rows([*COLUMNS, *captured, *kept]), groups, kind, kept)
    result = assess(
        matched.target,
        matched.score if matched.probabilities is None else matched.probabilities,
        matched.flag,
        matched.months,
        registry.test_metrics(version),
        tested=registry.test_rows(version),
        groups=_shown(matched, args.group),
        same_threshold=_same(matched, version),
        yardstick=yardstick_of(kind, classes),
    )
    standing = _standing(result, version)
    escalation = version.escalation(performance=standing)

    def make(about: About) -> Report:
        facts = PerformanceFacts(about, labels, matched, escalation)
        return Report(
            page=render(result, facts),
            numbers={**facts.to_dict(), **result.to_dict()},
            params={
                "joined_by": labels.by,
                "periods": ", ".join(map(str, sorted(labels.periods))),
                "same_threshold": result.same_threshold,
                **asdict(result.policy),
            },
            metrics=metrics(result, facts),
            headline=headline(result, facts),
            note=f"{headline(result, facts)}\n\n{coverage(facts)}",
            lines=_lines(result, facts),
            escalation=escalation,
            status=str(result.status),
            standing={names.TAG_PERFORMANCE_STATUS: standing},
        )

    publish(registry, version, names.JOB_PERFORMANCE, window, args.output, make, captures)
    if standing != result.status:
        say(_("The version's earlier verdict still stands: {status}.", status=standing))
    return result.status, captures


def _standing(result: PerformanceResult, version: MonitoredVersion) -> str:
    """Return the current verdict; a report with too few labels keeps the earlier one."""
    if result.status is PerformanceStatus.NO_DATA and version.performance_status:
        return version.performance_status
    return str(result.status)


def _groups(args: argparse.Namespace, version: MonitoredVersion, labels: Labels) -> list[str]:
    """Return the columns to group by: the requested ones, else all text and boolean features.

    Raises:
        LabelsError: a requested column does not exist, or identifies rows or entities.
    """
    features = {feature.name: feature.type for feature in version.contract.features}
    for name in args.group:
        if name in (version.contract.entity, *KEYS):
            text = N_("Column {column} says whose each row is; it is no group.")
            raise LabelsError(text, column=name)
        if name not in features and name not in labels.columns:
            text = N_(
                "Column {column}, of --group, is no input of version {version} nor in {path}."
            )
            raise LabelsError(text, column=name, version=version.release, path=args.labels)
    return args.group or [n for n, kind in features.items() if kind in ("string", "boolean")]


def _shown(matched: Matched, wanted: Sequence[str]) -> dict[str, list[str]]:
    """Return the groups without columns of more than `_MAX_GROUPS` values.

    Raises:
        LabelsError: such a column was requested.
    """
    many = [name for name, values in matched.groups.items() if len(set(values)) > _MAX_GROUPS]
    if wanted and many:
        text = N_("Column {column} has more than {n} values; name one with few.")
        raise LabelsError(text, column=many[0], n=_MAX_GROUPS)
    return {name: values for name, values in matched.groups.items() if name not in many}


def _same(matched: Matched, version: MonitoredVersion) -> bool:
    """Return whether all rows were answered at the threshold of the test metrics."""
    tested = version.contract.threshold
    return all(math.isclose(found, tested, abs_tol=1e-9) for found in matched.thresholds)


def metrics(result: PerformanceResult, facts: PerformanceFacts) -> dict[str, float | None]:
    """Return the run's metrics, under stable names; None where one is undefined."""
    named: dict[str, float | None] = {"status_level": _LEVEL.get(result.status)}
    named |= {k: v for k, v in volumes(facts).items() if k not in ("joined_by", "periods")}
    for name, found in result.metrics.items():
        named |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    for name, against in result.against_test.items():
        named[f"{name}_change"] = against.change
    return named


def _lines(result: PerformanceResult, facts: PerformanceFacts) -> list[str]:
    """Return the console lines with the coverage and metrics behind the verdict."""
    called = names_of(result.yardstick.kind, result.yardstick.classes)
    shown = [_line(name, called[name], result) for name in called if name in result.metrics]
    lines = [coverage(facts), *shown]
    if not result.same_threshold:
        lines.append(
            _(
                "The threshold has changed since the test: recall, precision and F2 are not "
                "compared with it."
            )
        )
    return lines


def _line(name: str, called: str, result: PerformanceResult) -> str:
    found, against = result.metrics[name], result.against_test.get(name)
    text = f"  {called}: {number(found.value, 3)}"
    if found.low is not None:
        span = _("{low} to {high}", low=number(found.low, 3), high=number(found.high, 3))
        text += f" ({span})"
    if against is not None and against.test is not None:
        text += ", " + _("in the test {value}", value=number(against.test, 3))
        text += ": " + _("worse") if against.degraded else ""
    return text


def _parser() -> argparse.ArgumentParser:
    parser = command.parser(
        "monitoring.performance_report",
        _("Measures a version by the actual outcomes of those it scored."),
        epilog=_(
            "Outcomes are matched to predictions by the columns request_id and instance, or by the "
            "person's identity: in clear, in the column that the version uses for it (needs "
            "PSEUDONYM_KEY), or as a pseudonym already, in the column entity."
        ),
    )
    command.add_version(parser)
    parser.add_argument(
        "--labels",
        type=Path,
        required=True,
        metavar=_("FILE"),
        help=_("actual outcomes: CSV, .xlsx, Parquet or JSON lines"),
    )
    parser.add_argument(
        "--target",
        default=TARGET,
        metavar=_("COLUMN"),
        help=_("column of the outcome, 0 or 1 (default: %(default)s)"),
    )
    parser.add_argument(
        "--period",
        type=year,
        metavar=_("YEAR"),
        help=_(
            "judge only answers about this year, and those captured without one; without it, by "
            "the column {column} of the file, less the version's horizon",
            column=OUTCOME_YEAR,
        ),
    )
    parser.add_argument(
        "--group",
        action="append",
        default=[],
        metavar=_("COLUMN"),
        help=_(
            "measure by group, too: an input of the version or a column of the file (may be "
            "repeated; without it, by every input that is text or yes/no)"
        ),
    )
    parser.add_argument(
        "--last_n_days",
        type=command.days,
        metavar="N",
        help=_("only predictions of the last N days; without it, all of the version's"),
    )
    command.add_store(parser)
    command.add_output(parser)
    parser.add_argument(
        "--fail-on",
        choices=("yellow", "red", "degraded"),
        help=_(
            "end with code 3 if performance became worse (for schedulers); the three values say "
            "the same here: the verdict is OK or DEGRADED, with nothing between"
        ),
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
