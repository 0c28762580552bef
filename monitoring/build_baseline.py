"""Freeze what a version's inputs and score look like, and name it on the version.

`fit_baseline` is the arithmetic; the command around it finds the rows, logs the baseline as an
MLflow run, and sets the version's tag last, so the tag never names a run without a baseline.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from core.contract import names
from core.store.reader import Captures, Selection
from monitoring import command
from monitoring.drift.baseline import SCORE, Baseline, fit_profiles
from monitoring.drift.reference import Reference, read_source, score_rows, select_features
from monitoring.errors import BaselineError
from monitoring.tracking.registry import Registry
from monitoring.tracking.version import Version

FEW_ROWS = 100


def fit_baseline(reference: pa.Table | Iterable[pa.RecordBatch]) -> Baseline:
    """Freeze a reference: bins, counts and missing rates per feature and for the score.

    Args:
        reference: one row per instance, every column a feature but `score`, which may be absent.

    Returns:
        A baseline that belongs to no version yet (`dataclasses.replace` says whose it is).

    Raises:
        BaselineError: there is no row, or no feature.
        ColumnError: a column holds neither numbers nor booleans nor strings; names it.
    """
    table = reference if isinstance(reference, pa.Table) else _gather(reference)
    if not table.num_rows:
        raise BaselineError("A referência não tem nenhuma linha; não há baseline a fazer dela.")
    profiles = fit_profiles(table)
    features = tuple(profile for profile in profiles if profile.name != SCORE)
    if not features:
        raise BaselineError(f"A referência não tem nenhuma coluna além de {SCORE}.")
    score = next((profile for profile in profiles if profile.name == SCORE), None)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Baseline(features, score, table.num_rows, created)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = _parser().parse_args(arguments)
    return command.run(lambda: _job(args))


def _job(args: argparse.Namespace) -> int:
    source = read_source(args.source) if args.source else None
    registry = Registry()
    version = registry.version(args.model_version)
    if args.last_n_days is not None:
        reference = _captured(version, args)
    elif source is not None:
        reference = _scored(registry, version, source, str(args.source))
    else:
        reference = _trained(registry, version)
    baseline = replace(
        fit_baseline(reference.table),
        model_name=version.model_name,
        model_version=version.release,
        registry_version=version.number,
        source=reference.source,
        scored_by=reference.scored_by,
    )
    url = _log(registry, version, baseline)
    scored = ", ".join(f"{n} por {_SCORERS[who]}" for who, n in baseline.scored_by.items() if n)
    command.say(
        f"Baseline da versão {version.release} criada: {baseline.n_rows} linhas, "
        f"{len(baseline.features)} features.",
        f"Origem: {baseline.source}. Scores: {scored}.",
        f"Run no MLflow: {url}",
    )
    if baseline.n_rows < FEW_ROWS:
        command.say(
            f"Atenção: com menos de {FEW_ROWS} linhas a baseline é grosseira; só mudanças grandes "
            "serão notadas."
        )
    return 0


_SCORERS = {
    "reference": "ajustes que não viram a linha",
    "model": "esta versão",
    "capture": "captura da API",
}


def _trained(registry: Registry, version: Version) -> Reference:
    """Return the version's own training reference."""
    known = registry.reference(version)
    if known is None or SCORE not in known.column_names:
        raise BaselineError(
            f"A versão {version.release} não guarda {names.ARTIFACT_REFERENCE} com a coluna "
            f"{SCORE}; indique as linhas com --source ou --last_n_days."
        )
    table = _with_score(known, version)
    return Reference(table, "referência do treino da versão", {"reference": known.num_rows})


def _scored(registry: Registry, version: Version, source: pa.Table, name: str) -> Reference:
    """Return the rows of a file, each with a score by a fit that has not learnt it."""
    known = registry.reference(version)
    if known is not None and SCORE in known.column_names:
        # In the contract's types, as the rows are, or equal rows would not be found equal.
        known = _with_score(known, version)
    features = select_features(source, version.contract, name)
    scored = score_rows(features, known, lambda rows: registry.predict(version, rows))
    return replace(scored, source=name)


def _with_score(known: pa.Table, version: Version) -> pa.Table:
    features = select_features(known, version.contract, names.ARTIFACT_REFERENCE)
    return features.append_column(SCORE, known.column(SCORE))


def _captured(version: Version, args: argparse.Namespace) -> Reference:
    now = datetime.now(UTC)
    start = now - timedelta(days=args.last_n_days)
    captures = Captures(
        args.inference_store,
        Selection(version.model_name, version.number, start, now),
        {feature.name: feature.type for feature in version.contract.features},
        command.journal_folder(args.inference_store),
    )
    batches = list(captures.batches())
    if not batches:
        raise BaselineError(
            f"A versão {version.release} não respondeu nada nos últimos {args.last_n_days:g} dias "
            f"(em {args.inference_store}); não há baseline a fazer disso."
        )
    source = f"capturas dos últimos {args.last_n_days:g} dias"
    return Reference(pa.Table.from_batches(batches), source, {"capture": captures.n_entities})


def _log(registry: Registry, version: Version, baseline: Baseline) -> str:
    """Log the baseline as a run, then name that run on the version; return the run's address."""
    score = baseline.score
    metrics = {
        "n_rows": float(baseline.n_rows),
        "mean_score": score.mean if score else None,
        **{f"missing_rate.{p.name}": p.missing_rate for p in baseline.features},
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


def _gather(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """Return all batches as one table: quantiles need every value."""
    gathered = list(batches)
    return pa.Table.from_batches(gathered) if gathered else pa.table({})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m monitoring.build_baseline",
        description="Congela a distribuição das features e do score de uma versão do modelo.",
    )
    command.add_version(parser)
    origin = parser.add_mutually_exclusive_group()
    origin.add_argument(
        "--source",
        type=lambda text: Path(text) if text else None,
        metavar="ARQUIVO.parquet",
        help="linhas de referência; sem isto, as do treino da própria versão",
    )
    origin.add_argument(
        "--last_n_days", type=command.days, metavar="N", help="usar as capturas dos últimos N dias"
    )
    command.add_store(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
