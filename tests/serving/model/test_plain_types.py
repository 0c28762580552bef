"""Trusted types: scikit-learn's estimators load without a setting, code never does."""

import functools
import io
import json
import operator
import os
import subprocess
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import skops.io
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.feature_selection import SelectKBest, mutual_info_regression
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, Matern, WhiteKernel
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, TimeSeriesSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)
from sklearn.utils import all_estimators
from sklearn.utils._test_common.instance_generator import _construct_instances

from core.contract.model import Feature
from core.contract.trusted_types import PLAIN_TYPES
from core.registry.files import Package
from serving.config.settings import Settings
from serving.model.flavours import UnfitError, method_of
from serving.model.inputs import Inputs
from serving.model.scoring import Scorer

RNG = np.random.default_rng(0)
X = np.abs(RNG.normal(size=(40, 3))) + 0.1
Y = (X[:, 0] > 0.8).astype(int)
TARGETS = (Y, X[:, 0], np.c_[Y, 1 - Y], np.c_[X[:, 0], X[:, 1]], None)
PREDICTORS = sorted(
    (name, kind)
    for name, kind in all_estimators()
    if hasattr(kind, "predict") and "successive_halving" not in kind.__module__
)
UNSUPPORTED = {"Birch"}
"""Estimators that skops cannot write."""


def package(folder: Path, content: bytes, **flavor: Any) -> Package:
    """Return a downloaded scikit-learn model with this content of its skops file."""
    (folder / "model.skops").write_bytes(content)
    sklearn = {"pickled_model": "model.skops", "serialization_format": "skops", **flavor}
    flavors = {"python_function": {"predict_fn": "predict"}, "sklearn": sklearn}
    return Package(folder=folder, flavors=flavors, metadata={}, inputs=None, outputs=None)


def load(folder: Path, content: bytes, **settings: Any) -> Any:
    """Return the predict method that the proxy loads from a skops file's content."""
    return method_of(package(folder, content), Settings(**settings))


def fitted(kind: Any) -> tuple[Any, np.ndarray]:
    """Return an estimator fitted on some data that it takes, and the data."""
    estimator = next(iter(_construct_instances(kind)))
    if "novelty" in estimator.get_params():
        estimator.set_params(novelty=True)
    if "strategy" in estimator.get_params() and "Dummy" in kind.__name__:
        estimator.set_params(**kind().get_params())
    for target in TARGETS:
        for data in (X, X[:, :1]):
            try:
                estimator.fit(data) if target is None else estimator.fit(data, target)
                estimator.predict(data)
            except Exception:  # noqa: S112 (the next target may suit it)
                continue
            return estimator, data
    raise AssertionError(f"nothing fits {kind.__name__}")


@pytest.mark.slow
def test_every_estimator_with_predict_is_served_from_its_data(tmp_path: Path) -> None:
    """Every estimator that skops can write is loaded and has its own outputs."""
    served = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, kind in PREDICTORS:
            model, data = fitted(kind)
            try:
                content = skops.io.dumps(model)
            except Exception:
                assert name in UNSUPPORTED
                continue
            method = load(tmp_path, content)
            expected = np.asarray(model.predict(data))
            features = [Feature(f"x{place}") for place in range(data.shape[1])]
            found = Scorer(bare(method), Inputs(features), None).output(data.tolist())
            assert np.array_equal(np.shape(found), expected.shape), name
            if expected.dtype.kind == "f":
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=name)
            else:
                assert np.array_equal(found, expected), name
            served.add(name)
    assert len(PREDICTORS) == 117
    assert {name for name, _ in PREDICTORS} - served == UNSUPPORTED


def bare(method: Any) -> Any:
    """Return a method that passes frames to the estimator as arrays, without feature names."""
    estimator = method.__self__

    class Nameless:
        def predict(self, frame: Any) -> Any:
            return estimator.predict(np.asarray(frame))

    return Nameless().predict


CLASSES: dict[str, Callable[[], Any]] = {
    "search": lambda: GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, scoring="roc_auc"),
    "search over time": lambda: RandomizedSearchCV(
        LogisticRegression(), {"C": [0.1, 1]}, n_iter=2, cv=TimeSeriesSplit(2)
    ),
    "distances": lambda: KNeighborsClassifier(metric="canberra", algorithm="ball_tree"),
    "splines": lambda: make_pipeline(SplineTransformer(), SelectKBest(k=4), LogisticRegression()),
    "numbers of NumPy": lambda: make_pipeline(
        FunctionTransformer(np.log1p),
        FunctionTransformer(np.clip, kw_args={"a_min": 0, "a_max": 9}),
    ),
}
AMOUNTS: dict[str, Callable[[], Any]] = {
    "kernels": lambda: GaussianProcessRegressor(Matern() * RBF() + WhiteKernel()),
    "selection": lambda: make_pipeline(SelectKBest(mutual_info_regression, k=2), Ridge()),
    "a target transformed": lambda: TransformedTargetRegressor(
        Ridge(), transformer=QuantileTransformer(n_quantiles=9)
    ),
    "union": lambda: make_pipeline(
        FeatureUnion([("a", StandardScaler()), ("b", QuantileTransformer(n_quantiles=9))]), Ridge()
    ),
}


@pytest.mark.parametrize("name", [*CLASSES, *AMOUNTS])
def test_usual_pipelines_are_data_too(name: str, tmp_path: Path) -> None:
    """Searches, distances, splines, kernels, selections and unions load by default."""
    model = (CLASSES.get(name) or AMOUNTS[name])()
    if name == "numbers of NumPy":
        model = make_pipeline(model, LogisticRegression())
    model.fit(X, Y if name in CLASSES else X[:, 0])
    loaded = load(tmp_path, skops.io.dumps(model))
    np.testing.assert_allclose(loaded(X), model.predict(X), rtol=1e-9)


def test_column_selectors_are_data(tmp_path: Path) -> None:
    """A pipeline with a column selector loads; its columns were resolved at the fit."""
    import pandas as pd

    frame = pd.DataFrame({"a": X[:, 0], "word": np.where(Y, "u", "v").astype(object)})
    text = make_column_transformer(
        (OneHotEncoder(), make_column_selector(dtype_exclude="number")), remainder="passthrough"
    )
    model = make_pipeline(text, LogisticRegression()).fit(frame, Y)
    assert load(tmp_path, skops.io.dumps(model))(frame).tolist() == model.predict(frame).tolist()


def crafted(node: dict[str, Any]) -> bytes:
    """Return a skops file of a transformer whose function is replaced by this node."""
    model = FunctionTransformer(np.log1p).fit(X)
    source = io.BytesIO(skops.io.dumps(model))
    target = io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.namelist():
            content = old.read(member)
            if member == "schema.json":
                schema = json.loads(content)
                schema["content"]["content"]["func"] = node
                content = json.dumps(schema).encode()
            new.writestr(member, content)
    return target.getvalue()


def state_of(obj: Any) -> dict[str, Any]:
    """Return the node that skops writes for an object."""
    from skops.io._utils import SaveContext, get_state

    context = SaveContext(zip_file=zipfile.ZipFile(io.BytesIO(), "w"))
    state: dict[str, Any] = get_state(obj, context)
    return state


ACTS = {
    "a partial of os.system": functools.partial(os.system, "true"),
    "a partial in a partial": functools.partial(functools.partial, os.system, "true"),
    "a partial of subprocess": functools.partial(subprocess.call, ["true"]),
    "a bound method": StandardScaler().fit(X).transform,
    "the caller of a method": operator.methodcaller("system"),
    "os.system itself": os.system,
}


@pytest.mark.parametrize("name", ACTS)
def test_a_file_that_could_act_is_refused(name: str, tmp_path: Path) -> None:
    """A function that is not trusted is refused, also inside a partial."""
    content = crafted(state_of(ACTS[name]))
    with pytest.raises(UnfitError, match=r"TRUSTED_TYPES|lido"):
        load(tmp_path, content)


def test_a_partial_of_a_listed_function_is_data(tmp_path: Path) -> None:
    """A crafted file with a partial of a trusted function loads; it lacks `predict` only."""
    content = crafted(state_of(functools.partial(np.clip, a_min=0, a_max=1)))
    loaded = skops.io.loads(content, trusted=sorted(PLAIN_TYPES))
    assert loaded.transform(X).max() == 1.0
    with pytest.raises(UnfitError, match="pyfunc_predict_fn"):
        load(tmp_path, content)  # a transformer: read, but it has no predict


def test_a_partial_cannot_hide_its_function(tmp_path: Path) -> None:
    """A node disguised as a trusted type, or with another loader, is refused."""
    partial = state_of(functools.partial(os.system, "touch harmed"))
    for disguise in (
        {**partial, "__class__": "dtype", "__module__": "numpy"},
        {**partial, "__loader__": "ObjectNode"},
        {"__class__": "system", "__module__": "posix", "__loader__": "TypeNode"},
    ):
        with pytest.raises(UnfitError):
            load(tmp_path, crafted(disguise))


@pytest.mark.parametrize("loader", ["LossNode", "ConstructorFromReduceNode"])
def test_a_file_calls_no_constructor_but_scikit_learns(loader: str, tmp_path: Path) -> None:
    """A booster is a trusted type, but a node that constructs one from a file name is refused."""
    arguments = state_of((None, None, "/etc/passwd"))
    node = {
        "__class__": "Booster",
        "__module__": "lightgbm.basic",
        "__loader__": loader,
        "content": arguments if loader != "LossNode" else state_of({}),
        "__reduce__": {"args": arguments},
    }
    with pytest.raises(UnfitError, match=r"lightgbm\.basic\.Booster"):
        load(tmp_path, crafted(node))


def test_distributions_execute_text_and_stay_out(tmp_path: Path) -> None:
    """`scipy.stats` executes text of an object's state when loaded, so its types are refused."""
    search = RandomizedSearchCV(LogisticRegression(), {"C": scipy.stats.uniform(0.1, 1)}, n_iter=2)
    content = skops.io.dumps(search.fit(X, Y))
    with pytest.raises(UnfitError, match=r"scipy\.stats"):
        load(tmp_path, content)
    assert not any(name.startswith("scipy.stats") for name in PLAIN_TYPES)


def test_the_list_holds_nothing_that_runs_what_it_is_given() -> None:
    """The trusted types hold no builtins, operators, OS modules, or distances by a function."""
    modules = {name.rpartition(".")[0] for name in PLAIN_TYPES}
    assert not modules & {"builtins", "operator", "os", "posix", "subprocess", "importlib"}
    assert not any("PyFunc" in name for name in PLAIN_TYPES)


def test_a_file_is_measured_before_it_is_unpacked(tmp_path: Path) -> None:
    """A file beyond MAX_MODEL_BYTES, packed or by its directory, is refused before unpacking."""
    model = LogisticRegression().fit(X, Y)
    target = io.BytesIO(skops.io.dumps(model))
    with (
        zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("large.npy", "w") as member,
    ):
        for _ in range(100):
            member.write(bytes(2**20))
    with pytest.raises(UnfitError, match="MAX_MODEL_BYTES"):
        load(tmp_path, target.getvalue())
    plain = skops.io.dumps(model)
    assert load(tmp_path, plain)(X).tolist() == model.predict(X).tolist()
    with pytest.raises(UnfitError, match="MAX_MODEL_BYTES"):
        load(tmp_path, plain, max_model_bytes=100)
