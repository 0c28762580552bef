"""One training against a live server: contents of the run and of the version, and the gate."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Run

from core.contract import names
from core.registry.packages import read_contract
from core.registry.versions import Registry, open_registry
from mlflow_project.dataset.pairs import YEAR
from mlflow_project.dataset.risk import EXAMPLE_INSTANCE, FEATURE_NAMES, TARGET
from mlflow_project.flips.promotion import promote
from mlflow_project.gate.criteria import GatePolicy
from mlflow_project.gate.verdict import common_rows, gate_tags, run_gate
from mlflow_project.modelling.rows import data_digest, in_own_order, row_digests
from mlflow_project.modelling.threshold import ThresholdPolicy
from mlflow_project.modelling.training import evaluate_fit
from mlflow_project.runs.run_log import TIMES_ARTIFACT
from mlflow_project.runs.training_run import Registered, train
from mlflow_project.train import main
from tests.live import ROOT
from tests.pede_version import fit_fewer

MODEL = "trained"


@pytest.fixture(scope="module")
def trained(
    mlflow_server: str, dataset_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Registry, Registered]]:
    """Train once, in a separate folder; yield the registry and the result."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_NAME", MODEL)
        patch.setenv("PYTHONPATH", str(ROOT))
        fit_fewer(patch)
        patch.chdir(tmp_path_factory.mktemp("train"))
        mlflow.set_tracking_uri(mlflow_server)
        yield open_registry(), train(dataset_file)


Trained = tuple[Registry, Registered]


def test_the_version_carries_all_it_needs(trained: Trained) -> None:
    """The version has verdict, baseline and alias; the contract is the model's metadata."""
    registry, result = trained
    version = registry.by_release("v1.0.0")
    assert version.number == result.number
    assert version.tags["gate"] == ("passed" if result.passed else "failed")
    assert version.aliases == (names.CHALLENGER,)
    baseline = registry.client.get_run(version.tags[names.TAG_BASELINE_RUN_ID])
    listed = registry.client.list_artifacts(baseline.info.run_id, "baseline")
    assert [item.path for item in listed] == [names.ARTIFACT_BASELINE]
    contract = read_contract(registry, version)
    assert contract.release == "v1.0.0"
    assert contract.feature_names == FEATURE_NAMES
    assert contract.example is not None
    assert dict(contract.example.instance) == dict(EXAMPLE_INSTANCE)
    assert type(contract).from_dict(contract.to_dict()) == contract


def test_the_run_holds_parameters_metrics_dataset_and_plots(
    trained: Trained, dataset: pd.DataFrame
) -> None:
    """The model's run holds all parameters, metrics, inputs and files that the UI compares."""
    registry, result = trained
    version = registry.by_release(result.release)
    run = registry.client.get_run(version.run_id)
    contract = read_contract(registry, version)
    assert run.data.params["release"] == "v1.0.0"
    assert float(run.data.params["threshold"]) == contract.threshold
    assert run.data.params["data_digest"] == data_digest(dataset)
    assert run.data.params["contract_digest"] == contract.digest()
    assert {"test_roc_auc", "test_f2", "oof_recall", "persistence_f2"} <= run.data.metrics.keys()
    assert {"splits_roc_auc_mean", "splits_f2_sd", "splits_ece_worst"} <= run.data.metrics.keys()
    errors = {k for k in run.data.metrics if k.startswith(names.YEAR_CHANGE_ERROR)}
    assert len(errors) == 4
    (entry,) = run.inputs.dataset_inputs
    assert entry.dataset.digest == data_digest(dataset)
    assert {"one_row_ms", "test_ece", "test_log_loss"} <= run.data.metrics.keys()
    files = {f.path for f in registry.client.list_artifacts(version.run_id, "plots")}
    plots = ("roc", "precision_recall", "reliability", "threshold_tradeoff")
    drawn = {*plots, "confusion_matrix", "permutation_importance"}
    assert files == {f"plots/{name}.png" for name in drawn}
    logged = {f.path for f in registry.client.list_artifacts(version.run_id, "evaluation")}
    assert "evaluation/threshold_tradeoff.json" in logged
    assert "evaluation/permutation_importance.json" in logged
    text = mlflow.artifacts.load_text(f"runs:/{version.run_id}/model_report.md")
    assert text == result.report.read_text(encoding="utf-8")
    assert f"{run.data.metrics['test_roc_auc']:.3f}".replace(".", ",") in text
    reading = mlflow.artifacts.load_dict(f"runs:/{version.run_id}/data/reading_report.json")
    assert [pair["reference_year"] for pair in reading["pairs"]] == [2022, 2023]
    page = mlflow.artifacts.load_text(f"runs:/{version.run_id}/model_report.html")
    assert page.count("<h2>") == text.count("\n## ")


def test_the_model_loads_without_our_code_and_gives_the_logged_score(trained: Trained) -> None:
    """pyfunc, in a process without this project's code, reproduces the example's score."""
    registry, result = trained
    version = registry.by_release(result.release)
    contract = read_contract(registry, version)
    assert contract.example is not None
    code = (
        "import json, sys, mlflow.pyfunc, pandas as pd\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "frame = pd.DataFrame([json.loads(sys.argv[2])])\n"
        "print(repr(float(model.predict(frame)[0][1])))\n"
        "assert 'mlflow_project' not in sys.modules\n"
    )
    instance = json.dumps(dict(contract.example.instance))
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code, version.uri, instance],
        cwd=result.report.parent,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) == pytest.approx(contract.example.score, abs=1e-12)


def test_no_row_of_a_child_is_the_input_example(trained: Trained, dataset: pd.DataFrame) -> None:
    """The input example is synthetic: no row of the data equals it."""
    same = (dataset[list(FEATURE_NAMES)] == pd.Series(dict(EXAMPLE_INSTANCE))).all(axis=1)
    assert not same.any()
    registry, result = trained
    folder = mlflow.artifacts.download_artifacts(registry.by_release(result.release).uri)
    saved = json.loads((Path(folder) / "input_example.json").read_text())
    assert saved["data"] == [[EXAMPLE_INSTANCE[name] for name in saved["columns"]]]


def test_the_reference_has_scores_of_fits_that_had_not_seen_the_row(
    trained: Trained, dataset: pd.DataFrame
) -> None:
    """The reference's out-of-fold scores have a lower ROC-AUC than the served model's scores."""
    from sklearn.metrics import roc_auc_score

    registry, result = trained
    version = registry.by_release(result.release)
    path = mlflow.artifacts.download_artifacts(f"runs:/{version.run_id}/{names.ARTIFACT_REFERENCE}")
    reference = pd.read_parquet(path)
    assert list(reference.columns) == [*FEATURE_NAMES, "score", "period"]
    own = mlflow.pyfunc.load_model(version.uri).predict(reference[list(FEATURE_NAMES)])[:, 1]
    target = in_own_order(dataset)[TARGET]
    assert roc_auc_score(target, own) > roc_auc_score(target, reference["score"]) + 0.01


def test_gate_compares_on_rows_that_neither_had_seen(
    trained: Trained, dataset: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Common test rows carry the champion's logged flags; a new year is scored by the champion."""
    registry, result = trained
    fit_fewer(monkeypatch)
    version = registry.by_release(result.release)
    threshold = read_contract(registry, version).threshold
    fitted = evaluate_fit(in_own_order(dataset), ThresholdPolicy(), 7)
    evaluation = replace(fitted, threshold=threshold)
    common = common_rows(registry, version, evaluation)
    assert len(common) == len(evaluation.test)
    np.testing.assert_allclose(common["champion_score"].astype(float), common["score"], atol=1e-12)
    assert (common["champion_flagged"].astype(bool) == common["flagged"]).all()

    # Half of the test rows become rows of a year that the champion was not trained on.
    test = evaluation.test.copy()
    half = len(test) // 2
    test.loc[test.index[:half], YEAR] += 1
    mixed = common_rows(registry, version, replace(evaluation, test=test))
    assert len(mixed) == len(test)
    served = mlflow.pyfunc.load_model(version.uri).predict(test[list(FEATURE_NAMES)])[:, 1]
    new = mixed["champion_score"].astype(float).to_numpy()
    np.testing.assert_allclose(new[:half], served[:half], atol=1e-12)
    np.testing.assert_allclose(new[half:], evaluation.test["score"][half:], atol=1e-12)

    # Rows in the champion's training data but not in its test are left out.
    older = dataset[dataset[YEAR] == 2022].reset_index(drop=True).assign(score=0.5)
    assert common_rows(registry, version, replace(evaluation, test=older)).empty


def test_gate_stops_a_planted_bad_version(
    trained: Trained, dataset: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inverted scores fail the gate, including the comparison with the champion."""
    registry, result = trained
    fit_fewer(monkeypatch)
    promote(registry, result.release, "for the test", force=True)
    good = evaluate_fit(dataset, ThresholdPolicy(), 7)
    bad = replace(good, test=good.test.assign(score=1 - good.test["score"]))
    criteria = {c.name: c.passed for c in run_gate(registry, bad, GatePolicy())}
    assert criteria["f2_above_persistence"] is False
    assert criteria["f2_gain"] is False
    assert criteria["brier_gain"] is False
    tags = gate_tags(run_gate(registry, bad, GatePolicy()))
    assert tags["gate"] == "failed"
    assert tags["gate.recall"].startswith("failed: ")


def test_a_version_has_few_tags_and_its_model_a_description(trained: Trained) -> None:
    """A version has at most six tags besides the gate's; its model has a description."""
    registry, result = trained
    tags = registry.by_release(result.release).tags
    assert {"model_version", "training_digest", "gate", "baseline_run_id"} <= tags.keys()
    assert len([name for name in tags if not name.startswith("gate.")]) <= 6
    model = registry.client.get_registered_model(registry.name)
    assert "champion" in model.description


def test_taken_release_is_refused_before_anything_is_fitted(
    trained: Trained, dataset_file: Path
) -> None:
    """A release that exists is refused, and no version is added."""
    from mlflow_project.versions.errors import Refused

    registry, _ = trained
    before = [v.number for v in registry.versions()]
    with pytest.raises(Refused, match="já existe"):
        train(dataset_file, "v1.0.0")
    assert [v.number for v in registry.versions()] == before


def test_a_source_that_is_no_dataset_is_one_line(
    mlflow_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A workbook as dataset ends with one line that names the `retrain` command."""
    monkeypatch.setenv("MODEL_NAME", "no-dataset")
    source = tmp_path / "pede.xlsx"
    source.write_bytes(b"PK not a table")
    assert main(["--source", str(source)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"mlflow_project.retrain --source {source}" in line


def test_scores_of_the_report_are_those_of_the_logged_test_rows(trained: Trained) -> None:
    """ROC-AUC and recall computed from the logged test rows equal the logged metrics."""
    from sklearn.metrics import roc_auc_score

    registry, result = trained
    version = registry.by_release(result.release)
    path = mlflow.artifacts.download_artifacts(
        f"runs:/{version.run_id}/evaluation/test_scores.parquet"
    )
    tested = pd.read_parquet(path)
    metrics = registry.client.get_run(version.run_id).data.metrics
    assert roc_auc_score(tested["target"], tested["score"]) == pytest.approx(
        metrics["test_roc_auc"]
    )
    found = np.mean(tested["flagged"][tested["target"] == 1])
    assert found == pytest.approx(metrics["test_recall"])


def test_all_numbers_are_those_of_the_served_threshold(trained: Trained) -> None:
    """Headline, share flagged and logged flags are those of the contract's threshold."""
    registry, result = trained
    version = registry.by_release(result.release)
    threshold = read_contract(registry, version).threshold
    where = f"{version.uri}/evaluation/test_scores.parquet"
    tested = pd.read_parquet(mlflow.artifacts.download_artifacts(where))
    assert (tested["flagged"] == (tested["score"] >= threshold)).all()
    assert f"limiar {threshold:.4f}".replace(".", ",") in result.headline
    metrics = registry.client.get_run(version.run_id).data.metrics
    assert metrics["test_share_flagged"] == pytest.approx(tested["flagged"].mean())


def test_the_version_brings_what_it_was_judged_by(trained: Trained) -> None:
    """Test scores, training rows and the drift reference are artifacts of the model."""
    registry, result = trained
    folder = Path(mlflow.artifacts.download_artifacts(registry.by_release(result.release).uri))
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")}
    assert found == {
        "evaluation/test_scores.parquet",
        "evaluation/training_rows.parquet",
        names.ARTIFACT_REFERENCE,
    }


def test_where_the_time_went_is_logged(trained: Trained) -> None:
    """The time of each step is an artifact of the run, not a metric to compare versions by."""
    registry, result = trained
    run_id = registry.by_release(result.release).run_id
    seconds = mlflow.artifacts.load_dict(f"runs:/{run_id}/{TIMES_ARTIFACT}")["seconds"]
    assert {"evaluate", "baseline", "splits"} <= seconds.keys()
    assert all(spent > 0 for spent in seconds.values())
    metrics = registry.client.get_run(run_id).data.metrics
    assert not [name for name in metrics if name.startswith(("seconds_", "share_"))]
    assert "## Tempo" in result.report.read_text(encoding="utf-8")


def test_nothing_of_a_run_lies_where_it_was_started(trained: Trained) -> None:
    """Only the report is written to the working directory, since the server may be remote."""
    _, result = trained
    here = result.report.parent.parent
    assert [path.name for path in here.iterdir()] == ["artifacts"]


def test_the_description_says_it_all_in_its_first_line(trained: Trained) -> None:
    """The version's description is one plain line, since the UI's list shows it unformatted."""
    registry, result = trained
    version = registry.client.get_model_version(MODEL, str(result.number))
    assert version.description == result.headline
    assert version.description.startswith("v1.0.0: recall 0,")
    assert "\n" not in version.description


def test_the_served_score_is_the_reports_for_the_same_student(
    trained: Trained, dataset: pd.DataFrame
) -> None:
    """The proxy's scorer, on the version's files, reproduces the logged score of each row."""
    import skops.io

    from core.contract.trusted_types import PLAIN_TYPES
    from mlflow_project.pede import FEATURES
    from serving.model.inputs import Inputs
    from serving.model.scoring import Scorer

    registry, result = trained
    version = registry.by_release(result.release)
    where = f"runs:/{version.run_id}/evaluation/training_rows.parquet"
    logged = pd.read_parquet(mlflow.artifacts.download_artifacts(where)).set_index("row")
    folder = Path(mlflow.artifacts.download_artifacts(version.uri))
    model = skops.io.load(folder / "model.skops", trusted=sorted(PLAIN_TYPES))
    scorer = Scorer(model.predict_proba, Inputs(FEATURES), 1)
    assert scorer.shortcut is not None
    students = dataset.sample(200, random_state=0)
    frame = students[list(FEATURE_NAMES)].astype(object)
    rows = frame.where(frame.notna(), None).to_numpy().tolist()
    expected = logged.loc[row_digests(students)]["served_score"].to_numpy()
    np.testing.assert_allclose(scorer(rows), expected, atol=1e-12)
    contract = read_contract(registry, version)
    assert contract.example is not None
    written = f"{contract.example.score:.12f}".replace(".", ",")
    assert written in result.report.read_text(encoding="utf-8")


def test_the_same_training_again_gives_the_existing_version(
    trained: Trained, dataset_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A repeated training returns the existing version with a note; no run or version is added."""
    registry, result = trained
    runs = registry.client.search_runs([run_of(registry, result).info.experiment_id])
    again = train(dataset_file)
    assert (again.release, again.number, again.existing) == (result.release, result.number, True)
    assert again.headline == result.headline
    assert "mesmos dados, código e parâmetros de v1.0.0" in capsys.readouterr().out
    assert len(registry.versions()) == 1
    assert len(registry.client.search_runs([runs[0].info.experiment_id])) == len(runs)


@pytest.mark.slow
def test_a_forced_training_reproduces_the_version(
    trained: Trained, dataset_file: Path, dataset: pd.DataFrame
) -> None:
    """A forced repeat gives equal metrics but for times, parameters but for release, and scores.

    The names are equal too, so the UI compares two versions line by line.
    """
    registry, result = trained
    forced = train(dataset_file, force=True)
    assert forced.release == "v1.1.0" and not forced.existing
    first, second = run_of(registry, result).data, run_of(registry, forced).data
    assert first.params.keys() == second.params.keys()
    assert first.metrics.keys() == second.metrics.keys()
    differing = {k for k in first.params if first.params[k] != second.params[k]}
    assert differing == {"release", "judged_against"} or differing == {"release"}
    timed = ("one_row_ms",)
    for name, value in first.metrics.items():
        assert name.startswith(timed) or value == second.metrics[name], name
    frame = dataset[list(FEATURE_NAMES)]
    models = [
        mlflow.pyfunc.load_model(registry.by_release(r.release).uri) for r in (result, forced)
    ]
    np.testing.assert_array_equal(*(model.predict(frame) for model in models))


def run_of(registry: Registry, result: Registered) -> Run:
    """Return a version's source run."""
    run: Run = registry.client.get_run(registry.by_release(result.release).run_id)
    return run
