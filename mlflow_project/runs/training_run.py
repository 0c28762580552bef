"""One training as one MLflow run: fit, judge, log, register; or the same version again."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from pyarrow import ArrowException

from core.cli.progress import Bar, Clock, say
from core.contract.compatibility import incompatible_changes
from core.contract.model import ModelContract
from core.files.scratch import scratch_folder
from core.messages import N_, _
from core.metrics.classification import metric_intervals
from core.registry.packages import read_contract
from core.registry.versions import Registry, Version, open_registry
from mlflow_project.dataset.pairs import count_pairs
from mlflow_project.dataset.risk import build_contract
from mlflow_project.flips.ledger import exclusive
from mlflow_project.gate.criteria import Criterion, GatePolicy
from mlflow_project.gate.verdict import log_gate, run_gate, tested_rows
from mlflow_project.make_dataset import READING_ARTIFACT, report_path
from mlflow_project.modelling import pipeline, splits
from mlflow_project.modelling.groups import group_metrics
from mlflow_project.modelling.pipeline import BOOSTING, one_row_seconds
from mlflow_project.modelling.rows import (
    TrainingError,
    absent_features,
    absent_text,
    check_dataset,
    data_digest,
    in_own_order,
)
from mlflow_project.modelling.threshold import ThresholdPolicy
from mlflow_project.modelling.training import (
    Evaluation,
    ServedFit,
    evaluate_fit,
    fit_for_serving,
    served_threshold,
)
from mlflow_project.runs.blocks import Block
from mlflow_project.runs.completion import (
    NOTE,
    champion_release,
    described,
    finish,
    open_question,
    read_report,
    register,
    same_training,
)
from mlflow_project.runs.fingerprint import training_digest
from mlflow_project.runs.model_report import ReportFacts, headline, model_card, split_text, times
from mlflow_project.runs.run_log import (
    example_frame,
    log_dataset,
    log_evaluation,
    log_model,
    log_times,
    write_evidence,
)
from mlflow_project.versions.registration import next_release

REPORTS = Path("artifacts")
SEED = 7


@dataclass(frozen=True, slots=True)
class Registered:
    """The version that a training ended with, and whether it may be promoted.

    `existing`: nothing was trained, since this version came of the same data, code and parameters.
    `question`: what a person may decide where only the capacity stands against a promotion.
    """

    release: str
    number: int
    passed: bool
    headline: str
    report: Path
    existing: bool = False
    question: str = ""


@dataclass(frozen=True, slots=True)
class _Fits:
    """What fitting gave, before anything is registered."""

    evaluation: Evaluation
    splits: pd.DataFrame
    criteria: Sequence[Criterion]
    judged_against: str
    served: ServedFit


def train(
    source: Path,
    requested: str | None = None,
    *,
    force: bool = False,
    clock: Clock | None = None,
) -> Registered:
    """Train on a modelling dataset and register the result as `challenger`.

    The same data, code and parameters as an existing version's give that version again, finished
    if its registration had been interrupted; `force` trains anew.

    Args:
        source: Parquet file that `make_dataset` wrote, its reading report beside it.
        requested: the release to give, or None for the next minor.
        force: train even if a version of the same digest exists.
        clock: where the time of each step is added up.

    Raises:
        TrainingError: the dataset cannot be trained on, or the first baseline failed.
        PolicyUnmetError: no threshold is worth serving.
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
    """Return the parameters of a training that its data do not give."""
    return {
        "seed": SEED,
        **asdict(ThresholdPolicy()),
        **{f"gate_{name}": value for name, value in asdict(GatePolicy()).items()},
    }


def _reading(source: Path) -> dict[str, Any]:
    """Return what reading the workbook cost, if `make_dataset` left it beside the dataset."""
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
        fits = _fit(registry, dataset, clock)
        with clock.step("log"):
            mlflow.log_dict(dict(reading), READING_ARTIFACT)
            log_evaluation(fits.evaluation, fits.splits, SEED)
            log_dataset(dataset)
        with exclusive(registry), clock.step("log"):
            # Somebody may have trained the same while we did.
            same = None if force else same_training(registry, digest)
            if same is None:
                contract = _contract(registry, requested, fits.served)
                say(_("registering {name} {release}", name=registry.name, release=contract.release))
                params = _params(dataset, contract, fits, digest)
                card = _log_result(contract, dataset, fits, params, reading, run.info.run_id)
                info = log_model(fits.served.model, contract)
                _log_evidence(registry, info.model_id, dataset, fits)
                version = register(
                    registry, info.model_uri, contract.release, fits.criteria, digest
                )
    if same is not None:
        return _again(registry, same)
    with clock.step("baseline"):
        passed = finish(registry, version)
    text = log_times(registry.client, run.info.run_id, clock, [*card, *times(clock)])
    path = _write_locally(version.release, text)
    summary = described(registry, version)
    question = open_question(registry, version)
    return Registered(version.release, version.number, passed, summary, path, question=question)


def _fit(registry: Registry, dataset: pd.DataFrame, clock: Clock) -> _Fits:
    """Fit twice and judge; the threshold that is served is the one that all metrics are of."""
    policy, absent = ThresholdPolicy(), absent_text(dataset)
    if absent:
        say(_("attention: {absent}", absent=absent))
    fits = pipeline.REPEATS * pipeline.FOLDS
    with clock.step("fit"):
        bar = _begin(_("fit for serving: all pairs of years"), fits)
        served = fit_for_serving(dataset, policy, SEED, tick=bar.tick)
    with clock.step("evaluate"):
        bar = _begin(_("fit for evaluation: tested once, on the newest pair of years"), fits)
        evaluation = evaluate_fit(dataset, policy, SEED, bar.tick)
        threshold = served_threshold(served, evaluation, policy.max_share_flagged)
        served = replace(served, threshold=threshold)
        evaluation = replace(evaluation, threshold=threshold)
    with clock.step("splits"):
        bar = _begin(_("the same on children held out"), splits.SPLITS * splits.FOLDS)
        repeated = splits.repeated_splits(dataset, policy, SEED, bar.tick)
    with clock.step("gate"):
        judged_against = champion_release(registry)
        criteria = run_gate(registry, evaluation, GatePolicy())
    return _Fits(evaluation, repeated, criteria, judged_against, served)


def _begin(title: str, pieces: int) -> Bar:
    """Say what begins, and return the bar that fills with it."""
    say(title)
    return Bar(_("fits"), pieces)


def _log_evidence(registry: Registry, model_id: str, dataset: pd.DataFrame, fits: _Fits) -> None:
    """Put what the version is judged by among its own files, and into its run for the UI."""
    with scratch_folder() as folder:
        write_evidence(folder, dataset, fits.evaluation, fits.served)
        registry.client.log_model_artifacts(model_id, str(folder))
        mlflow.log_artifacts(str(folder))


def _again(registry: Registry, version: Version) -> Registered:
    """Return an existing version, finished now if it was not, with its report as it was logged."""
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
    path = _write_locally(release, read_report(registry, version))
    summary = described(registry, version)
    question = open_question(registry, version)
    return Registered(
        release, version.number, passed, summary, path, existing=True, question=question
    )


def _contract(registry: Registry, requested: str | None, served: ServedFit) -> ModelContract:
    """Build the contract; the release is the next major where clients of the newest one break."""
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
    dataset: pd.DataFrame, contract: ModelContract, fits: _Fits, digest: str
) -> dict[str, str | int | float]:
    """Return the parameters of a run: the same names whatever was chosen, so versions compare."""
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
    fits: _Fits,
    params: Mapping[str, str | int | float],
    reading: Mapping[str, Any],
    run_id: str,
) -> list[Block]:
    """Log parameters, cost and gate; the run is named for its release, as the UI lists it.

    Return the model card.
    """
    evaluation = fits.evaluation
    row_ms = 1000 * one_row_seconds(fits.served.model, example_frame())
    intervals = metric_intervals(evaluation.target, evaluation.scores, evaluation.threshold, SEED)
    facts = ReportFacts(
        contract=contract,
        evaluation=evaluation,
        criteria=fits.criteria,
        params=params,
        run_id=run_id,
        intervals=intervals,
        splits=fits.splits,
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
    return model_card(facts)


def _write_locally(release: str, report: str) -> Path:
    """Write the report where the runbook reads it."""
    path = REPORTS / f"model_report_{release}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report, encoding="utf-8")
    return path
