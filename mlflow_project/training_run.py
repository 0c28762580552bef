"""One training as one MLflow run: fit, judge, log, register, first baseline, alias `challenger`."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from mlflow_project.compatibility import incompatible_changes
from mlflow_project.contract import names
from mlflow_project.contract.model import ModelContract
from mlflow_project.criteria import Criterion, GatePolicy
from mlflow_project.evaluate import ThresholdPolicy
from mlflow_project.gate import gate_tags, log_gate, run_gate
from mlflow_project.ledger import exclusive
from mlflow_project.make_dataset import READING_ARTIFACT
from mlflow_project.model_report import ReportFacts, headline, write_report
from mlflow_project.progress import say
from mlflow_project.promotion import read_contract
from mlflow_project.risk import build_contract
from mlflow_project.run_log import example_frame, log_dataset, log_evaluation, log_model
from mlflow_project.training import (
    Evaluation,
    ServedFit,
    TrainingError,
    check_dataset,
    data_digest,
    evaluate_fit,
    fit_for_serving,
)
from mlflow_project.versions import Registry

REPORTS = Path("artifacts")
SEED = 7


@dataclass(frozen=True, slots=True)
class Registered:
    """A version that training registered, and whether it may be promoted."""

    release: str
    number: int
    passed: bool
    headline: str
    report: Path


def train(
    source: Path, requested: str | None = None, reading: Mapping[str, Any] | None = None
) -> Registered:
    """Train on a modelling dataset and register the result as `challenger`.

    Args:
        source: Parquet file that `make_dataset` wrote.
        requested: the release to give, or None for the next minor.
        reading: the reading report to log with the run, where there is one.

    Raises:
        TrainingError: the dataset cannot be trained on, or the first baseline failed.
        RegistryError: the registry does not answer or refuses the release.
    """
    registry = Registry()
    registry.next_release(requested)  # a taken release is refused before anything is fitted for it
    if not source.is_file():
        raise TrainingError(f"O arquivo {source} não existe; gere-o com make_dataset.")
    dataset = pd.read_parquet(source)
    check_dataset(dataset)
    if "MLFLOW_RUN_ID" not in os.environ:
        mlflow.set_experiment(f"{registry.name}-training")
    with mlflow.start_run() as run:
        say("ajuste de avaliação: treina no passado, testa uma vez no par de anos mais novo")
        evaluation = evaluate_fit(dataset, ThresholdPolicy(), SEED)
        criteria = run_gate(registry, evaluation, GatePolicy())
        say("ajuste para servir: todos os pares de anos")
        served = fit_for_serving(dataset, ThresholdPolicy(), SEED)
        if reading is not None:
            mlflow.log_dict(dict(reading), READING_ARTIFACT)
        log_evaluation(evaluation)
        log_dataset(dataset, served)
        with exclusive(registry):
            contract = _contract(registry, requested, served)
            release = contract.release
            say(f"registrando {registry.name} {release}")
            params = _params(dataset, contract, evaluation)
            report = write_report(
                ReportFacts(contract, evaluation, criteria, params, run.info.run_id)
            )
            _log_verdict(params, served, criteria, report)
            summary = headline(release, evaluation, served.threshold)
            number = _register(registry, contract, served, criteria, summary)
    path = _write_locally(release, report)
    _build_baseline(release)
    registry.set_alias(names.CHALLENGER, number)
    return Registered(release, number, all(c.passed for c in criteria), summary, path)


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
    dataset: pd.DataFrame, contract: ModelContract, evaluation: Evaluation
) -> dict[str, str | int | float]:
    return {
        "release": contract.release,
        "threshold": contract.threshold,
        "threshold_rule": contract.threshold_policy["rule"],
        "evaluation_threshold": evaluation.threshold,
        "split": evaluation.split,
        "data_digest": data_digest(dataset),
        "contract_digest": contract.digest(),
        "n_rows": len(dataset),
        "n_test": len(evaluation.test),
        "seed": SEED,
    }


def _log_verdict(
    params: Mapping[str, str | int | float],
    served: ServedFit,
    criteria: Sequence[Criterion],
    report: str,
) -> None:
    """Log parameters, report and gate; the run is named for its release, as the UI lists it."""
    mlflow.set_tag("mlflow.runName", f"train {params['release']}")
    mlflow.log_params({**served.model.estimator.named_steps["boosting"].get_params(), **params})
    mlflow.log_text(report, "model_report.md")
    log_gate(criteria)


def _register(
    registry: Registry,
    contract: ModelContract,
    served: ServedFit,
    criteria: Sequence[Criterion],
    summary: str,
) -> int:
    """Log the model and register it; tags come with the version, so none is ever without them."""
    info = log_model(served.model, contract)
    tags = {names.TAG_RELEASE: contract.release, **gate_tags(criteria)}
    version = mlflow.register_model(info.model_uri, registry.name, tags=tags)
    registry.client.update_model_version(registry.name, version.version, summary)
    return int(version.version)


def _write_locally(release: str, report: str) -> Path:
    """Write the report where the runbook reads it."""
    path = REPORTS / f"model_report_{release}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report, encoding="utf-8")
    return path


def _build_baseline(release: str) -> None:
    """Ask monitoring for the first baseline by its command: training does not import it.

    Raises:
        TrainingError: the command failed; its own words were printed.
    """
    say("construindo a primeira baseline")
    command = [sys.executable, "-m", "monitoring.build_baseline", "--model_version", release]
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_RUN_ID"}
    if subprocess.run(command, env=environment, check=False).returncode:
        raise TrainingError(
            f"A baseline de {release} falhou; a versão fica sem o alias challenger. "
            f"Repita: python -m monitoring.build_baseline --model_version {release}"
        )
