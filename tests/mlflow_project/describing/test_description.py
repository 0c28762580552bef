"""`registry describe` on a classifier registered by a plain script, and its effect on a proxy."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from core.contract import names
from core.contract.numbers import read_number
from core.registry.packages import read_contract
from core.registry.versions import Registry, open_registry
from mlflow_project.describing.knowledge import choose_threshold
from mlflow_project.flips import promotion
from mlflow_project.flips.ledger import Ledger
from mlflow_project.registry import main
from mlflow_project.versions.errors import Refused
from tests.live import eventually

ROWS = 200
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame({"age": RNG.uniform(18, 80, ROWS), "visits": RNG.uniform(0, 9, ROWS)})
CHURNED = np.where(FRAME["visits"] + RNG.normal(0, 1, ROWS) < 4, "yes", "no")


@pytest.fixture(scope="module")
def logged(mlflow_server: str) -> str:
    """Return the URI of a plain churn model that was logged once."""
    mlflow.set_tracking_uri(mlflow_server)
    mlflow.set_experiment("churn")
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            LogisticRegression().fit(FRAME, CHURNED),
            name="model",
            input_example=FRAME.head(2),
            pyfunc_predict_fn="predict_proba",
            serialization_format="skops",
            pip_requirements=["scikit-learn"],
        )
    uri: str = info.model_uri
    return uri


@pytest.fixture
def churn(logged: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    """Return the registry of a churn model whose only version is the champion; write its rows."""
    name = f"churn-{tmp_path.name}"
    monkeypatch.setenv("MODEL_NAME", name)
    mlflow.register_model(logged, name)
    FRAME.assign(churned=CHURNED).to_parquet(tmp_path / "train.parquet")
    (tmp_path / "features.csv").write_text(
        "name;description;unit;max\nage;Age of the customer;years;100,5\n", encoding="utf-8"
    )
    registry = open_registry()
    promotion.promote(registry, "v0.0.1", "first")
    return registry


def test_a_plain_version_is_completed_and_reset(
    churn: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Threshold, positive class, ranges, units and texts are set and reset, each with an entry."""
    data = str(tmp_path / "train.parquet")
    options = [
        *("--threshold-policy", "recall>=0,85", "--data", data, "--target", "churned"),
        *("--positive-class", "yes", "--entity", "cpf", "--ranges-from", data),
        *("--units", "visits=per month", "--descriptions", str(tmp_path / "features.csv")),
    ]
    assert main(["describe", "v0.0.1", *options]) == 1
    assert "--accept-contract-change" in capsys.readouterr().err
    assert names.TAG_DESCRIPTION not in churn.resolve().tags
    assert main(["describe", "v0.0.1", *options, "--accept-contract-change"]) == 0

    contract = read_contract(churn, churn.resolve())
    assert (contract.outputs, contract.positive_class, contract.entity) == ((), 1, "cpf")
    age, visits = contract.features
    assert (age.description, age.unit, age.max) == ("Age of the customer", "years", 100.5)
    assert visits.unit == "per month"
    assert visits.min == FRAME["visits"].min()
    model = mlflow.pyfunc.load_model(churn.resolve().uri)
    scores = np.asarray(model.predict(FRAME))[:, 1]
    recall = float((scores >= contract.threshold)[CHURNED == "yes"].mean())
    assert 0.85 <= recall < 0.87
    example = contract.example
    assert example is not None
    assert FRAME["age"].quantile(0.49) < example.instance["age"] < FRAME["age"].quantile(0.51)
    usual = pd.DataFrame([dict(example.instance)])
    assert example.score == np.asarray(model.predict(usual))[0, 1]

    assert main(["threshold", "--model_version", "v0.0.1", "--value", "0,4", "--reason", "x"]) == 0
    again = ["describe", "v0.0.1", "--units", "age=anos", "--accept-contract-change"]
    assert main(again) == 0
    assert read_contract(churn, churn.resolve()).features[0].unit == "anos"
    assert read_contract(churn, churn.resolve()).threshold == contract.threshold
    swapped = ["describe", "v0.0.1", "--positive-class", "no", "--accept-contract-change"]
    assert main(swapped) == 0
    other = read_contract(churn, churn.resolve()).example
    assert other is not None
    assert other.score == pytest.approx(1 - example.score)
    reset = ["describe", "v0.0.1", "--reset", "--accept-contract-change", "--reason", "wrong"]
    assert main(reset) == 0
    assert read_contract(churn, churn.resolve()).outputs
    entries = Ledger(churn).entries()
    assert [e.action for e in entries if e.action == "describe"] == ["describe"] * 4
    assert main(["describe", "v0.0.1", "--reset"]) == 1


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ([], "--help"),
        (["--positive-class", "maybe"], "no, yes"),
        (
            ["--threshold-policy", "auc>=0.9", "--data", "DATA", "--target", "churned"],
            "recall",
        ),
        (["--threshold-policy", "recall>=0.9"], "--data"),
        (["--threshold-policy", "recall>=0.9", "--data", "DATA", "--target", "left"], "left"),
        (["--units", "height=m"], "height"),
        (["--ranges-from", "nowhere.parquet"], "nowhere.parquet"),
        (["--entity", "age"], "age"),
    ],
)
def test_what_cannot_be_described_is_one_line(
    churn: Registry,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    word: str,
) -> None:
    """An invalid option ends with one line that names it, and the version is not changed."""
    given = [str(tmp_path / "train.parquet") if one == "DATA" else one for one in options]
    assert main(["describe", "v0.0.1", *given]) == 1
    error = capsys.readouterr().err
    assert word in error
    assert len(error.splitlines()) == 1
    assert names.TAG_DESCRIPTION not in churn.resolve().tags


def test_policies_choose_the_best_threshold_that_fulfils_them() -> None:
    """A recall policy takes the highest threshold, precision and share take the lowest."""
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    positives = np.array([False, False, True, False, True, True])
    assert choose_threshold("recall>=0.66", scores, positives) == 0.5
    assert choose_threshold("recall >= 1", scores, positives) == 0.3
    assert choose_threshold("precision>=0.75", scores, positives) == 0.3
    assert choose_threshold("share<=0.5", scores, positives) == 0.4
    for policy in ("recall>=1.5", "recall<=0.5", "share<=0", "x"):
        with pytest.raises((Refused, ValueError)):
            choose_threshold(policy, scores, positives)
    assert read_number("0,66") == 0.66


def test_a_running_proxy_sees_a_description_and_its_reset(
    churn: Registry, run_proxy: Callable[..., Any]
) -> None:
    """A running proxy applies a description, and its reset, at a following poll."""
    with run_proxy(churn) as http:
        row = {"instances": [{"age": 30.0, "visits": 1.0}]}
        before = http.post("/predict", json=row).json()["predictions"][0]
        described = ["describe", "v0.0.1", "--threshold", "0.4", "--positive-class", "yes"]
        assert main([*described, "--accept-contract-change"]) == 0

        def answers_score() -> Any:
            answer = http.post("/predict", json=row).json()["predictions"][0]
            return answer if "label" in answer else None

        answer = eventually(answers_score, 30)
        assert answer["label"] == 1
        assert answer["score"] > 0.4
        assert http.get("/metadata").json()["threshold"] == 0.4
        assert main(["describe", "v0.0.1", "--reset", "--accept-contract-change"]) == 0
        eventually(lambda: http.post("/predict", json=row).json()["predictions"][0] == before, 30)


@pytest.fixture
def run_proxy(mlflow_server: str, tmp_path: Path) -> Callable[..., Any]:
    """Return a context manager that runs a proxy of a registry's model in a thread."""
    import contextlib
    import socket
    import threading

    import uvicorn

    from serving.app import create_app
    from serving.config.settings import Settings

    @contextlib.contextmanager
    def run(registry: Registry) -> Iterator[httpx.Client]:
        settings = Settings(
            mlflow_tracking_uri=mlflow_server,
            model_name=registry.name,
            poll_seconds=0.2,
            inference_store=tmp_path / "store",
            journal_dir=tmp_path / "store" / "journal",
            capture_flush_seconds=60,
            log_file=tmp_path / "app.log",
            model_cache=tmp_path / "cache",
        )
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen(16)
            config = uvicorn.Config(create_app(settings), log_level="warning", access_log=False)
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
            thread.start()
            try:
                url = f"http://127.0.0.1:{sock.getsockname()[1]}"
                with httpx.Client(base_url=url, timeout=20) as http:
                    eventually(lambda: http.get("/ready").status_code == 200, 60)
                    yield http
            finally:
                server.should_exit = True
                thread.join(30)

    return run
