"""A planted name and identity, sent in every possible place, are in no file that is written.

The proxy runs with two workers that keep their journals open; meanwhile the rows of one person are
erased, and no others.
"""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from core.contract.pseudonym import pseudonym
from core.files.locks import owned
from tests.live import ROOT, clean_environment, eventually, run_here, stop, wait_for
from tests.stored import read_journal

NAME = "Plantada da Silva"
PERSON = "RA-PLANTADO-4711"
KEY = "a key of the tests"
ENTITY = pseudonym(PERSON, KEY)
ROW = {"temperature": 21.5, "pressure": 1003.25, "wear": 2}


class System:
    """A proxy with two workers, the jobs beside it, and the folder where all of them write."""

    def __init__(self, folder: Path, tracking_uri: str, model: str, port: int) -> None:
        """Set folders, address and environment; `start` begins."""
        self.folder, self.api = folder, f"http://127.0.0.1:{port}"
        self.store = folder / "store"
        self.env = {
            **clean_environment(),
            "PYTHONPATH": str(ROOT),
            "MLFLOW_TRACKING_URI": tracking_uri,
            "MODEL_NAME": model,
            "PSEUDONYM_KEY": KEY,
            "INFERENCE_STORE": str(self.store),
            "CAPTURE_FLUSH_SECONDS": "600",
        }

    def start(self) -> subprocess.Popen[bytes]:
        """Start the proxy; wait until it is ready."""
        command = [sys.executable, "-m", "serving", "--workers", "2"]
        with (self.folder / "proxy.out").open("wb") as out:
            process = subprocess.Popen(
                [*command, "--port", self.api.rsplit(":", 1)[1]],
                cwd=self.folder,
                env=self.env,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        wait_for(f"{self.api}/ready", 90, process)
        self._wait_for_both()
        return process

    def _wait_for_both(self) -> None:
        """Wait until twenty new connections in a row find a worker that is ready."""
        deadline, row = time.monotonic() + 60, 0
        while row < 20:
            assert time.monotonic() < deadline
            ready = httpx.get(f"{self.api}/ready", timeout=10).status_code == 200
            row = row + 1 if ready else 0

    def job(self, module: str, *arguments: str) -> str:
        """Run a monitoring job to its end; keep and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", f"monitoring.{module}", *arguments],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        with (self.folder / "jobs.out").open("a") as out:
            out.write(done.stdout)
        return done.stdout

    def job_here(self, module: str, *arguments: str) -> None:
        """Run a job without identities in this process, which has imported MLflow already."""
        told = run_here([f"monitoring.{module}", *arguments], self.env, self.folder)
        with (self.folder / "jobs.out").open("a") as out:
            out.write(told)

    def ask(self, serial: str, times: int) -> None:
        """Score a person, each time over a new connection, so that both workers are used."""
        for _ in range(times):
            body = {"instances": [{**ROW, "serial": serial}]}
            answer = httpx.post(f"{self.api}/predict", json=body, timeout=20)
            assert answer.status_code == 200, answer.text

    def entities(self) -> Counter[str | None]:
        """Count the stored rows by pseudonym, each once also while its journal is converted."""
        stored: dict[str, list[str | None]] = {}
        for path in (self.store / "journal").glob("*.jsonl"):
            with contextlib.suppress(FileNotFoundError):  # converted to Parquet meanwhile
                header, rows = read_journal(path)
                place = list(header.columns).index("entity")
                stored[path.stem] = [row[place] for row in rows]
        for path in self.store.glob("*.parquet"):
            stored[path.stem] = pq.read_table(path).column("entity").to_pylist()
        return Counter(itertools.chain.from_iterable(stored.values()))


@pytest.fixture
def system(
    tmp_path: Path,
    mlflow_server: str,
    register_version: Callable[..., int],
    free_port: Callable[[], int],
) -> Iterator[System]:
    """Yield the running system; it is stopped after the test."""
    model = f"private-machine-{os.getpid()}"
    register_version(model)
    the = System(tmp_path, mlflow_server, model, free_port())
    process = the.start()
    the.stop = lambda: stop(process)  # type: ignore[attr-defined]
    yield the
    stop(process)


def misuse(the: System) -> None:
    """Send the name and the identity in every place where a client by mistake might."""
    planted = f"{NAME} {PERSON}"
    with httpx.Client(base_url=the.api, timeout=20) as client:
        for instance in (
            {**ROW, "nome": planted},
            {**ROW, planted: 1},
            {**ROW, "temperature": planted},
            {**ROW, "serial": {"nome": planted}},
            planted,
        ):
            assert client.post("/predict", json={"instances": [instance]}).is_error
        assert client.post("/predict", content=f'{{"instances": [{planted}'.encode()).is_error
        assert client.post("/predict", content=planted.encode()).is_error
        assert client.post(f"/{planted}", json={}).is_error
        assert client.get("/health", params={"nome": planted}).status_code == 200
        frame = {"dataframe_records": [{**ROW, "nome": planted}]}
        client.post("/invocations", json=frame)
        table = f"temperature,nome\n{planted},{planted}\n"
        client.post("/invocations", content=table, headers={"Content-Type": "text/csv"})
        body = {"instances": [{**ROW, "serial": PERSON}], "explain": True}
        headers = {"X-Request-ID": planted, "User-Agent": planted}
        assert client.post("/predict", json=body, headers=headers).status_code == 200


def is_let_go(journal: Path) -> bool:
    """Return whether a journal was converted to Parquet, or is held by no process."""
    with owned(journal) as mine:
        return mine or not journal.exists()


def texts(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes, and of Parquet, which compresses them, also the cells."""
    yield path.read_bytes()
    if path.suffix == ".parquet":
        yield json.dumps(pq.read_table(path).to_pylist(), default=str).encode()


def holding(folders: list[Path], *words: str) -> list[str]:
    """Return the files that contain one of the words, in upper or lower case."""
    wanted = [word.lower().encode() for word in words]
    return [
        f"{path}"
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(word in text.lower() for text in texts(path) for word in wanted)
    ]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nobody_is_in_any_file_and_who_asks_is_forgotten(
    system: System, tmp_path: Path, mlflow_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No written file has the name or identity; a person is erased while both workers serve."""
    system.ask("RA-OUTRO-1", 10)
    system.ask(PERSON, 20)
    misuse(system)
    assert system.entities()[ENTITY] == 21

    # The jobs read the identity from a file of labels outside the system's folders.
    outside = tmp_path_factory.mktemp("outside")
    labels = outside / "labels.csv"
    labels.write_text(f"serial,nome,target\n{PERSON},{NAME},1\nRA-OUTRO-1,Outro,0\n")
    system.job_here("build_baseline")
    system.job_here("drift_report", "--last_n_days", "1")
    system.job_here("performance_report", "--labels", str(labels), "--period", "2024")
    system.job("retention", "--export", PERSON, "--to", str(outside / "person.json"))
    assert len(json.loads((outside / "person.json").read_text())) == 21

    # Erasure: a dry run first, then applied at once while two workers hold the journals.
    assert ": 21 (" in system.job("retention", "--forget", PERSON)
    before = system.entities()
    assert before[ENTITY] == 21
    held = list((system.store / "journal").glob("*.jsonl"))
    assert held
    begun = time.monotonic()
    told = system.job("retention", "--forget", PERSON, "--apply")
    assert time.monotonic() - begun < 60
    assert "Linhas removidas" in told
    assert "Conferido: nenhuma linha desta pessoa restou." in told
    eventually(lambda: all(is_let_go(path) for path in held), 30)
    del before[ENTITY]
    assert system.entities() == before
    assert holding([system.store], ENTITY) == []

    # The workers continue, and the person may be scored again.
    system.ask("RA-OUTRO-1", 5)
    system.ask(PERSON, 1)
    assert system.entities() == before + Counter([pseudonym("RA-OUTRO-1", KEY)] * 5 + [ENTITY])
    system.job("retention", "--forget", PERSON, "--apply")
    system.job_here("retention", "--days", "180", "--apply")
    system.stop()  # type: ignore[attr-defined]

    written = [tmp_path, mlflow_folder]
    assert holding(written, system.env["MODEL_NAME"])  # the search covers the right folders
    assert (tmp_path / "logs" / "app.log").stat().st_size > 1000
    assert holding(written, NAME, PERSON, "plantad") == []
    assert holding(written, ENTITY) == []
