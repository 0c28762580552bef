"""Compare the shadow's predictions with those served, on the same rows.

`monitoring.performance.agreement` is the arithmetic; this command reads both versions' rows and
publishes the comparison as a run of the shadow's version.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict

import pyarrow as pa

from core.captured.reader import Captures
from core.contract import names
from core.contract.columns import LEADING_COLUMNS, TRAILING_COLUMNS
from core.contract.model import CLASSES
from core.messages import _
from core.store.arrow_types import ARROW_TYPES
from core.store.schema import ROLE_SHADOW
from monitoring import command
from monitoring.pages.shadow_page import ShadowFacts, headline, render
from monitoring.performance.agreement import COLUMNS, Agreement, Shift, pair
from monitoring.performance.agreement_of_kinds import (
    AnyAgreement,
    ValueAgreement,
    agree_in_kind,
    common_kind,
)
from monitoring.performance.errors import SameVersionError
from monitoring.tracking.about import About
from monitoring.tracking.jobs import JobRegistry
from monitoring.tracking.publishing import Report, publish

JOB = "shadow"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = _parser().parse_args(arguments)
    return command.run_command(lambda: _job(args))


def _job(args: argparse.Namespace) -> int:
    window = command.Window.of(args.last_n_days)
    registry = JobRegistry()
    answered = registry.version(args.model_version)
    shadow = registry.version(args.shadow, alias=names.CHALLENGER)
    if answered.number == shadow.number:
        raise SameVersionError(version=answered.release, option="--shadow")
    store = args.inference_store
    releases = answered.release, shadow.release
    kind = common_kind(answered.contract, shadow.contract, releases)
    primary = window.captures(store, answered, features=False)
    beside = window.captures(store, shadow, ROLE_SHADOW, features=False)
    paired = pair(_rows(primary), _rows(beside), kind)
    named = [registry.classes(one) for one in (answered, shadow) if kind == CLASSES]
    result = agree_in_kind(paired, kind, *named)

    compared_with = {"answered_version": answered.release}

    def make(about: About) -> Report:
        facts = ShadowFacts(about, answered.release)
        return Report(
            page=render(result, paired, facts),
            numbers={**compared_with, **asdict(result)},
            params=compared_with,
            metrics=metrics(result),
            headline=headline(result, facts),
        )

    publish(registry, shadow, JOB, window, args.output, make, primary, beside)
    return command.exit_code(0, primary, beside)


def metrics(result: AnyAgreement) -> dict[str, float | None]:
    """Return the run's metrics, under stable names; None where one is undefined."""
    named: dict[str, float | None]
    named = {"n_instances": result.n_instances, "n_entities": result.n_entities}
    if isinstance(result, Shift):
        named |= {"mean_score": result.mean_shadow, "rank_correlation": result.rank_correlation}
    if isinstance(result, ValueAgreement):
        return {**named, "mae": result.mae, "rmse": result.rmse, "bias": result.shift.value}
    named["share_differ"] = result.share_differ.value
    if isinstance(result, Agreement):
        named |= {
            "n_only_answered": result.n_only_answered,
            "n_only_shadow": result.n_only_shadow,
            "delta_mean_score": result.shift.value,
            "mean_score_distance": result.mean_distance,
        }
    return named


def _rows(captures: Captures) -> pa.Table:
    """Return one version's captured rows as one table, without features."""
    kinds = {name: {**LEADING_COLUMNS, **TRAILING_COLUMNS}[name] for name in COLUMNS}
    schema = pa.schema((name, ARROW_TYPES[kind]) for name, kind in kinds.items())
    return pa.Table.from_batches(captures.rows(COLUMNS), schema)


def _shadow(text: str) -> str | None:
    """Read the shadow's release; empty or `challenger` is None (an argparse type)."""
    if text == names.CHALLENGER:
        return None
    if text == names.CHAMPION:
        raise argparse.ArgumentTypeError(
            _("{text} is the version that is served; the shadow is another", text=text)
        )
    return command.release(text)


def _parser() -> argparse.ArgumentParser:
    parser = command.parser(
        "monitoring.shadow_report",
        _("Compares what the shadow would have answered with what was answered, on the same rows."),
    )
    command.add_version(parser)
    parser.add_argument(
        "--shadow",
        type=_shadow,
        metavar="v1.3.0",
        help=_("version that scored as shadow; without it, the one of the alias challenger"),
    )
    command.add_window(parser)
    command.add_store(parser)
    command.add_output(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
