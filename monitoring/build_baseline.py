"""Build the baseline of a version's features and score, and tag the version with its run.

`fit_baseline` is the arithmetic (`monitoring.drift.fitting`); this command selects the rows, logs
the baseline as an MLflow run, and sets the version's tag last, so the tag never names a run without
a baseline.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from core.captured.reader import Captures
from core.cli.arguments import say
from core.contract import names
from core.contract.columns import feature_of
from core.contract.model import CLASSES
from core.messages import N_, _, ngettext
from core.store.quarantined import told
from monitoring import command
from monitoring.drift.baseline import SCORE, Baseline
from monitoring.drift.errors import BaselineError
from monitoring.drift.expected import FLAG, class_names, with_classes
from monitoring.drift.fitting import fit_baseline as fit_baseline  # public import path
from monitoring.drift.reference import newest_rows, read_source, score_rows, select_features
from monitoring.tracking.jobs import JobRegistry, MonitoredVersion
from monitoring.tracking.rows import baseline_of

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
        baseline = _captured(registry, version, args, captures)
    elif source is not None:
        baseline = _scored(registry, version, source, str(args.source))
    else:
        baseline = _trained(registry, version)
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


def _trained(registry: JobRegistry, version: MonitoredVersion) -> Baseline:
    """Return the baseline of the version's own training reference."""
    known, newest = newest_rows(registry.reference(version))
    rows = _with_score(known, version)
    if rows is None:
        text = N_(
            "Version {version} keeps no {artifact} with the column {score}; name the rows with "
            "--source or --last_n_days."
        )
        facts = {"artifact": names.ARTIFACT_REFERENCE, "score": SCORE}
        raise BaselineError(text, version=version.release, **facts)
    source = _("training reference of the version")
    if newest is not None:
        source = _("training reference of the version, period {period}", period=newest)
    return baseline_of(version, rows, source, scored_by={"reference": rows.num_rows})


def _scored(
    registry: JobRegistry, version: MonitoredVersion, source: pa.Table, name: str
) -> Baseline:
    """Return the baseline of a file's rows, training rows with their out-of-fold score.

    For class outputs the version's own model scores every row.
    """
    # Cast to the contract's types, as the file's rows are: rows are matched by equality.
    known = _with_score(registry.reference(version), version)
    features = select_features(source, version.contract, name)
    if version.contract.output_kind == CLASSES:
        scorer = registry.scorer(version)
        answered = class_names(pa.array(scorer.answer(features).label), scorer.classes)
        table, counted = features.append_column(SCORE, answered), {"model": features.num_rows}
        return baseline_of(version, table, name, scorer.classes, counted)
    table, counted = score_rows(
        features, known, lambda rows: registry.scorer(version).answer(rows).score
    )
    return baseline_of(version, table, name, scored_by=counted)


def _with_score(known: pa.Table | None, version: MonitoredVersion) -> pa.Table | None:
    """Return a reference's features and score; None without a score or if a feature is so named."""
    if known is None or SCORE not in known.column_names or SCORE in version.contract.feature_names:
        return None
    features = select_features(known, version.contract, names.ARTIFACT_REFERENCE)
    return features.append_column(SCORE, known.column(SCORE))


def _captured(
    registry: JobRegistry, version: MonitoredVersion, args: argparse.Namespace, captures: Captures
) -> Baseline:
    """Return the baseline of the version's predictions captured in the last days."""
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
    return baseline_of(version, table, source, classes, counted)


def _log(registry: JobRegistry, version: MonitoredVersion, baseline: Baseline) -> str:
    """Log the baseline as a run, then tag the version with the run id; return the run's URL."""
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
