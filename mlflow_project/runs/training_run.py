"""One training as one MLflow run: try, fit, judge, log, register; or the same version again."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from core.cli.progress import Clock, say
from core.contract.compatibility import incompatible_changes
from core.contract.model import ModelContract
from core.metrics.classification import metric_intervals
from mlflow_project.dataset.risk import build_contract
from mlflow_project.make_dataset import READING_ARTIFACT, TARGET
from mlflow_project.modelling.families import FAMILIES
from mlflow_project.modelling.pipeline import one_row_seconds
from mlflow_project.modelling.selection import BUDGET, Selection, select_family
from mlflow_project.modelling.threshold import ThresholdPolicy
from mlflow_project.modelling.training import (
    Evaluation,
    ServedFit,
    TrainingError,
    check_dataset,
    data_digest,
    evaluate_fit,
    fit_for_serving,
    split_for_test,
)
from mlflow_project.runs.completion import (
    NOTE,
    champion_release,
    described,
    finish,
    register,
    same_training,
)
from mlflow_project.runs.fingerprint import training_digest
from mlflow_project.runs.model_report import ReportFacts, headline, times_section, write_report
from mlflow_project.runs.run_log import (
    REPORT_ARTIFACT,
    example_frame,
    log_dataset,
    log_evaluation,
    log_model,
    log_times,
    log_trial,
)
from mlflow_project.versions.criteria import Criterion, GatePolicy
from mlflow_project.versions.gate import log_gate, run_gate
from mlflow_project.versions.ledger import exclusive
from mlflow_project.versions.registry import Registry, Version
from mlflow_project.versions.trial import read_contract

REPORTS = Path("artifacts")
SEED = 7


@dataclass(frozen=True, slots=True)
class Registered:
    """The version that a training ended with, and whether it may be promoted.

    `existing`: nothing was trained, since this version came of the same data, code and parameters.
    """

    release: str
    number: int
    passed: bool
    headline: str
    report: Path
    existing: bool = False


@dataclass(frozen=True, slots=True)
class _Fits:
    """What fitting gave, before anything is registered."""

    selection: Selection
    evaluation: Evaluation
    criteria: Sequence[Criterion]
    judged_against: str
    served: ServedFit


def train(
    source: Path,
    requested: str | None = None,
    reading: Mapping[str, Any] | None = None,
    *,
    force: bool = False,
    clock: Clock | None = None,
) -> Registered:
    """Train on a modelling dataset and register the result as `challenger`.

    The same data, code and parameters as an existing version's give that version again, finished
    if its registration had been interrupted; `force` trains anew.

    Args:
        source: Parquet file that `make_dataset` wrote.
        requested: the release to give, or None for the next minor.
        reading: the reading report to log with the run, where there is one.
        force: train even if a version of the same digest exists.
        clock: where the time of each step is added up.

    Raises:
        TrainingError: the dataset cannot be trained on, or the first baseline failed.
        RegistryError: the registry does not answer or refuses the release.
    """
    clock = clock or Clock()
    registry = Registry()
    registry.next_release(requested)  # a taken release is refused before anything is fitted for it
    if not source.is_file():
        raise TrainingError(f"O arquivo {source} não existe; gere-o com make_dataset.")
    dataset = pd.read_parquet(source)
    with clock.step("check"):
        check_dataset(dataset)
    digest = training_digest(data_digest(dataset), _settings())
    same = None if force else same_training(registry, digest)
    if same is not None:
        return _again(registry, same)
    return _train_anew(registry, dataset, digest, requested, reading, force, clock)


def _settings() -> dict[str, Any]:
    """Return the parameters of a training that its data do not give."""
    return {
        "seed": SEED,
        "families": ",".join(family.name for family in FAMILIES),
        "budget_seconds": BUDGET,
        **asdict(ThresholdPolicy()),
        **{f"gate_{name}": value for name, value in asdict(GatePolicy()).items()},
    }


def _train_anew(
    registry: Registry,
    dataset: pd.DataFrame,
    digest: str,
    requested: str | None,
    reading: Mapping[str, Any] | None,
    force: bool,
    clock: Clock,
) -> Registered:
    if "MLFLOW_RUN_ID" not in os.environ:
        mlflow.set_experiment(f"{registry.name}-training")
    with mlflow.start_run() as run:
        fits = _fit(registry, dataset, clock)
        with clock.step("log"):
            if reading is not None:
                mlflow.log_dict(dict(reading), READING_ARTIFACT)
            log_evaluation(fits.evaluation, SEED)
            log_dataset(dataset, fits.served)
        with exclusive(registry), clock.step("log"):
            # Somebody may have trained the same while we did.
            same = None if force else same_training(registry, digest)
            if same is None:
                contract = _contract(registry, requested, fits.served)
                say(f"registrando {registry.name} {contract.release}")
                params = _params(dataset, contract, fits, digest)
                report = _log_result(contract, fits, params, run.info.run_id)
                info = log_model(fits.served.model, contract)
                version = register(
                    registry, info.model_uri, contract.release, fits.criteria, digest
                )
    if same is not None:
        return _again(registry, same)
    with clock.step("baseline"):
        passed = finish(registry, version)
    report += times_section(clock)
    log_times(registry.client, run.info.run_id, clock, report)
    path = _write_locally(version.release, report)
    summary = described(registry, version)
    return Registered(version.release, version.number, passed, summary, path)


def _fit(registry: Registry, dataset: pd.DataFrame, clock: Clock) -> _Fits:
    """Choose a family and fit it twice; the test year is looked at once, after the choice."""
    training_rows, _, _ = split_for_test(dataset, SEED)
    with clock.step("select"):
        say(f"tentando {len(FAMILIES)} famílias de modelos no treino (até {BUDGET:g} s)")
        selection = select_family(training_rows, SEED, budget=BUDGET, log=log_trial)
        family = selection.chosen.family
        say(f"família escolhida: {family.name} ({family.title})")
    with clock.step("evaluate"):
        say("ajuste de avaliação: treina no passado, testa uma vez no par de anos mais novo")
        evaluation = evaluate_fit(dataset, ThresholdPolicy(), SEED, family)
    with clock.step("gate"):
        judged_against = champion_release(registry)
        criteria = run_gate(registry, evaluation, GatePolicy())
    with clock.step("fit"):
        say("ajuste para servir: todos os pares de anos")
        served = fit_for_serving(dataset, ThresholdPolicy(), SEED, family)
    return _Fits(selection, evaluation, criteria, judged_against, served)


def _again(registry: Registry, version: Version) -> Registered:
    """Return an existing version, finished now if it was not, with its report as it was logged."""
    say(
        f"mesmos dados, código e parâmetros de {version.release}: nada a treinar "
        "(--force treina assim mesmo)"
    )
    if "MLFLOW_RUN_ID" in os.environ:
        run_id = os.environ["MLFLOW_RUN_ID"]
        registry.client.set_tag(run_id, "mlflow.runName", f"igual a {version.release}")
        registry.client.set_tag(run_id, "same_as", version.release)
    passed = finish(registry, version)
    report = mlflow.artifacts.load_text(f"runs:/{version.run_id}/{REPORT_ARTIFACT}")
    path = _write_locally(version.release, report)
    summary = described(registry, version)
    return Registered(version.release, version.number, passed, summary, path, existing=True)


def _contract(registry: Registry, requested: str | None, served: ServedFit) -> ModelContract:
    """Build the contract; the release is the next major where clients of the newest one break."""
    policy = {
        **asdict(ThresholdPolicy()),
        "rule": served.rule,
        "scores": "fora da amostra, agrupados por estudante, todos os pares de anos",
    }
    score = float(served.model.predict_proba(example_frame())[0, 1])
    draft = build_contract("v0.0.0", served.threshold, policy, score)
    newest = next(iter(registry.versions()), None)
    breaks = incompatible_changes(read_contract(newest), draft) if newest else []
    for change in breaks:
        say(f"contrato incompatível com a versão mais nova: {change}")
    return replace(draft, release=registry.next_release(requested, major=bool(breaks)))


def _params(
    dataset: pd.DataFrame, contract: ModelContract, fits: _Fits, digest: str
) -> dict[str, str | int | float]:
    """Return the parameters of a run: the same names whatever was chosen, so versions compare."""
    policy = ThresholdPolicy()
    family = fits.selection.chosen.family
    return {
        "release": contract.release,
        "family": family.name,
        "hyperparameters": family.hyperparameters(SEED),
        "threshold": contract.threshold,
        "threshold_rule": contract.threshold_policy["rule"],
        "threshold_min_recall": policy.min_recall,
        "capacity": policy.max_share_flagged,
        "capacity_base_rate": policy.base_rate,
        "evaluation_threshold": fits.evaluation.threshold,
        "split": fits.evaluation.split,
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
    fits: _Fits,
    params: Mapping[str, str | int | float],
    run_id: str,
) -> str:
    """Log parameters, cost, gate and report; the run is named for its release, as the UI lists it.

    Return the report.
    """
    evaluation = fits.evaluation
    row_ms = 1000 * one_row_seconds(fits.served.model, example_frame())
    intervals = metric_intervals(
        evaluation.test[TARGET].to_numpy(),
        evaluation.test["score"].to_numpy(),
        evaluation.threshold,
        SEED,
    )
    report = write_report(
        ReportFacts(
            contract, evaluation, fits.criteria, params, run_id, fits.selection, intervals, row_ms
        )
    )
    mlflow.set_tag("mlflow.runName", f"train {params['release']}")
    mlflow.set_tag(NOTE, headline(contract.release, evaluation, contract.threshold))
    mlflow.log_params(params)
    mlflow.log_metric("one_row_ms", row_ms)
    mlflow.log_dict({k: asdict(i) for k, i in intervals.items()}, "evaluation/intervals.json")
    mlflow.log_text(report, REPORT_ARTIFACT)
    log_gate(fits.criteria)
    return report


def _write_locally(release: str, report: str) -> Path:
    """Write the report where the runbook reads it."""
    path = REPORTS / f"model_report_{release}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report, encoding="utf-8")
    return path
