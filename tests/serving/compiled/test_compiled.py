"""Compiled pipelines: the estimator's own output on any row, by table look-ups and arithmetic."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeClassifier

from core.contract.model import Feature
from serving.errors import ScoringFailed
from serving.model.inputs import Inputs
from serving.model.scoring import Scorer

TEXT, NUMBERS = ["city", "plan"], ["age", "spend"]
CITIES = ["São Paulo", "Recife", "Natal", "x y"]
FEATURES = [
    Feature("city", "string"),
    Feature("plan", "string", nullable=False),
    Feature("age"),
    Feature("spend", nullable=False),
]


@cache
def churn() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return a frame of customers with text and missing values, their class, and an amount."""
    rng = np.random.default_rng(0)
    n = 400
    frame = pd.DataFrame(
        {
            "city": rng.choice(CITIES, n),
            "plan": rng.choice(["a", "b", "c"], n, p=[0.6, 0.35, 0.05]),
            "age": rng.integers(18, 80, n).astype(float),
            "spend": rng.gamma(2, 50, n).round(2),
        }
    ).astype({"city": "str", "plan": "str"})
    amount = frame["age"] * 2 + 30 * (frame["city"] == "Recife") + rng.normal(0, 9, n)
    gone = np.where(amount > amount.median(), "gone", "stays")
    frame.loc[rng.random(n) < 0.1, "city"] = None
    frame.loc[rng.random(n) < 0.1, "age"] = np.nan
    return frame, gone, amount.to_numpy()


def columns(encoder: Any, numeric: Any) -> ColumnTransformer:
    """Return a transformer that encodes the text columns and transforms the numeric ones."""
    return make_column_transformer((encoder, TEXT), (numeric, NUMBERS))


def filled(*steps: Any) -> Any:
    """Return a pipeline of a median imputer and further steps."""
    return make_pipeline(SimpleImputer(strategy="median"), *steps)


ONE_HOT = OneHotEncoder(handle_unknown="ignore")
CODES = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
LOGISTIC = LogisticRegression(max_iter=2000)

MODELS: dict[str, tuple[Callable[[], Any], str]] = {
    "one-hot": (
        lambda: make_pipeline(columns(ONE_HOT, filled(StandardScaler())), LOGISTIC),
        "predict_proba",
    ),
    "one-hot, labels": (
        lambda: make_pipeline(columns(OneHotEncoder(), filled(RobustScaler())), LOGISTIC),
        "predict",
    ),
    "one-hot, rare and dropped": (
        lambda: make_pipeline(
            columns(
                OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=60, drop="first"),
                filled(MinMaxScaler(clip=True)),
            ),
            LOGISTIC,
        ),
        "predict_proba",
    ),
    "codes and boosting": (
        lambda: make_pipeline(
            columns(CODES, "passthrough"), HistGradientBoostingClassifier(max_iter=30)
        ),
        "predict_proba",
    ),
    "codes and boosting, amount": (
        lambda: make_pipeline(
            columns(CODES, "passthrough"),
            HistGradientBoostingRegressor(max_iter=30, loss="poisson"),
        ),
        "amount",
    ),
    "target and forest": (
        lambda: make_pipeline(
            columns(TargetEncoder(), filled()), RandomForestClassifier(30, random_state=0)
        ),
        "predict_proba",
    ),
    "forest, labels": (
        lambda: make_pipeline(columns(CODES, filled()), RandomForestClassifier(30, random_state=0)),
        "predict",
    ),
    "forest, amount": (
        lambda: make_pipeline(columns(CODES, filled()), RandomForestRegressor(30, random_state=0)),
        "amount",
    ),
    "forest with nulls, amount": (
        lambda: make_pipeline(
            columns(CODES, "passthrough"), ExtraTreesRegressor(30, random_state=0)
        ),
        "amount",
    ),
    "tree": (
        lambda: make_pipeline(columns(CODES, filled(MaxAbsScaler())), DecisionTreeClassifier()),
        "predict",
    ),
    "bins": (
        lambda: make_pipeline(columns(ONE_HOT, filled(KBinsDiscretizer(4))), LOGISTIC),
        "predict_proba",
    ),
    "ordered bins": (
        lambda: make_pipeline(
            columns(ONE_HOT, filled(KBinsDiscretizer(4, encode="ordinal"))), LOGISTIC
        ),
        "predict_proba",
    ),
    "polynomial, amount": (
        lambda: make_pipeline(
            columns(ONE_HOT, filled(StandardScaler(), PolynomialFeatures(3))), Ridge()
        ),
        "amount",
    ),
    "sigmoids": (
        lambda: CalibratedClassifierCV(
            make_pipeline(columns(ONE_HOT, filled(StandardScaler())), SGDClassifier(random_state=0))
        ),
        "predict_proba",
    ),
    "isotonic": (
        lambda: CalibratedClassifierCV(
            make_pipeline(columns(ONE_HOT, filled(StandardScaler())), LOGISTIC), method="isotonic"
        ),
        "predict_proba",
    ),
    "average": (
        lambda: VotingClassifier(
            [
                ("a", make_pipeline(columns(ONE_HOT, filled(StandardScaler())), LOGISTIC)),
                (
                    "b",
                    make_pipeline(
                        columns(CODES, "passthrough"), HistGradientBoostingClassifier(max_iter=9)
                    ),
                ),
            ],
            voting="soft",
            weights=[1, 2],
        ),
        "predict_proba",
    ),
    "stack": (
        lambda: StackingClassifier(
            [
                ("a", make_pipeline(columns(ONE_HOT, filled(StandardScaler())), LOGISTIC)),
                ("b", make_pipeline(columns(CODES, filled()), DecisionTreeClassifier(max_depth=3))),
            ]
        ),
        "predict_proba",
    ),
    "selectors, union and selection": (
        lambda: make_pipeline(
            ColumnTransformer(
                [
                    (
                        "text",
                        make_pipeline(SimpleImputer(strategy="most_frequent"), ONE_HOT),
                        make_column_selector(dtype_exclude="number"),
                    ),
                    (
                        "numbers",
                        filled(FeatureUnion([("a", StandardScaler()), ("b", MinMaxScaler())])),
                        make_column_selector(dtype_include="number"),
                    ),
                ]
            ),
            SelectKBest(k=5),
            LOGISTIC,
        ),
        "predict_proba",
    ),
}


@cache
def scored(name: str) -> tuple[Scorer, Callable[[Any], Any]]:
    """Return a fitted model's scorer, and the estimator's own method as a function of rows."""
    build, method = MODELS[name]
    frame, gone, amount = churn()
    model = clone(build()).fit(frame, amount if method == "amount" else gone)
    method = getattr(model, "predict" if method == "amount" else method)
    inputs = Inputs(FEATURES)
    return Scorer(method, inputs, None), lambda rows: method(inputs(rows))


WORDS = st.one_of(
    st.sampled_from([*CITIES, "a", "b", "c", "", " ", "nan", "None", "Recife ", "\x00"]),
    st.text(max_size=8),
)
AMOUNTS = st.one_of(
    st.floats(-1e6, 1e6, allow_nan=False),
    st.integers(-100, 200).map(float),
    st.sampled_from([0.0, -0.0, 18.0, 79.0, 1e-300, 3.5e38, -1e300]),
)
ROW = st.tuples(st.none() | WORDS, WORDS, st.none() | AMOUNTS, AMOUNTS).map(list)


@pytest.mark.parametrize("name", MODELS)
def test_a_pipeline_is_compiled(name: str) -> None:
    """Each pipeline has a shortcut, and its output equals the estimator's on the training rows."""
    scorer, plain = scored(name)
    assert scorer.shortcut is not None
    frame, _, _ = churn()
    rows = [[None if v is None or v != v else v for v in row] for row in frame.values.tolist()]
    known = [row for row in rows if row[0] is not None] if name == "one-hot, labels" else rows
    same(scorer.output(known), plain(known))
    for row in known[:10]:
        same(scorer.output([row]), plain([row]))


@pytest.mark.parametrize("name", MODELS)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(ROW, min_size=1, max_size=4))
def test_any_row_gets_the_estimators_output(name: str, rows: list[list[Any]]) -> None:
    """Unseen categories, nulls, odd text and huge numbers: equal values, or both raise."""
    scorer, plain = scored(name)
    with np.errstate(all="ignore"):
        try:
            expected = plain(rows)
        except Exception:
            with pytest.raises(ScoringFailed):
                scorer.output(rows)
            return
        same(scorer.output(rows), expected)


@pytest.mark.parametrize("name", MODELS)
def test_a_row_has_one_score_whoever_is_asked_about_beside_it(name: str) -> None:
    """A row's score is bitwise equal alone and in a batch of any size."""
    scorer, _ = scored(name)
    frame, _, _ = churn()
    rows = [[None if v is None or v != v else v for v in row] for row in frame.values.tolist()]
    rows = [row for row in rows if row[0] is not None][:160]
    alone = [scorer.output([row])[0] for row in rows]
    for size in (2, 3, 5, 8, 17, 160):
        for start in range(0, len(rows), size):
            together = scorer.output(rows[start : start + size])
            np.testing.assert_array_equal(together, alone[start : start + size])


def same(found: Any, expected: np.ndarray) -> None:
    """Assert that labels are equal and numbers agree to 1e-12."""
    if expected.dtype.kind in "OUT":
        assert list(found) == list(expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_an_encoder_with_many_categories_is_asked_itself() -> None:
    """3,000 categories, a 3,000 × 3,000 table, are not compiled; the estimator's method is used."""
    words = pd.DataFrame({"word": [f"w{number}" for number in range(3000)]}).astype("str")
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge()).fit(words, range(3000))
    scorer = Scorer(model.predict, Inputs([Feature("word", "string", nullable=False)]), None)
    assert scorer.shortcut is None
    same(scorer.output([["w7"], ["other"]]), model.predict(pd.DataFrame({"word": ["w7", "other"]})))
