"""Trial scoring of a version before it is served: invalid outputs refuse the version."""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from core.mlflow_client.errors import VersionRefused
from tests import plain_versions

COLUMNS = ["a", "b"]
FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.5, 0.1, 0.9, 0.4]})


def only_single(frame: pd.DataFrame) -> np.ndarray:
    """Return an output for one row; raise ValueError for more."""
    if len(frame) > 1:
        raise ValueError("one at a time")
    return np.zeros(1)


UNANSWERABLE: dict[str, Any] = {
    "too many values": lambda frame: np.zeros(len(frame) + 1),
    "one value for all": lambda frame: np.zeros(1) if len(frame) > 1 else np.zeros(3),
    "dates": lambda frame: [datetime(2026, 1, 1)] * len(frame),
    "dates of NumPy": lambda frame: np.array(["2026-01-01"] * len(frame), "datetime64[D]"),
    "dates in a frame": lambda frame: pd.DataFrame({"x": pd.to_datetime(["2026"] * len(frame))}),
    "objects": lambda frame: [object()] * len(frame),
    "a number": lambda _frame: 3.0,
    "nothing": lambda _frame: None,
    "only single rows": only_single,
}


@pytest.mark.parametrize("name", UNANSWERABLE)
def test_an_output_that_cannot_be_answered_refuses_the_version(name: str, tmp_path: Path) -> None:
    """Outputs of a wrong length or type refuse the version, with its number."""
    folder = plain_versions.predicting(tmp_path / "model", UNANSWERABLE[name], COLUMNS)
    with pytest.raises(VersionRefused, match="versão 7"):
        plain_versions.read(folder, allow_pickle=True)


def test_a_model_that_answers_is_served(tmp_path: Path) -> None:
    """A pyfunc model with one number per row is served; without ALLOW_PICKLE it is refused."""
    folder = plain_versions.predicting(tmp_path / "m", lambda f: (f["a"] * 2).to_numpy(), COLUMNS)
    version = plain_versions.read(folder, allow_pickle=True)
    assert list(version.output([[1.5, 0.0]])) == [3.0]
    with pytest.raises(VersionRefused, match=r"flavor dela \(python_function\) executaria código"):
        plain_versions.read(folder)


def test_a_model_that_always_fails_is_refused(tmp_path: Path) -> None:
    """A pipeline that raises on every row that its signature allows is refused."""
    model = make_pipeline(FunctionTransformer(np.log1p), Ridge()).fit(FRAME, FRAME["b"])
    model[0].set_params(func=np.diff)  # one column fewer than the regression needs
    signature = plain_versions.infer_signature(FRAME, np.zeros(4))
    folder = plain_versions.saved(tmp_path / "model", model, FRAME, signature=signature)
    with pytest.raises(VersionRefused, match="nenhuma das linhas"):
        plain_versions.read(folder)


def test_text_is_tried_with_categories_that_the_model_knows(tmp_path: Path) -> None:
    """Trial rows use the encoder's known categories, so refusing unknown text is no failure."""
    frame = pd.DataFrame({"city": ["x", "y", "x", "y"]})
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(frame, [0, 1, 0, 1])
    version = plain_versions.read(plain_versions.saved(tmp_path / "model", model, frame))
    assert version.score.quick
    assert list(version.output([["x"], ["y"]])) == [0, 1]


def test_the_input_example_decides_where_there_is_one(tmp_path: Path) -> None:
    """Trial rows are the input example's, so they decide whether the version is refused."""

    def lengths(frame: pd.DataFrame) -> np.ndarray:
        return np.array([{"short": 1.0, "longer": 2.0}[word] for word in frame["word"]])

    frame = pd.DataFrame({"word": ["short", "longer"]})

    class Model(plain_versions.mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def] # noqa: ARG002
            return lengths(model_input)

    for name, example in (("good", frame), ("bad", pd.DataFrame({"word": ["neither"]}))):
        plain_versions.mlflow.pyfunc.save_model(
            tmp_path / name,
            python_model=Model(),
            signature=plain_versions.infer_signature(frame, np.zeros(2)),
            input_example=example,
            pip_requirements=[],
        )
    assert plain_versions.read(tmp_path / "good", allow_pickle=True).number == 7
    with pytest.raises(VersionRefused, match="nenhuma das linhas"):
        plain_versions.read(tmp_path / "bad", allow_pickle=True)


def test_whatever_fails_while_loading_is_a_refusal_by_number(tmp_path: Path) -> None:
    """An invalid signature raises VersionRefused with the version's number."""
    folder = plain_versions.saved(tmp_path / "m", Ridge().fit(FRAME, FRAME["b"]), FRAME)
    assert plain_versions.read(folder).number == 7
    for inputs in ([{"type": "tensor"}], [None], [{"type": "tensor", "tensor-spec": {"shape": 3}}]):
        with pytest.raises(VersionRefused, match="versão 7"):
            plain_versions.read(folder, inputs=inputs)
