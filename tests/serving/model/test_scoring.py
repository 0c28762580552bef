"""Scores equal the estimator's on a typed frame, with and without a shortcut."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from core.contract.model import Feature
from serving.compiled import estimators, trees
from serving.errors import ScoringFailed
from serving.model.inputs import Inputs
from serving.model.scoring import Scorer

NAMES = [f"x{number}" for number in range(6)]
FEATURES = [Feature(name, min=-10, max=10) for name in NAMES]
FILLED = [Feature(name, min=-10, max=10, nullable=False) for name in NAMES]


def data(rows: int, seed: int, missing: float = 0.1) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a frame of values with one decimal and missing values, and a binary target."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 3, (rows, len(NAMES))).clip(-10, 10).round(1)
    target = values @ np.arange(1, 7) + rng.normal(0, 9, rows) > 0
    values[rng.random(values.shape) < missing] = np.nan
    return pd.DataFrame(values, columns=NAMES), target.astype(int)


def as_rows(frame: pd.DataFrame) -> list[list[Any]]:
    """Return the frame as a request's rows."""
    return [[None if v != v else v for v in row] for row in frame.to_numpy().tolist()]


def columns() -> ColumnTransformer:
    """Return the column transformer that mlflow_project puts between imputer and model."""
    return ColumnTransformer(
        [
            ("values", "passthrough", list(range(6))),
            ("difference", FunctionTransformer(np.diff), [4, 1]),
        ]
    )


def champion() -> CalibratedClassifierCV:
    """Return an unfitted classifier built as mlflow_project builds its own."""
    boosting = HistGradientBoostingClassifier(max_iter=40, max_features=0.5, random_state=0)
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    return CalibratedClassifierCV(make_pipeline(imputer, columns(), boosting), ensemble=False)


MODELS: dict[str, tuple[Callable[[], Any], str, list[Feature]]] = {
    "champion": (champion, "predict_proba", FEATURES),
    "boosting": (lambda: HistGradientBoostingClassifier(max_iter=40), "predict_proba", FEATURES),
    "regressor": (lambda: HistGradientBoostingRegressor(max_iter=40), "predict", FEATURES),
    "forest": (lambda: RandomForestClassifier(30, random_state=0), "predict_proba", FILLED),
    "imputed forest": (
        lambda: make_pipeline(SimpleImputer(), ExtraTreesClassifier(30, random_state=0)),
        "predict_proba",
        FEATURES,
    ),
    "old boosting": (GradientBoostingClassifier, "predict_proba", FILLED),
    "old regressor": (GradientBoostingRegressor, "predict", FILLED),
    "three fits": (
        lambda: CalibratedClassifierCV(HistGradientBoostingClassifier(max_iter=20), cv=3),
        "predict_proba",
        FEATURES,
    ),
    "isotonic": (
        lambda: CalibratedClassifierCV(
            HistGradientBoostingClassifier(max_iter=20), method="isotonic", ensemble=False
        ),
        "predict_proba",
        FEATURES,
    ),
    "linear": (
        lambda: make_pipeline(
            SimpleImputer(add_indicator=True), StandardScaler(), LogisticRegression()
        ),
        "predict_proba",
        FEATURES,
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_way_gives_the_estimators_scores(name: str) -> None:
    """Scores of new rows, single, in batches and in bulk, agree to 1e-12; a shortcut is used."""
    build, method, features = MODELS[name]
    missing = 0.1 if features[0].nullable else 0.0
    model = build().fit(*data(500, 1, missing))
    scorer = Scorer(getattr(model, method), Inputs(features), 1)
    frame, _ = data(3000, 2, missing)
    expected = getattr(model, method)(frame)
    expected = expected[:, 1] if expected.ndim == 2 else expected
    rows = as_rows(frame)
    assert scorer.shortcut is not None or name == "isotonic"
    np.testing.assert_allclose(scorer(rows), expected, rtol=1e-12, atol=1e-12)
    batches = [score for start in range(0, 3000, 50) for score in scorer(rows[start : start + 50])]
    np.testing.assert_allclose(batches, expected, rtol=1e-12, atol=1e-12)
    singly = [scorer([row])[0] for row in rows[:50]]
    np.testing.assert_allclose(singly, expected[:50], rtol=1e-12, atol=1e-12)


def test_three_classes_agree_too() -> None:
    """Probabilities of three classes agree to 1e-12; Treelite's softmax is single precision."""
    frame, _ = data(400, 1)
    model = HistGradientBoostingClassifier(max_iter=20).fit(frame, np.arange(400) % 3)
    scorer = Scorer(model.predict_proba, Inputs(FEATURES), 2)
    assert scorer.shortcut is not None
    expected = model.predict_proba(frame)
    np.testing.assert_allclose(scorer.output(as_rows(frame)[:90]), expected[:90], atol=1e-12)


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_a_class_is_known_by_its_position(method: str) -> None:
    """A class name or probabilities map to the class's position; a regression has None."""
    frame, _ = data(400, 1)
    kinds = np.array(["low", "middle", "high"])[np.arange(400) % 3]
    model = HistGradientBoostingClassifier(max_iter=5).fit(frame, kinds)
    scorer = Scorer(getattr(model, method), Inputs(FEATURES), None)
    places = scorer.answered(scorer.output(as_rows(frame)))
    assert [model.classes_[place] for place in places] == model.predict(frame).tolist()
    number = HistGradientBoostingRegressor(max_iter=5).fit(frame, np.arange(400.0))
    scorer = Scorer(number.predict, Inputs(FEATURES), None)
    assert scorer.answered(scorer.output(as_rows(frame)[:2])) == [None, None]


def test_integers_and_booleans_take_the_shortcut() -> None:
    """Integer and boolean features are scored by the shortcut."""
    frame, target = data(300, 1, 0.0)
    typed = pd.DataFrame({"a": frame["x0"].astype(int), "b": frame["x1"] > 0, "c": frame["x2"]})
    features = [
        Feature("a", "long", min=-10, max=10, nullable=False),
        Feature("b", "boolean", nullable=False),
        Feature("c", min=-10, max=10, nullable=False),
    ]
    model = RandomForestClassifier(20, random_state=0).fit(typed, target)
    scorer = Scorer(model.predict_proba, Inputs(features), 1)
    assert scorer.shortcut is not None
    rows = [list(row) for row in typed.itertuples(index=False)]
    np.testing.assert_allclose(scorer(rows), model.predict_proba(typed)[:, 1], atol=1e-12)


def test_a_shortcut_that_differs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled method that is off by 1e-9 is rejected; the estimator's own is used."""
    frame, target = data(500, 1)
    model = champion().fit(frame, target)
    assert Scorer(model.predict_proba, Inputs(FEATURES), 1).shortcut is not None
    right = estimators.COMPILERS["CalibratedClassifierCV"]

    def wrong(*arguments: Any) -> Any:
        method = right(*arguments)
        return lambda matrix: method(matrix) + 1e-9

    monkeypatch.setitem(estimators.COMPILERS, "CalibratedClassifierCV", wrong)  # type: ignore[arg-type]
    scorer = Scorer(model.predict_proba, Inputs(FEATURES), 1)
    assert scorer.shortcut is None
    assert scorer(as_rows(frame)) == model.predict_proba(frame)[:, 1].tolist()


def test_trees_that_compare_in_single_precision_are_told_apart() -> None:
    """A forest compares in float32, boosting in float64; both agree next to the thresholds."""
    values = np.array([[0.1], [0.3], [0.30000001192092896], [0.5]] * 20)
    forest = RandomForestClassifier(10, random_state=0).fit(values, [0, 0, 1, 1] * 20)
    boosting = HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=1)
    boosting.fit(values, [0, 0, 1, 1] * 20)
    for model in (forest, boosting):
        fast = trees.compile_trees(model, "predict_proba", model.predict_proba)
        near = np.concatenate([np.nextafter(values[:4], 1), np.nextafter(values[:4], 0)])
        np.testing.assert_allclose(fast(near), model.predict_proba(near), atol=1e-12)


def test_a_difference_only_near_thresholds_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees with `<` in place of `<=` are refused; the estimator's own method is used."""
    frame, target = data(500, 1)
    model = HistGradientBoostingClassifier(max_iter=20).fit(frame.to_numpy(), target)
    build = trees.margins_of

    def strict(*arguments: Any) -> Any:
        method = build(*arguments)
        return lambda matrix: method(np.nextafter(matrix, np.inf))

    monkeypatch.setattr(trees, "margins_of", strict)
    with pytest.raises(trees.ShortcutRefused):
        trees.compile_trees(model, "decision_function", model.decision_function)
    careful = estimators.compile_method(model, "decision_function")
    rows = frame.to_numpy()
    np.testing.assert_allclose(careful(rows), model.decision_function(rows), atol=1e-12)


def test_a_model_that_refuses_null_keeps_refusing_it() -> None:
    """If the estimator refuses null, so does its shortcut."""
    model = GradientBoostingClassifier().fit(*data(300, 1, 0.0))
    scorer = Scorer(model.predict_proba, Inputs(FEATURES), 1)
    assert scorer.shortcut is not None
    with pytest.raises(ScoringFailed):
        scorer([[None] * 6])


def test_foreign_estimators_are_asked_and_compared() -> None:
    """A plain function has no shortcut; it is called with a frame."""
    scorer = Scorer(lambda frame: frame["x0"].to_numpy() * 2, Inputs(FEATURES), 1)
    assert scorer.shortcut is None
    assert scorer([[1.5, *[None] * 5]]) == [3.0]
