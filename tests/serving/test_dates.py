"""Dates: ISO text in requests, datetimes for the model, timestamps in the store, drift reports."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from mlflow_project import registry as commands
from monitoring import build_baseline, drift_report
from serving.errors import InvalidInstances
from tests.plain_versions import read

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "since": pd.Timestamp("2020-03-01") + pd.to_timedelta(RNG.integers(0, 900, 300), "D"),
        "x": RNG.normal(size=300),
    }
)


class Years(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A model that returns the year plus a hundredth of the hour of a date."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:  # noqa: ARG002
        """Return a number per row."""
        assert model_input["since"].dtype == "datetime64[ns]"
        return (model_input["since"].dt.year + model_input["since"].dt.hour / 100).to_numpy()


def test_a_date_reaches_the_model_as_mlflow_gives_it(tmp_path: Path) -> None:
    """The model gets datetime64[ns] in UTC, as from pyfunc; an invalid date names its field."""
    folder = tmp_path / "model"
    signature = infer_signature(FRAME[["since"]], np.zeros(1))
    mlflow.pyfunc.save_model(folder, python_model=Years(), signature=signature, pip_requirements=[])
    version = read(folder, allow_pickle=True)

    def scored(*dates: Any) -> list[Any]:
        body = json.dumps({"instances": [{"since": date} for date in dates]})
        return version.score(version.reader.read(body.encode()).rows)

    frame = pd.DataFrame({"since": pd.to_datetime(["2024-01-02T03:04:05", "1999-12-31T00:00:00"])})
    expected = mlflow.pyfunc.load_model(str(folder)).predict(frame).tolist()
    assert scored("2024-01-02T03:04:05", "1999-12-31") == expected == [2024.03, 1999.0]
    assert scored("2024-01-02T03:04:05.123456Z", "2023-12-31T23:00:00-03:00") == [2024.03, 2024.02]
    for wrong in ("2024-02-30", "02/01/2024", "", 20240102, True, "1600-01-01", "9999-12-31"):
        with pytest.raises(InvalidInstances) as refused:
            scored(wrong)
        (detail,) = refused.value.details
        assert detail["field"] == "since"
        assert str(wrong) not in str(detail) or wrong == ""


def test_a_date_is_captured_and_its_absence_monitored(
    mlflow_server: str,
    new_model: Callable[[], str],
    start: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    eventually: Callable[..., Any],
) -> None:
    """Dates are captured as timestamps; later dates are no drift, as only presence counts."""
    name = new_model()
    monkeypatch.setenv("MODEL_NAME", name)
    mlflow.set_tracking_uri(mlflow_server)
    steps = make_column_transformer(("passthrough", ["x"]))
    model = make_pipeline(steps, LinearRegression()).fit(FRAME, FRAME["x"])
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(FRAME, model.predict(FRAME)),
            serialization_format="skops",
            pip_requirements=[],
            registered_model_name=name,
        )
    assert commands.main(["promote", "--model_version", "v0.0.1"]) == 0
    proxy = start(name, capture_flush_seconds=0.2).wait_ready()
    rows = [
        {"since": (date + pd.DateOffset(years=3)).isoformat(), "x": x}
        for date, x in FRAME.itertuples(index=False)
    ]
    answer = proxy.predict(*rows).json()
    given = [one["prediction"] for one in answer["predictions"]]
    assert np.abs(np.array(given) - FRAME["x"]).max() < 1e-12
    split = {"columns": ["since", "x"], "data": [["2024-01-02", 1.5]]}
    invoked = proxy.http.post("/invocations", json={"dataframe_split": split})
    assert invoked.json()["predictions"] == pytest.approx([1.5])
    text = "since,x\n2024-01-02,1.5\n"
    invoked = proxy.http.post("/invocations", content=text, headers={"Content-Type": "text/csv"})
    assert invoked.json()["predictions"] == pytest.approx([1.5])
    spec = proxy.http.get("/openapi.json").text
    assert '"format":"date-time"' in spec.replace(" ", "")

    stored = eventually(lambda: not proxy.journals() and proxy.parquet())
    captured = pd.concat(map(pd.read_parquet, stored))
    captured = captured[captured["request_id"] == answer["request_id"]].sort_values("instance")
    assert captured["since"].dtype.kind == "M"
    assert captured["since"].tolist() == [datetime.fromisoformat(row["since"]) for row in rows]

    FRAME.to_parquet(tmp_path / "train.parquet")
    source = ["--source", str(tmp_path / "train.parquet")]
    assert build_baseline.main(["--model_version", "v0.0.1", *source]) == 0
    where = ["--inference_store", str(proxy.settings.inference_store)]
    asked = ["--model_version", "v0.0.1", *where, "--output", str(tmp_path / "out")]
    assert drift_report.main([*asked, "--last_n_days", "1"]) == 0
    (file,) = (tmp_path / "out" / "v0.0.1").glob("drift_metrics_*.json")
    found = json.loads(file.read_text("utf-8"))["feature_drift"]["since"]
    assert (found["type"], found["psi"], found["status"]) == ("presence", 0.0, "GREEN")
