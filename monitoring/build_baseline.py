"""Freeze what a version's inputs and score look like, and name it on the version.

`monitoring.drift.fitting` is the arithmetic; the command around it finds the rows, logs the
baseline as an MLflow run, and sets the version's tag last, so the tag never names a run without a
baseline.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from core.captured.reader import Captures
from core.cli.arguments import say
from core.contract import names
from core.contract.columns import feature_of
from core.contract.model import CLASSES
from core.messages import N_, _, ngettext
from core.store.quarantined import told
from monitoring import command
from monitoring.drift.baseline import SCORE, Baseline
from monitoring.drift.classes import class_names, with_classes
from monitoring.drift.errors import BaselineError
from monitoring.drift.expected import FLAG
from monitoring.drift.fitting import fit_baseline
from monitoring.drift.reference import (
    PERIOD,
    Reference,
    newest_period,
    read_source,
    score_rows,
    select_features,
)
from monitoring.tracking.jobs import JobRegistry, MonitoredVersion

FEW_ROWS = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = _parser().parse_args(arguments)
    return command.run_command(lambda: _job(args))


def _job(args: argparse.Namespace) -> int:
    source = read_source(args.source) if args.source else None
    registry = JobRegistry()
    version = registry.version(args.model_version)
    captures = None
    if args.last_n_days is not None:
        captures = command.Window.of(args.last_n_days).captures(args.inference_store, version)
        reference = _captured(registry, version, args, captures)
    elif source is not None:
        reference = _scored(registry, version, source, str(args.source))
    else:
        reference = _trained(registry, version)
    baseline = replace(
        fit_baseline(reference.table),
        classes=reference.classes,
        model_name=version.model_name,
        model_version=version.release,
        registry_version=version.number,
        source=reference.source,
        scored_by=reference.scored_by,
    )
    url = _log(registry, version, baseline)
    scored = ", ".join(_(_SCORERS[who], n=n) for who, n in baseline.scored_by.items() if n)
    say(
        _(
            "Baseline of version {version} built: {rows}, {features}.",
            version=version.release,
            rows=ngettext("{n} row", "{n} rows", baseline.n_rows),
            features=ngettext("{n} feature", "{n} features", len(baseline.features)),
        ),
        _("Origin: {source}. Scores: {scored}.", source=baseline.source, scored=scored),
        _("MLflow run: {url}", url=url),
    )
    if baseline.n_rows < FEW_ROWS:
        say(
            _(
                "Attention: with fewer than {n} rows the baseline is coarse; only large changes "
                "will be noticed.",
                n=FEW_ROWS,
            )
        )
    if captures is None:
        return 0
    say(*told(captures.quarantined))
    return command.exit_code(0, captures)


_SCORERS = {
    "reference": N_("{n} by fits that had not seen the row"),
    "model": N_("{n} by this version"),
    "capture": N_("{n} by capture of the API"),
}


def _trained(registry: JobRegistry, version: MonitoredVersion) -> Reference:
    """Return the version's own training reference."""
    known = registry.reference(version)
    if known is None or not _has_score(known, version):
        text = N_(
            "Version {version} keeps no {artifact} with the column {score}; name the rows with "
            "--source or --last_n_days."
        )
        facts = {"artifact": names.ARTIFACT_REFERENCE, "score": SCORE}
        raise BaselineError(text, version=version.release, **facts)
    source, newest = _("training reference of the version"), newest_period(known)
    if newest is not None:
        known = known.filter(pc.equal(known.column(PERIOD), newest))
        source = _("training reference of the version, period {period}", period=newest)
    return Reference(_with_score(known, version), source, {"reference": known.num_rows})


def _scored(
    registry: JobRegistry, version: MonitoredVersion, source: pa.Table, name: str
) -> Reference:
    """Return the rows of a file, each with a score by a fit that has not learnt it."""
    known = registry.reference(version)
    if known is not None and _has_score(known, version):
        # In the contract's types, as the rows are, or equal rows would not be found equal.
        known = _with_score(known, version)
    features = select_features(source, version.contract, name)
    if version.contract.output_kind == CLASSES:
        places, classes = registry.answered(version, features)
        answered = class_names(pa.array(places), classes)
        table, n = features.append_column(SCORE, answered), features.num_rows
        return Reference(table, name, {"model": n}, classes)
    scored = score_rows(features, known, lambda rows: registry.predict(version, rows))
    return replace(scored, source=name)


def _has_score(known: pa.Table, version: MonitoredVersion) -> bool:
    """Tell whether the reference's column `score` is there, and no feature of that name."""
    return SCORE in known.column_names and SCORE not in version.contract.feature_names


def _with_score(known: pa.Table, version: MonitoredVersion) -> pa.Table:
    features = select_features(known, version.contract, names.ARTIFACT_REFERENCE)
    return features.append_column(SCORE, known.column(SCORE))


def _captured(
    registry: JobRegistry, version: MonitoredVersion, args: argparse.Namespace, captures: Captures
) -> Reference:
    """Return what the version answered in the last days."""
    classes: tuple[str, ...] = ()
    if version.contract.output_kind == CLASSES:
        classes = registry.classes(version)
        batches = list(with_classes(captures.batches((FLAG,)), classes))
    else:
        batches = list(captures.batches())
    if not batches:
        text = N_(
            "Version {version} answered nothing in the last {days} days (in {store}); no baseline "
            "can be made of that."
        )
        facts = {"days": float(args.last_n_days), "store": args.inference_store}
        raise BaselineError(text, version=version.release, **facts)
    source = _("captures of the last {days} days", days=float(args.last_n_days))
    table, counted = pa.Table.from_batches(batches), {"capture": captures.n_entities}
    return Reference(table, source, counted, classes)


def _log(registry: JobRegistry, version: MonitoredVersion, baseline: Baseline) -> str:
    """Log the baseline as a run, then name that run on the version; return the run's address."""
    score = baseline.score
    metrics = {
        "n_rows": float(baseline.n_rows),
        "mean_score": score.mean if score else None,
        **{f"missing_rate.{feature_of(p.name)}": p.missing_rate for p in baseline.features},
    }
    params = {
        "model_version": version.release,
        "registry_version": version.number,
        "source": baseline.source,
        **{f"scored_by_{who}": n for who, n in baseline.scored_by.items()},
    }
    with registry.run(version, "baseline", f"baseline {version.release}") as run:
        run.log(params, metrics, {})
        run.log_json(baseline.to_dict(), names.ARTIFACT_BASELINE)
    registry.set_tag(version, names.TAG_BASELINE_RUN_ID, run.id)
    return run.url


def _parser() -> argparse.ArgumentParser:
    parser = command.parser(
        "monitoring.build_baseline",
        _("Freezes the distribution of the features and the score of a version of the model."),
    )
    command.add_version(parser)
    origin = parser.add_mutually_exclusive_group()
    origin.add_argument(
        "--source",
        type=lambda text: Path(text) if text else None,
        metavar=_("FILE.parquet"),
        help=_("rows of reference; without it, those of the version's own training"),
    )
    origin.add_argument(
        "--last_n_days",
        "--last-n-days",
        type=command.days,
        metavar="N",
        help=_("use the captures of the last N days"),
    )
    command.add_store(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
