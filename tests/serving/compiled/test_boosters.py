"""XGBoost, LightGBM and CatBoost: served from their native formats, with pyfunc's outputs."""

import shutil
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from mlflow.types import ParamSchema, ParamSpec
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core.contract.derived import contract_of_version
from serving.compiled.boosters import XgboostBooster
from serving.compiled.estimators import compile_method
from serving.config.settings import Settings
from serving.model.flavours import UnfitError, method_of
from serving.model.inputs import Inputs
from serving.model.scoring import Scorer
from tests import plain_versions

NAMES = ["a", "b c", "d", "e"]
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(RNG.normal(size=(300, 4)), columns=NAMES)
FRAME.iloc[::7, 2] = np.nan
KIND = (FRAME["a"] > 0).astype(int)
THREE = np.digitize(FRAME["a"], [-0.5, 0.5])
AMOUNT = 3 * FRAME["a"] + RNG.normal(size=300)


def served(folder: Path, **settings: Any) -> Scorer:
    """Return the scorer of a saved model."""
    package = plain_versions.opened(folder)
    method = method_of(package, Settings(**settings))
    contract = contract_of_version(1, None, {}, package.inputs or [], package.outputs)
    return Scorer(method, Inputs(contract.features, package.inputs or ()), None)


def agrees(folder: Path) -> None:
    """Assert that the scorer has a shortcut and equals pyfunc on all rows, on 50, and on one."""
    scorer, plain = served(folder), mlflow.pyfunc.load_model(str(folder))
    assert scorer.shortcut is not None
    rows = [[None if v != v else v for v in row] for row in FRAME.to_numpy().tolist()]
    for count in (len(rows), 50, 1):
        expected = np.asarray(plain.predict(FRAME.iloc[:count]))
        assert np.array_equal(scorer.output(rows[:count]), expected)


def xgboost_models() -> dict[str, Any]:
    """Return fitted XGBoost models of each kind."""
    xgboost = pytest.importorskip("xgboost", reason="xgboost is an optional extra")
    small = {"n_estimators": 30, "max_depth": 3, "n_jobs": 1}
    data = xgboost.DMatrix(FRAME, KIND)
    return {
        "booster": xgboost.train({"objective": "binary:logistic", "nthread": 1}, data, 30),
        "margins": xgboost.train({"objective": "binary:logitraw", "nthread": 1}, data, 30),
        "classifier": xgboost.XGBClassifier(**small).fit(FRAME, KIND),
        "three classes": xgboost.XGBClassifier(**small).fit(FRAME, THREE),
        "regressor": xgboost.XGBRegressor(**small).fit(FRAME, AMOUNT),
        "forest": xgboost.XGBRFRegressor(**small).fit(FRAME, AMOUNT),
    }


@pytest.mark.parametrize("form", ["ubj", "json"])
def test_xgboost_is_served_from_its_own_file(form: str, tmp_path: Path) -> None:
    """Boosters, classifiers and regressors in both formats equal pyfunc, without ALLOW_PICKLE."""
    signature = infer_signature(FRAME, np.zeros(3))
    for name, model in xgboost_models().items():
        folder = tmp_path / name
        mlflow.xgboost.save_model(
            model, folder, signature=signature, model_format=form, pip_requirements=[]
        )
        agrees(folder)


def odd_xgboost_models() -> dict[str, tuple[Any, str, Any]]:
    """Return models whose output depends on more than their trees, with a method and a frame."""
    xgboost = pytest.importorskip("xgboost", reason="xgboost is an optional extra")
    small = {"n_estimators": 30, "max_depth": 3, "n_jobs": 1}
    stopped = xgboost.XGBRegressor(**small, early_stopping_rounds=2)
    stopped.fit(FRAME[:150], RNG.normal(size=150), eval_set=[(FRAME[150:], RNG.normal(size=150))])
    assert stopped.best_iteration < 29
    codes = FRAME.assign(a=np.arange(300) % 6.0)
    known = np.isin(codes["a"], (1, 4)).astype(float)
    kinds = ["c", "q", "q", "q"]
    sets = xgboost.train(
        {"max_depth": 3},
        xgboost.DMatrix(codes, known, feature_types=kinds, enable_categorical=True),
        10,
    )
    return {
        "stopped early": (stopped, "predict", FRAME),
        "a number is missing": (
            xgboost.XGBRegressor(**small, missing=2.0).fit(codes, AMOUNT),
            "predict",
            codes,
        ),
        "sets": (XgboostBooster(sets), "predict", codes),
        "dropped trees": (
            xgboost.XGBRegressor(**small, booster="dart", rate_drop=0.3).fit(FRAME, AMOUNT),
            "predict",
            FRAME,
        ),
        "counts": (
            xgboost.XGBRegressor(**small, objective="count:poisson").fit(FRAME, AMOUNT**2),
            "predict",
            FRAME,
        ),
    }


def quick_xgboost_models() -> dict[str, tuple[Any, str, Any]]:
    """Return models for which few rows are scored without XGBoost's own predict call."""
    found = xgboost_models()
    plain = ("classifier", "regressor", "forest")
    quick: dict[str, tuple[Any, str, Any]] = {n: (found[n], "predict", FRAME) for n in plain}
    quick["probabilities"] = (found["classifier"], "predict_proba", FRAME)
    for name in ("booster", "margins"):
        quick[name] = (XgboostBooster(found[name]), "predict", FRAME)
    return quick


def test_an_array_gives_what_xgboost_gives() -> None:
    """Compiled output equals XGBoost's for every kind of model, batch size and missing values."""
    models = {**quick_xgboost_models(), **odd_xgboost_models()}
    models["three classes"] = (xgboost_models()["three classes"], "predict_proba", FRAME)
    for name, (model, method, frame) in models.items():
        compiled = compile_method(model, method)
        rows = np.concatenate([frame.to_numpy(), frame.to_numpy().astype(np.float32)])
        for count in (600, 33, 32, 2, 1):
            part = rows[-count:]
            expected = getattr(model, method)(pd.DataFrame(part, columns=NAMES))
            assert np.array_equal(compiled(part), expected), (name, count)


def test_few_rows_do_not_wait_for_xgboost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows are scored without XGBoost's predict call, which takes most of a request's time."""
    models = quick_xgboost_models()
    compiled = {name: compile_method(model, method) for name, (model, method, _) in models.items()}
    monkeypatch.delattr("xgboost.Booster.inplace_predict")
    for method in compiled.values():
        assert len(method(FRAME[:20].to_numpy())) == 20


def test_lightgbm_is_served_from_its_own_file(tmp_path: Path) -> None:
    """A native booster (text) and estimators (skops) equal pyfunc, without ALLOW_PICKLE."""
    lightgbm = pytest.importorskip("lightgbm", reason="lightgbm is an optional extra")
    signature = infer_signature(FRAME, np.zeros(3))
    quiet = {"verbose": -1, "num_threads": 1}
    booster = lightgbm.train({"objective": "binary", **quiet}, lightgbm.Dataset(FRAME, KIND), 30)
    mlflow.lightgbm.save_model(
        booster, tmp_path / "booster", signature=signature, pip_requirements=[]
    )
    agrees(tmp_path / "booster")
    types = ["collections.OrderedDict", "lightgbm.basic.Booster"]
    estimators = {
        "LGBMClassifier": lightgbm.LGBMClassifier(n_estimators=30, **quiet).fit(FRAME, THREE),
        "LGBMRegressor": lightgbm.LGBMRegressor(n_estimators=30, **quiet).fit(FRAME, AMOUNT),
    }
    for name, model in estimators.items():
        mlflow.lightgbm.save_model(
            model,
            tmp_path / name,
            signature=signature,
            pip_requirements=[],
            serialization_format="skops",
            skops_trusted_types=[*types, f"lightgbm.sklearn.{name}"],
        )
        agrees(tmp_path / name)


@pytest.mark.parametrize("form", ["cbm", "json"])
def test_catboost_is_served_from_its_own_file(form: str, tmp_path: Path) -> None:
    """Classifiers and regressors in both data formats (cbm, json) equal pyfunc."""
    catboost = pytest.importorskip("catboost", reason="catboost is an optional library")
    quiet = {"iterations": 30, "depth": 3, "verbose": False, "thread_count": 1}
    quiet |= {"allow_writing_files": False}
    models = {
        "classifier": catboost.CatBoostClassifier(**quiet).fit(FRAME, KIND),
        "three classes": catboost.CatBoostClassifier(**quiet).fit(FRAME, THREE),
        "regressor": catboost.CatBoostRegressor(**quiet).fit(FRAME, AMOUNT),
        "plain": catboost.CatBoost({**quiet, "loss_function": "RMSE"}).fit(FRAME, AMOUNT),
    }
    rows = [[None if v != v else v for v in row] for row in FRAME.to_numpy().tolist()]
    for name, model in models.items():
        folder = tmp_path / name
        signature = infer_signature(FRAME, model.predict(FRAME))
        mlflow.catboost.save_model(
            model, folder, signature=signature, pip_requirements=[], format=form
        )
        scorer, plain = served(folder), mlflow.pyfunc.load_model(str(folder))
        for count in (len(rows), 50, 1):
            expected = np.asarray(plain.predict(FRAME.iloc[:count]))
            assert np.array_equal(scorer.output(rows[:count]), expected)


def test_catboost_as_a_program_needs_the_switch(tmp_path: Path) -> None:
    """A CatBoost model saved as Python code is refused without ALLOW_PICKLE."""
    catboost = pytest.importorskip("catboost", reason="catboost is an optional library")
    model = catboost.CatBoostRegressor(iterations=2, verbose=False, allow_writing_files=False)
    folder = tmp_path / "model"
    mlflow.catboost.save_model(
        model.fit(FRAME, AMOUNT),
        folder,
        signature=infer_signature(FRAME, np.zeros(3)),
        pip_requirements=[],
        format="python",
    )
    with pytest.raises(UnfitError, match="ALLOW_PICKLE"):
        served(folder)


def test_a_pickled_estimator_needs_the_switch(tmp_path: Path) -> None:
    """A LightGBM estimator saved with cloudpickle is refused without ALLOW_PICKLE."""
    lightgbm = pytest.importorskip("lightgbm", reason="lightgbm is an optional extra")
    model = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(FRAME, AMOUNT)
    mlflow.lightgbm.save_model(
        model,
        tmp_path / "pickled",
        signature=infer_signature(FRAME, AMOUNT),
        pip_requirements=[],
        serialization_format="cloudpickle",
    )
    with pytest.raises(UnfitError, match="ALLOW_PICKLE"):
        served(tmp_path / "pickled")


def test_a_class_that_a_flavour_names_is_one_of_its_own(tmp_path: Path) -> None:
    """A `model_class` outside XGBoost is refused, and so is a model file that cannot be read."""
    model = xgboost_models()["classifier"]
    folder = tmp_path / "model"
    mlflow.xgboost.save_model(
        model, folder, signature=infer_signature(FRAME, KIND), pip_requirements=[]
    )
    file = folder / "MLmodel"
    file.write_text(file.read_text().replace("xgboost.sklearn.XGBClassifier", "os.system"))
    with pytest.raises(UnfitError, match="ALLOW_PICKLE"):
        served(folder)
    shutil.copy(__file__, folder / "model.ubj")
    file.write_text(file.read_text().replace("os.system", "xgboost.sklearn.XGBClassifier"))
    with pytest.raises(UnfitError, match="lido"):
        served(folder)


def test_a_booster_at_the_end_of_a_pipeline_is_data(tmp_path: Path) -> None:
    """A scikit-learn pipeline with an XGBoost booster, stored as bytes by skops, equals pyfunc."""
    xgboost = pytest.importorskip("xgboost", reason="xgboost is an optional extra")
    last = xgboost.XGBRegressor(n_estimators=20, n_jobs=1)
    model = make_pipeline(StandardScaler(), last).fit(FRAME, AMOUNT)
    mlflow.sklearn.save_model(
        model,
        tmp_path / "model",
        signature=infer_signature(FRAME, AMOUNT),
        pip_requirements=[],
        serialization_format="skops",
        skops_trusted_types=["xgboost.core.Booster", "xgboost.sklearn.XGBRegressor"],
    )
    agrees(tmp_path / "model")


@pytest.mark.parametrize("given", [None, {"output_margin": True}, {"output_margin": False}])
def test_parameters_of_a_signature_reach_xgboost(given: Any, tmp_path: Path) -> None:
    """Parameters, or the signature's defaults, are passed as MLflow does; unknown ones are not."""
    xgboost = pytest.importorskip("xgboost", reason="xgboost is an optional extra")
    model = xgboost.XGBClassifier(n_estimators=3).fit(FRAME, KIND)
    for name, one in (("estimator", model), ("booster", model.get_booster())):
        signature = infer_signature(FRAME, np.zeros(1))
        signature.params = ParamSchema(
            [ParamSpec("output_margin", "boolean", True), ParamSpec("unheard_of", "long", 1)]
        )
        folder = tmp_path / name
        mlflow.xgboost.save_model(one, folder, signature=signature, pip_requirements=[])
        version = plain_versions.read(folder)
        params = version.params.read(given)
        rows = [[None if v != v else v for v in row] for row in FRAME.to_numpy().tolist()]
        expected = mlflow.pyfunc.load_model(str(folder)).predict(FRAME, params=given)
        assert np.allclose(version.output(rows, params), expected, rtol=0, atol=1e-6)
