"""Replay captured rows through a candidate and the champion: the effect of a promotion.

`monitoring.replay` is the arithmetic; this command resolves the versions, publishes the comparison
as a run of the candidate, and with `--output` writes the rows whose prediction changes.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from core.cli.arguments import both_spellings
from core.contract.model import CLASSES
from core.contract.names import JOB_REHEARSAL
from core.messages import _
from core.tables.writing import check_output
from monitoring import command
from monitoring.pages.rehearsal_page import RehearsalFacts, headline, render
from monitoring.performance.agreement import Shift
from monitoring.performance.agreement_of_kinds import common_kind
from monitoring.performance.errors import SameVersionError
from monitoring.replay.captured import Answered
from monitoring.replay.changes import write_changes
from monitoring.replay.errors import UnknownGroup
from monitoring.replay.replaying import Replay, default_groups, empty
from monitoring.replay.result import Names, Rehearsal, measure
from monitoring.tracking.about import About
from monitoring.tracking.jobs import JobRegistry, MonitoredVersion
from monitoring.tracking.publishing import Report, publish

DEFAULT_DAYS = 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = _parser().parse_args(arguments)
    return command.run_command(lambda: _job(args))


def _job(args: argparse.Namespace) -> int:
    if args.output:
        check_output(args.output, excel_br=False)
    window = command.Window.of(args.last_n_days)
    registry = JobRegistry()
    after = registry.version(args.release or args.model_version)
    before = registry.version(args.answered_by or args.against)
    if before.number == after.number and not args.answered_by:
        raise SameVersionError(version=after.release, option="--against")
    kind = common_kind(before.contract, after.contract, (before.release, after.release))
    groups = _groups(args.by, after)
    only = before if args.answered_by else None
    answered = Answered(registry, window, args.inference_store, after.name, only)
    named = [registry.classes(one) for one in (before, after) if kind == CLASSES]
    names = Names(*named)
    beside = None if only else before
    if args.engine == "spark":
        from monitoring.replay.spark import replay_on_spark

        rows, read = replay_on_spark(
            registry, answered, after, beside, groups, named=kind == CLASSES
        )
    else:
        rows, read = _here(registry, answered, after, beside, groups)
    result, compared, changed = measure(rows, kind, names, groups, read)
    result = result.widened(*(registry.year_change_errors(one) for one in (before, after)))
    if args.output:
        check_output(args.output, excel_br=False, rows=changed.num_rows)
        write_changes(changed, kind, names, args.output)

    compared_with = {"before_version": before.release, "as_answered": bool(args.answered_by)}

    def make(about: About) -> Report:
        facts = RehearsalFacts(
            about,
            before_version=before.release,
            as_answered=bool(args.answered_by),
            served=before.served,
            changes=str(args.output) if args.output else None,
            called=after.contract.called,
        )
        return Report(
            page=render(result, compared, facts),
            numbers={**compared_with, **result.to_dict()},
            params={
                **compared_with,
                "before_registry_version": before.number,
                "engine": args.engine,
            },
            metrics=metrics(result),
            headline=headline(result, facts),
            lines=_lines(result, answered, facts),
        )

    publish(registry, after, JOB_REHEARSAL, window, args.reports, make, *answered.captures)
    return command.exit_code(0, *answered.captures)


def _here(
    registry: JobRegistry,
    answered: Answered,
    after: MonitoredVersion,
    before: MonitoredVersion | None,
    groups: tuple[str, ...],
) -> tuple[pa.Table, int]:
    """Replay locally; return the replayed rows and the number of rows read."""
    beside = registry.scorer(before) if before else None
    batches = list(answered.replayed(Replay(registry.scorer(after), beside, groups)))
    rows = pa.Table.from_batches(batches) if batches else empty(groups)
    return rows, answered.n_instances


def _groups(by: Sequence[str], version: MonitoredVersion) -> tuple[str, ...]:
    """Return the features to group rows by: the requested ones, or the contract's defaults.

    Raises:
        UnknownGroup: the contract has no such feature.
    """
    for name in by:
        if name not in version.contract.feature_names:
            raise UnknownGroup(name=name, version=version.release)
    return tuple(dict.fromkeys(by)) or default_groups(version.contract)


def metrics(result: Rehearsal) -> dict[str, float | None]:
    """Return the run's metrics, under stable names; None where one is undefined."""
    named = result.volumes()
    if isinstance(found := result.agreement, Shift):
        named["mean_score_before"] = found.mean_answered
        named["mean_score_after"] = found.mean_shadow
        named["rank_correlation"] = found.rank_correlation
    for side, expected in (("before", result.before), ("after", result.after)):
        for name, estimate in (expected.estimates() if expected else {}).items():
            named[f"expected_{name}_{side}"] = estimate.value
    return named


def _lines(result: Rehearsal, answered: Answered, facts: RehearsalFacts) -> list[str]:
    """Return the console lines between the headline and the location of the report."""
    lines = [f"  {reason}: {n}" for reason, n in list(result.reasons.items())[:5]]
    if answered.unknown:
        shown = ", ".join(map(str, answered.unknown))
        lines.append(
            _(
                "Rows of versions that the registry no longer has are left out: {numbers}",
                numbers=shown,
            )
        )
    if facts.changes:
        lines.append(_("Changed answers: {file}", file=facts.changes))
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = command.parser(
        "monitoring.rehearsal",
        _("Replays captured rows through a version beside the one that is served."),
    )
    # The version may be positional, for `registry rehearse v1.1.0`.
    parser.add_argument("release", nargs="?", type=command.release, metavar="v1.1.0")
    command.add_version(parser)
    beside = parser.add_mutually_exclusive_group()
    for name, about in (
        ("--against", _("version beside it; without it, the one that is served (champion)")),
        (
            "--answered_by",
            _("compare with what this version answered then, for example before a rollback"),
        ),
    ):
        spellings = both_spellings((name,))
        beside.add_argument(*spellings, type=command.release, metavar="v1.0.0", help=about)
    command.add_window(parser, DEFAULT_DAYS)
    command.add_fields(
        parser,
        _(
            "count by this input, too (may be repeated); without it, by those that are categories "
            "in the contract"
        ),
    )
    command.add_store(parser)
    command.add_engine(
        parser, _("where to score: on this machine or on Apache Spark (default: %(default)s)")
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar=_("FILE"),
        help=_("list requests and pseudonyms whose answer changes, in .parquet, .xlsx or .csv"),
    )
    command.add_output(parser, "--reports")
    return parser


if __name__ == "__main__":
    sys.exit(main())
