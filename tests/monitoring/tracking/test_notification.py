"""Notifications over HTTP: one per change of level; a failure does not fail the job."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.contract import names
from core.contract.pseudonym import pseudonym
from monitoring import build_baseline, drift_report, performance_report
from monitoring.tracking.escalation import escalate
from monitoring.tracking.jobs import MonitoredVersion
from monitoring.tracking.notification import is_news, message

MODEL = "noticed-machine"
KEY = "a key of the tests"
PLANTED = "SN-PLANTED"


class Receiver:
    """An HTTP server that stores the messages it receives."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.messages: list[dict[str, Any]] = []
        received = self.messages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"json://127.0.0.1:{self.server.server_port}"

    def take(self) -> list[dict[str, Any]]:
        """Return the messages received since the last call."""
        taken, self.messages[:] = list(self.messages), []
        return taken


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Yield a listening receiver."""
    found = Receiver()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture(scope="module")
def client(mlflow_server: str, register_version: Callable[..., int]) -> Any:
    """Register the champion v1.0.0 with its baseline; return an MLflow client."""
    import mlflow

    number = register_version(MODEL, "v1.0.0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_NAME", MODEL)
        assert build_baseline.main([]) == 0
    found = mlflow.MlflowClient(mlflow_server)
    found.number = str(number)
    # A rollback needs a `previous` alias.
    found.set_registered_model_alias(MODEL, "previous", str(number))
    return found


@pytest.fixture
def work(
    client: Any, writer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine_rows: Any
) -> Callable[..., str]:
    """Return a function that runs a job on a week and returns the run's tag `notification`.

    `drift` is the shift of the week's temperature, None for a week without predictions;
    `performance` is whether labels agree with the scores, None for a drift report.
    """
    import mlflow

    monkeypatch.setenv("MODEL_NAME", MODEL)
    monkeypatch.setenv("PSEUDONYM_KEY", KEY)
    model = mlflow.pyfunc.load_model(f"models:/{MODEL}/{client.number}")
    for tag in (names.TAG_NOTIFIED, names.TAG_DRIFT_STATUS, names.TAG_PERFORMANCE_STATUS):
        client.set_model_version_tag(MODEL, client.number, tag, "")

    def run(drift: float | None = 0.0, performance: bool | None = None) -> str:
        for path in writer.folder.rglob("*.jsonl"):
            path.unlink()
        rows = []
        if drift is not None:
            rows = machine_rows(7, 300, lambda t: model.predict(t.to_pandas())[:, 1], shift=drift)
            for index, row in enumerate(rows):
                person = pseudonym(f"{PLANTED}-{index}", KEY)
                row |= {"entity": person, "label": int(row["score"] >= 0.5)}
            writer.journal(rows, model=MODEL, number=int(client.number))
        options = ["--inference_store", str(writer.folder), "--output", str(tmp_path / "reports")]
        if performance is None:
            assert drift_report.main(options) == 0
        else:
            labels = [int((row["score"] > 0.5) == performance) for row in rows]
            lines = [f"{PLANTED}-{i},{label}" for i, label in enumerate(labels)]
            (tmp_path / "labels.csv").write_text("\n".join(["serial,target", *lines]))
            labelled = ["--labels", str(tmp_path / "labels.csv"), "--period", "2024", *options]
            assert performance_report.main(labelled) == 0
        experiment = client.get_experiment_by_name(f"{MODEL}-monitoring").experiment_id
        tags = client.search_runs([experiment], max_results=1)[0].data.tags
        assert tags["escalation"] in tags["mlflow.note.content"] or tags["escalation"] == "NONE"
        return str(tags["notification"])

    return run


def test_a_change_of_state_is_told_once(
    work: Callable[..., str], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each change of level sends one message; an unchanged level or a week without data, none."""
    monkeypatch.setenv("NOTIFY_URLS", receiver.url)
    assert work(0.0) == "unchanged"
    assert receiver.take() == []
    assert work(6.0) == "sent"
    (red,) = receiver.take()
    assert red["title"] == f"[L2] {MODEL} v1.0.0"
    assert "Drift: RED. Desempenho: sem relatório." in red["message"]
    assert "temperature" in red["message"]
    assert work(6.0) == "unchanged"
    assert work(6.0, performance=False) == "sent"
    (third,) = receiver.take()
    assert third["title"].startswith("[L3]")
    assert "Nível anterior: L2." in third["message"]
    assert "python -m mlflow_project.registry rollback --reason" in third["message"]
    assert work(None) == "unchanged"
    assert work(0.0) == "sent"
    (second,) = receiver.take()
    assert second["title"].startswith("[L2]")
    assert "sem drift vermelho" in second["message"]
    assert work(0.0, performance=True) == "sent"
    (normal,) = receiver.take()
    assert normal["title"] == f"[OK] {MODEL} v1.0.0: de volta ao normal"
    assert "O aviso anterior (L2) não vale mais." in normal["message"]
    everything = json.dumps([red, third, second, normal])
    assert PLANTED not in everything
    assert pseudonym(f"{PLANTED}-0", KEY) not in everything


def test_what_cannot_be_sent_fails_nothing_and_is_tried_again(
    work: Callable[..., str],
    receiver: Receiver,
    free_port: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """An unreachable or invalid address is reported without its text; the next run sends again."""
    for address in (f"json://user:secret@127.0.0.1:{free_port()}", "nonsense://secret"):
        monkeypatch.setenv("NOTIFY_URLS", address)
        assert work(6.0) == "failed"
        shown = capfd.readouterr()
        assert "Aviso não enviado: confira NOTIFY_URLS" in shown.out
        assert "secret" not in shown.out + shown.err
    monkeypatch.setenv("NOTIFY_URLS", f"nonsense://x {receiver.url}")
    assert work(6.0) == "failed"
    assert len(receiver.take()) == 1  # the valid address still receives it
    monkeypatch.setenv("NOTIFY_URLS", receiver.url)
    assert work(6.0) == "sent"
    assert len(receiver.take()) == 1
    monkeypatch.setenv("NOTIFY_URLS", "")
    assert work(0.0) == "off"


@pytest.mark.parametrize(
    ("before", "drift", "performance", "news"),
    [
        ("NONE", "GREEN", "OK", False),
        ("NONE", "YELLOW", "OK", True),
        ("L1", "YELLOW", None, False),
        ("L1", "RED", None, True),
        ("L2", "YELLOW", None, True),
        ("L2", "NO_DATA", "OK", False),
        ("L2", None, "OK", False),
        ("L3", "NO_DATA", "DEGRADED", False),
        ("NONE", "NO_DATA", "DEGRADED", True),
        ("L2", "GREEN", "OK", True),
    ],
)
def test_what_is_news(before: str, drift: str | None, performance: str | None, news: bool) -> None:
    """A changed level is news, except a lower one without a drift verdict."""
    found = escalate(drift, performance, release="v1.0.0", served=True)
    assert is_news(before, found) is news


def test_a_message_of_a_version_that_is_not_served_has_no_rollback() -> None:
    """Only a served version's message has the rollback command."""
    version = MonitoredVersion(
        *("m", 1, "v1.0.0", None, None, {}, 0),
        contract=None,  # type: ignore[arg-type]
        served=True,
        reversible=True,
    )
    for served in (True, False):
        asked = escalate("RED", "DEGRADED", release="v1.0.0", served=served)
        _, text = message(replace(version, served=served), asked, "Tudo mudou.", "L2", "http://x")
        assert ("registry rollback" in text) is served
