"""Compare a version's recent predictions with its baseline; write the report, log it in MLflow.

`compare` is the arithmetic (`monitoring.drift.comparison`); this command reads the window and
publishes the result.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict

import pyarrow as pa

from core.captured.reader import Captures
from core.contract import names
from core.contract.columns import column_of
from core.messages import _
from core.messages.formats import number, percent
from monitoring import command
from monitoring.drift.baseline import OF_COLUMN, Baseline
from monitoring.drift.comparison import ALARMS, KNOWING, ColumnDrift, DriftResult, Status, compare
from monitoring.drift.errors import TableError
from monitoring.drift.expected import ClassTally, Expected, Tally, tally_of
from monitoring.drift.slices import SliceDrift, by_slice
from monitoring.pages.drift_page import DriftFacts, expectation, headline, render, repeated, stands
from monitoring.tracking.about import About
from monitoring.tracking.escalation import Escalation
from monitoring.tracking.jobs import JobRegistry, MonitoredVersion
from monitoring.tracking.publishing import Report, publish
from monitoring.tracking.rows import answered, preceding, trained

JOB_WINDOWS = "drift_windows"
"""Job name of a comparison of two windows, which gives no verdict on the version."""
_LEVEL = {status: float(level) for level, status in enumerate(KNOWING)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = _parser().parse_args(arguments)
    return command.run_command(lambda: _job(args))


def _job(args: argparse.Namespace) -> int:
    window = command.Window.of(args.last_n_days)
    registry = JobRegistry()
    version = registry.version(args.model_version)
    earlier, reference, read = bool(args.against), None, []
    if earlier:
        job = JOB_WINDOWS
        reference, baseline, before = preceding(window, args.inference_store, version, registry)
        read.append(before)
    else:
        job, baseline = names.JOB_DRIFT, registry.baseline(version)
    captures = window.captures(args.inference_store, version, classes=len(baseline.classes))
    result, tally = _count(args.engine, baseline, captures)
    slices = _slices(args, registry, version, window, reference, baseline.classes)
    status, standing = str(result.global_status), _standing(result, version)
    # The verdict on a version rests on its baseline; comparing two windows changes no tag.
    nothing = Escalation("NONE", None, None)
    escalation = nothing if earlier else version.escalation(drift=standing)

    def make(about: About) -> Report:
        facts = DriftFacts(
            about=about,
            contract=version.contract,
            baseline=baseline,
            n_requests=captures.n_requests,
            n_instances=captures.n_instances,
            n_entities=captures.n_entities,
            escalation=escalation,
            expected=_expected(registry, version, tally),
            test_metrics=registry.test_metrics(version),
            standing=status if earlier else standing,
            slices=slices,
            windows=earlier,
        )
        return Report(
            page=render(result, facts),
            numbers={**facts.to_dict(), **result.to_dict()},
            params={"baseline_created_at": baseline.created_at, **asdict(result.policy)},
            metrics=metrics(result, facts),
            headline=headline(result, facts),
            lines=[*_lines(result, facts), *_slice_lines(facts)],
            escalation=None if earlier else escalation,
            status=status,
            standing={}
            if earlier
            else {names.TAG_DRIFT_STATUS: standing, names.TAG_DRIFT_LAST_LOOK: status},
        )

    publish(registry, version, job, window, args.output, make, captures, *read)
    failing = any(result.global_status in _FAILING[word] for word in args.fail_on)
    return command.exit_code(command.EXIT_DRIFT if failing else 0, captures, *read)


def _slices(
    args: argparse.Namespace,
    registry: JobRegistry,
    version: MonitoredVersion,
    window: command.Window,
    reference: pa.Table | None,
    classes: Sequence[str],
) -> dict[str, tuple[SliceDrift, ...]]:
    """Return the drift within each value of the requested columns, by column."""
    if not args.by:
        return {}
    for name in args.by:
        if name not in version.contract.feature_names:
            raise TableError(OF_COLUMN, name=name, reason=_("it is no input of the version"))
    if reference is None:
        reference = trained(registry, version)
    captures = window.captures(args.inference_store, version, classes=len(classes))
    rows = answered(captures, version, classes)
    if not rows.num_rows:
        return {}
    columns = [name for name in reference.column_names if name in rows.column_names]
    reference, rows = reference.select(columns), rows.select(columns)
    return {name: by_slice(reference, rows, column_of(name)) for name in dict.fromkeys(args.by)}


def _slice_lines(facts: DriftFacts) -> list[str]:
    return [
        "  " + _("{column} {value}: {status}", column=column, value=one.name, status=one.status)
        for column, found in facts.slices.items()
        for one in found
        if one.status in KNOWING
    ]


def _standing(result: DriftResult, version: MonitoredVersion) -> str:
    """Return the current verdict; a report without a verdict keeps the earlier one."""
    if result.global_status not in KNOWING and version.drift_status in KNOWING:
        return str(version.drift_status)
    return str(result.global_status)


def _expected(registry: JobRegistry, version: MonitoredVersion, tally: Tally) -> Expected | None:
    """Return the expected performance; that of scores is widened by its last year-change error."""
    if isinstance(tally, ClassTally):
        return tally.estimate()
    found = None if version.contract.outputs else tally.estimate()
    return found and found.widened(registry.year_change_errors(version))


def _count(engine: str, baseline: Baseline, captures: Captures) -> tuple[DriftResult, Tally]:
    """Compare locally or on Spark; both give the same counts."""
    if engine == "spark":
        from monitoring.drift.spark import compare_on_spark

        return compare_on_spark(baseline, captures)
    tally = tally_of(baseline.classes)
    return compare(baseline, tally.watch(captures.batches(tally.columns))), tally


def metrics(result: DriftResult, facts: DriftFacts) -> dict[str, float | None]:
    """Return the run's metrics, under stable names; None where one is undefined."""
    score = result.score
    effects = [column.effect for column in result.features if column.effect is not None]
    named: dict[str, float | None] = {
        "status_level": _LEVEL.get(result.global_status),
        "n_requests": float(facts.n_requests),
        "n_instances": float(facts.n_instances),
        "n_entities": float(facts.n_entities),
        **result.counts(),
        "psi_effect_max": max(effects, default=None),
        "psi_score": score.psi if score else None,
        "psi_effect_score": score.effect if score else None,
        "mean_score": score.current_mean if score else None,
        "delta_mean_score": score.delta_mean if score else None,
    }
    for name, estimate in (facts.expected.estimates() if facts.expected else {}).items():
        named[f"expected_{name}"] = estimate.value
    for column in result.features:
        named[f"psi.{column.name}"] = column.psi
        named[f"psi_effect.{column.name}"] = column.effect
        named[f"missing_delta.{column.name}"] = column.missing_delta
    return named


def _lines(result: DriftResult, facts: DriftFacts) -> list[str]:
    """Return the console lines with the details of the verdict."""
    drifted = [_line(column) for column in result.ranked() if column.status in ALARMS]
    lines = [stands(result, facts), repeated(facts), *drifted, expectation(facts)]
    return list(filter(None, lines))


def _line(column: ColumnDrift) -> str:
    return "  " + _(
        "{status} {column}: PSI {psi} (beyond chance {effect}), missing {before} → {now}",
        status=column.status.ljust(6),
        column=column.name,
        psi=number(column.psi, 3),
        effect=number(column.effect, 3),
        before=percent(column.baseline_missing_rate),
        now=percent(column.current_missing_rate),
    )


_FAILING = {
    "red": (Status.RED,),
    "yellow": ALARMS,
    "inconclusive": (Status.INCONCLUSIVE, Status.NO_DATA),
    "no_data": (Status.NO_DATA,),
}
"""Statuses for which the command exits with `EXIT_DRIFT`, by the value of `--fail-on`."""


def _parser() -> argparse.ArgumentParser:
    parser = command.parser(
        "monitoring.drift_report", _("Compares what a version answered with its baseline (drift).")
    )
    command.add_version(parser)
    command.add_window(parser)
    command.add_store(parser)
    command.add_output(parser)
    command.add_engine(
        parser, _("where to count: on this machine or on Apache Spark (default: %(default)s)")
    )
    parser.add_argument(
        "--against",
        choices=("previous-window",),
        help=_("compare with the window of the same length before, not with the baseline"),
    )
    command.add_fields(
        parser,
        _(
            "compare each value of this input by itself, too (may be repeated), with the version's "
            "training reference or the window before"
        ),
    )
    parser.add_argument(
        "--fail-on",
        action="append",
        default=[],
        choices=tuple(_FAILING),
        help=_(
            "end with code 3 on this status (for schedulers); yellow includes red, inconclusive "
            "includes no_data; may be repeated"
        ),
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
