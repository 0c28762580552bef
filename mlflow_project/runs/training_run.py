"""One training as one MLflow run: fit, judge, log, register; or return the existing version."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from pyarrow import ArrowException

from core.cli.progress import Clock, say
from core.contract.compatibility import incompatible_changes
from core.contract.model import ModelContract
from core.messages import N_, _
from core.metrics.classification import metric_intervals
from core.registry.packages import read_contract
from core.registry.versions import Registry, Version, open_registry
from mlflow_project.dataset.pairs import count_pairs
from mlflow_project.dataset.risk import build_contract
from mlflow_project.flips.ledger import exclusive
from mlflow_project.gate.criteria import GatePolicy
from mlflow_project.gate.verdict import log_gate, tested_rows
from mlflow_project.make_dataset import READING_ARTIFACT, report_path
from mlflow_project.modelling.groups import group_metrics
from mlflow_project.modelling.pipeline import BOOSTING, one_row_seconds
from mlflow_project.modelling.rows import (
    TrainingError,
    absent_features,
    check_dataset,
    data_digest,
    in_own_order,
)
from mlflow_project.modelling.threshold import ThresholdPolicy
from mlflow_project.modelling.training import ServedFit
from mlflow_project.runs.completion import (
    NOTE,
    Registered,
    finish,
    outcome,
    read_report,
    register,
    same_training,
)
from mlflow_project.runs.fingerprint import training_digest
from mlflow_project.runs.fitting import SEED, Fits, fit_and_judge
from mlflow_project.runs.model_report import ReportFacts, headline, model_card, split_text
from mlflow_project.runs.run_log import (
    example_frame,
    log_dataset,
    log_evaluation,
    log_evidence,
    log_model,
    log_times,
)
from mlflow_project.versions.registration import next_release


def train(
    source: Path,
    requested: str | None = None,
    *,
    force: bool = False,
    clock: Clock | None = None,
) -> Registered:
    """Train on a modelling dataset and register the result as `challenger`.

    If a version has the same data, code and parameters, it is returned, its registration completed
    if it was interrupted; `force` trains anew.

    Args:
        source: Parquet file that `make_dataset` wrote, its reading report beside it.
        requested: the release to give, or None for the next minor.
        force: train even if a version of the same digest exists.
        clock: adds up the time of each step.

    Raises:
        TrainingError: the dataset cannot be trained on, or the first baseline failed.
        PolicyUnmetError: no threshold satisfies the policy.
        RegistryError: the registry does not answer or refuses the release.
    """
    clock = clock or Clock()
    registry = open_registry()
    next_release(registry, requested)  # a taken release is refused before anything is fitted for it
    dataset = _dataset(source)
    with clock.step("check"):
        check_dataset(dataset)
        dataset = in_own_order(dataset)
    digest = training_digest(data_digest(dataset), _settings())
    same = None if force else same_training(registry, digest)
    if same is not None:
        return _again(registry, same)
    return _train_anew(registry, dataset, digest, requested, _reading(source), force, clock)


def _dataset(source: Path) -> pd.DataFrame:
    if not source.is_file():
        raise TrainingError(
            N_("The file {path} does not exist; make it with make_dataset."), path=source
        )
    try:
        return pd.read_parquet(source)
    except (ArrowException, ValueError, OSError) as exc:
        raise TrainingError(
            N_(
                "The file {path} cannot be read as a dataset of make_dataset. "
                "To train on a workbook: python -m mlflow_project.retrain --source {path}"
            ),
            path=source,
        ) from exc


def _settings() -> dict[str, Any]:
    """Return the training's parameters: seed, threshold policy and gate limits."""
    return {
        "seed": SEED,
        **asdict(ThresholdPolicy()),
        **{f"gate_{name}": value for name, value in asdict(GatePolicy()).items()},
    }


def _reading(source: Path) -> dict[str, Any]:
    """Return the reading report that `make_dataset` wrote beside the dataset; empty if none."""
    path = report_path(source)
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return found


def _train_anew(
    registry: Registry,
    dataset: pd.DataFrame,
    digest: str,
    requested: str | None,
    reading: Mapping[str, Any],
    force: bool,
    clock: Clock,
) -> Registered:
    if "MLFLOW_RUN_ID" not in os.environ:
        mlflow.set_experiment(f"{registry.name}-training")
    with mlflow.start_run() as run:
        fits = fit_and_judge(registry, dataset, clock)
        with clock.step("log"):
            mlflow.log_dict(dict(reading), READING_ARTIFACT)
            log_evaluation(fits.evaluation, fits.splits, SEED)
            log_dataset(dataset)
        with exclusive(registry), clock.step("log"):
            # Another process may have registered the same training meanwhile.
            same = None if force else same_training(registry, digest)
            if same is None:
                contract = _contract(registry, requested, fits.served)
                say(_("registering {name} {release}", name=registry.name, release=contract.release))
                params = _params(dataset, contract, fits, digest)
                facts = _log_result(contract, dataset, fits, params, reading, run.info.run_id)
                info = log_model(fits.served.model, contract)
                log_evidence(registry.client, info.model_id, dataset, fits.evaluation, fits.served)
                version = register(
                    registry, info.model_uri, contract.release, fits.criteria, digest
                )
    if same is not None:
        return _again(registry, same)
    with clock.step("baseline"):
        passed = finish(registry, version)
    card = model_card(facts, clock)
    log_times(registry.client, run.info.run_id, clock, card)
    return outcome(registry, version, passed, card)


def _again(registry: Registry, version: Version) -> Registered:
    """Complete an existing version's registration if needed; return it with its logged report."""
    release = version.release
    say(
        _(
            "same data, code and parameters as {release}: nothing to train (--force trains all the "
            "same)",
            release=release,
        )
    )
    if "MLFLOW_RUN_ID" in os.environ:
        run_id = os.environ["MLFLOW_RUN_ID"]
        registry.client.set_tag(run_id, "mlflow.runName", _("same as {release}", release=release))
        registry.client.set_tag(run_id, "same_as", release)
    passed = finish(registry, version)
    report = read_report(registry, version)
    return outcome(registry, version, passed, report, existing=True)


def _contract(registry: Registry, requested: str | None, served: ServedFit) -> ModelContract:
    """Build the contract; its release is the next major if it breaks the newest one's clients."""
    policy = {
        **asdict(ThresholdPolicy()),
        "rule": "best_f_beta",
        "scores": _("out of sample, grouped by student, all pairs of years"),
    }
    score = float(served.model.predict_proba(example_frame())[0, 1])
    draft = build_contract("v0.0.0", served.threshold, policy, score)
    newest = next(iter(registry.versions()), None)
    breaks = incompatible_changes(read_contract(registry, newest), draft) if newest else []
    for change in breaks:
        say(_("contract incompatible with the newest version: {change}", change=change))
    return replace(draft, release=next_release(registry, requested, major=bool(breaks)))


def _params(
    dataset: pd.DataFrame, contract: ModelContract, fits: Fits, digest: str
) -> dict[str, str | int | float]:
    """Return the parameters of a run, with the same names in all runs, so versions compare."""
    policy = ThresholdPolicy()
    return {
        "release": contract.release,
        "procedure": "mean(logistic regression, boosting)",
        "hyperparameters": json.dumps(BOOSTING, sort_keys=True),
        "threshold": contract.threshold,
        "capacity": policy.max_share_flagged,
        "capacity_base_rate": policy.base_rate,
        "split": split_text(fits.evaluation),
        "judged_against": fits.judged_against,
        "data_digest": data_digest(dataset),
        "contract_digest": contract.digest(),
        "training_digest": digest,
        "n_rows": len(dataset),
        "n_test": len(fits.evaluation.test),
        "seed": SEED,
    }


def _log_result(
    contract: ModelContract,
    dataset: pd.DataFrame,
    fits: Fits,
    params: Mapping[str, str | int | float],
    reading: Mapping[str, Any],
    run_id: str,
) -> ReportFacts:
    """Log parameters, intervals, groups and gate; return the facts of the model card.

    The run is named after its release, as the UI lists it.
    """
    evaluation = fits.evaluation
    row_ms = 1000 * one_row_seconds(fits.served.model, example_frame())
    intervals = metric_intervals(evaluation.target, evaluation.scores, evaluation.threshold, SEED)
    facts = ReportFacts(
        contract=contract,
        fits=fits,
        params=params,
        run_id=run_id,
        intervals=intervals,
        groups=group_metrics(tested_rows(evaluation)),
        pairs=reading.get("pairs") or count_pairs(dataset),
        absent=absent_features(dataset),
        row_ms=row_ms,
    )
    mlflow.set_tag("mlflow.runName", f"train {params['release']}")
    mlflow.set_tag(NOTE, headline(contract.release, evaluation))
    mlflow.log_params(params)
    mlflow.log_metric("one_row_ms", row_ms)
    mlflow.log_dict({k: asdict(i) for k, i in intervals.items()}, "evaluation/intervals.json")
    mlflow.log_table(facts.groups, "evaluation/groups.json")
    log_gate(fits.criteria)
    return facts
