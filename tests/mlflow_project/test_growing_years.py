"""Datasets over the years: a sheet is added, all are moved by a year, the oldest is dropped."""

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from core.contract import names
from core.registry.versions import Registry, open_registry
from data.synthetic import generate_workbook, write_workbook
from mlflow_project.dataset.pairs import YEAR
from mlflow_project.flips.promotion import promote
from mlflow_project.gate.verdict import ARTIFACT_GATE, common_rows
from mlflow_project.make_dataset import make_dataset
from mlflow_project.modelling import pipeline, splits
from mlflow_project.modelling.rows import in_own_order
from mlflow_project.modelling.threshold import ThresholdPolicy
from mlflow_project.modelling.training import evaluate_fit
from mlflow_project.runs.training_run import Registered, train
from tests.live import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
FIRST, LAST = 2022, 2025


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the datasets `three.parquet`, `four.parquet` and `without_2022.parquet`.

    The workbook of four years is that of three plus one sheet.
    """
    place = tmp_path_factory.mktemp("years")
    spans = {"three": (FIRST, LAST), "four": (FIRST, LAST + 1), "without_2022": (2023, LAST + 1)}
    for name, span in spans.items():
        write_workbook(generate_workbook(500, 5, range(*span)), place / f"{name}.xlsx")
        make_dataset(place / f"{name}.xlsx", place / f"{name}.parquet", "a key")
    return place


@pytest.fixture(scope="module")
def champion(mlflow_server: str, folder: Path) -> Iterator[Registry]:
    """Yield the registry of a model whose champion was trained on 2022 to 2024."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_NAME", "years")
        patch.setenv("PYTHONPATH", str(ROOT))
        for module, name, value in (
            (pipeline, "REPEATS", 1),
            (pipeline, "FOLDS", 3),
            (splits, "SPLITS", 1),
            (splits, "FOLDS", 2),
        ):
            patch.setattr(module, name, value)
        patch.chdir(folder)
        mlflow.set_tracking_uri(mlflow_server)
        first = train(folder / "three.parquet")
        registry = open_registry()
        promote(registry, first.release, "the first year's", force=True)
        yield registry


def judged(registry: Registry, result: Registered) -> dict[str, str]:
    """Return a version's value found for each criterion, from its run's gate table."""
    run_id = registry.by_release(result.release).run_id
    table = mlflow.load_table(ARTIFACT_GATE, run_ids=[run_id])
    return dict(zip(table["name"], table["found"], strict=True))


def test_a_new_years_sheet_is_decided_compared_and_registered(
    champion: Registry, folder: Path
) -> None:
    """Without common test rows the served champion scores the new year for the comparison."""
    result = train(folder / "four.parquet")
    verdicts = judged(champion, result)
    assert {"recall_gain", "f2_gain", "brier_gain"} <= verdicts.keys()
    version = champion.by_release(result.release)
    assert version.aliases == (names.CHALLENGER,)
    assert "treino 2022→2023, 2023→2024, teste 2024→2025" in result.report.read_text("utf-8")


@pytest.mark.parametrize(
    ("dataset", "moved"),
    [("three", 1), ("without_2022", 0), ("three", 0)],
    ids=["all sheets moved by a year", "2022 dropped", "the same years"],
)
def test_other_spans_of_years_are_compared(
    champion: Registry, folder: Path, dataset: str, moved: int
) -> None:
    """The comparison uses rows unseen by both fits, or a year the champion was not trained on."""
    rows = in_own_order(pd.read_parquet(folder / f"{dataset}.parquet"))
    rows[YEAR] += moved
    evaluation = evaluate_fit(rows, ThresholdPolicy(), 7)
    common = common_rows(champion, champion.by_release("v1.0.0"), evaluation)
    assert len(common) == len(evaluation.test)
    assert common["champion_flagged"].isin([True, False]).all()
