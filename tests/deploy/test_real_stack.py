"""The stack of docker-compose.yml without containers, with its own commands, users and settings.

PostgreSQL is real. The S3 API is moto's server, an emulator: it implements S3's protocol over HTTP,
keeps objects in memory and verifies no signature.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from tests.deploy.postgres import postgres, programs
from tests.deploy.stack import Compose, new_env
from tests.live import copy_project, find_free_port, stop, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(
        programs() is None, reason="no PostgreSQL programs (Debian: apt install postgresql-15)"
    ),
]
ROW = {"fase": 3, "idade": 15, "iaa": 6.5}
FLIP_SECONDS = 90.0


class Stack:
    """The running services, and a runner of one-shot commands beside them."""

    def __init__(self, folder: Path, compose: Compose, s3: str) -> None:
        """Keep the folder of the project's copy, the services, and the object store's URL."""
        self.folder, self.compose, self.s3 = folder, compose, s3
        self.mlflow = f"http://{compose.addresses['mlflow:5000']}"
        self._stack = ExitStack()

    def start(self, service: str, command: list[str], url: str, **changes: str) -> None:
        """Start a server with a service's environment; wait until `url` returns 200."""
        with (self.folder / f"{service}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.compose.environment(service, **changes),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._stack.callback(stop, process)
        wait_for(url, 120, process)

    def run(self, service: str, *command: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run a command with a service's environment to its end."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.compose.environment(service, **changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def registry(self, *words: str, service: str = "retrain") -> str:
        """Run a registry command, by default as the jobs' user; return its output."""
        command = [sys.executable, "-m", "mlflow_project.registry", *words]
        return self.run(service, *command).stdout

    def close(self) -> None:
        """Stop all servers."""
        self._stack.close()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Yield the stack with PostgreSQL, the object store and MLflow running."""
    folder = tmp_path_factory.mktemp("real") / "project"
    copy_project(folder)
    env = new_env()
    s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    s3.start()
    with ExitStack() as closing:
        closing.callback(s3.stop)
        database = closing.enter_context(postgres("mlflow", env["POSTGRES_PASSWORD"]))
        port = find_free_port()
        addresses = {
            "postgres:5432": database,
            "s3:8333": "{}:{}".format(*s3.get_host_and_port()),
            "mlflow:5000": f"127.0.0.1:{port}",
            "--host=0.0.0.0": "--host=127.0.0.1",
            "--port=5000": f"--port={port}",
        }
        compose = Compose(env, addresses)
        ini = folder / "basic_auth.ini"
        ini.write_text(compose.fill((folder / "docker/basic_auth.ini").read_text()))
        started = Stack(folder, compose, f"http://{addresses['s3:8333']}")
        closing.callback(started.close)
        health = f"{started.mlflow}/health"
        server = compose.command("mlflow")
        started.start("mlflow", server, health, MLFLOW_AUTH_CONFIG_PATH=str(ini))
        yield started


@pytest.fixture(scope="module")
def trained(stack: Stack) -> Stack:
    """Return the stack after compose's `setup` and two runs of `retrain`, both promoted."""
    done = stack.run("setup", *stack.compose.command("setup"))
    assert "criados agora: mlflow, jobs, reader" in done.stdout, done.stdout
    book = "data/raw/PEDE.xlsx"
    make = ("-m", "data.synthetic", "--students", "700", "--output", book)
    stack.run("retrain", sys.executable, *make)
    for release in ("v1.0.0", "v1.1.0"):
        # Forced, since the data is unchanged the second time.
        done = stack.run("retrain", *stack.compose.command("retrain"), "-P", "force=true")
        assert f"{release} é a champion" in done.stdout, done.stdout[-3000:]
    return stack


@pytest.fixture(scope="module")
def proxies(trained: Stack) -> list[str]:
    """Return the URLs of two proxies of two workers, which share only registry and store."""
    urls = []
    for number in (1, 2):
        port = find_free_port()
        urls.append(f"http://127.0.0.1:{port}")
        command = [sys.executable, "-m", "serving", "--port", str(port), "--workers", "2"]
        own = trained.folder / f"proxy{number}"
        trained.start(
            "datathon-api",
            command,
            f"{urls[-1]}/ready",
            JOURNAL_DIR=str(own / "journal"),
            MODEL_CACHE=str(own / "cache"),
            CAPTURE_FLUSH_SECONDS="0.5",
        )
    return urls


def ask(url: str) -> str:
    """Send a request on a new connection; return the release that served it."""
    answer = httpx.post(f"{url}/predict", json={"instances": [ROW]}, timeout=20)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["model_version"])


def workers_of(stack: Stack, number: int) -> set[str]:
    """Return the ids of the processes that captured rows of a version, from file names."""
    files = [
        *(stack.folder / "monitoring/inference_store").glob("*.parquet"),
        *stack.folder.glob("proxy*/journal/*.jsonl"),
    ]
    found = (re.search(rf"-v{number}-([^-.]+)", path.name) for path in files)
    return {match[1] for match in found if match}


def test_one_flip_is_seen_by_every_worker_of_every_proxy(
    trained: Stack, proxies: list[str]
) -> None:
    """After a rollback by the jobs' user all four workers serve the old version within 90 s."""
    assert {ask(url) for url in proxies for _ in range(20)} == {"v1.1.0"}
    told = trained.registry("rollback", "--reason", "exercício")
    # The lag is tested in tests/serving/test_flips.py, where fewer processes run beside it.
    deadline = time.monotonic() + FLIP_SECONDS
    while len(workers_of(trained, 1)) < 4:
        assert time.monotonic() < deadline, told
        assert {ask(url) for url in proxies} <= {"v1.0.0", "v1.1.0"}
    assert {ask(url) for url in proxies for _ in range(40)} == {"v1.0.0"}
    assert "exercício" in trained.registry("history")


def test_artifacts_are_in_the_object_store_and_came_through_the_server(trained: Stack) -> None:
    """The bucket holds both models; the jobs' environment has no S3 endpoint for MLflow."""
    s3 = boto3.client(
        "s3",
        endpoint_url=trained.s3,
        aws_access_key_id=trained.compose.env["S3_ACCESS_KEY"],
        aws_secret_access_key=trained.compose.env["S3_SECRET_KEY"],
        region_name="us-east-1",
    )
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="mlflow")["Contents"]]
    assert len([key for key in keys if key.endswith("/model.skops")]) == 2


def test_monitoring_works_as_the_jobs_user(trained: Stack, proxies: list[str]) -> None:
    """The drift report, run as the jobs' user, reads captured rows and prints a status."""
    served = {ask(url) for url in proxies}
    assert len(served) == 1
    time.sleep(1.5)
    arguments = ["-m", "monitoring.drift_report", "--last_n_days", "1"]
    done = trained.run("monitor", sys.executable, *arguments)
    assert done.returncode == 0, done.stdout
    assert "Status:" in done.stdout
    assert "NO_DATA" not in done.stdout


def test_the_proxys_user_can_change_nothing(trained: Stack) -> None:
    """The proxy's credentials can read the registry, but not promote or set an alias."""
    refused = ("promote", "--model_version", "v1.1.0")
    told = trained.registry(*refused, service="datathon-api")
    assert "erro" in told.lower(), told
    assert "v1.0.0" in trained.registry("list", service="datathon-api")
    user, password = (
        trained.compose.environment("datathon-api")[f"MLFLOW_TRACKING_{name}"]
        for name in ("USERNAME", "PASSWORD")
    )
    answer = httpx.post(
        f"{trained.mlflow}/api/2.0/mlflow/registered-models/alias",
        json={"name": "risco-defasagem", "alias": "champion", "version": "2"},
        auth=(user, password),
    )
    assert answer.status_code == 403


def test_without_or_with_wrong_credentials_nothing_is_told(trained: Stack) -> None:
    """MLflow returns 401; a proxy with a wrong password is not ready, and /health has the cause."""
    search = f"{trained.mlflow}/api/2.0/mlflow/registered-models/search"
    assert httpx.get(search).status_code == 401
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "serving", "--port", str(port)]
    own = trained.folder / "stranger"
    trained.start(
        "datathon-api",
        command,
        f"{url}/health",
        MLFLOW_TRACKING_PASSWORD="not-the-password",
        MODEL_CACHE=str(own / "cache"),
        JOURNAL_DIR=str(own / "journal"),
    )
    deadline = time.monotonic() + 60
    while "MLFLOW_TRACKING_PASSWORD" not in (health := httpx.get(f"{url}/health").text):
        assert time.monotonic() < deadline, health
        time.sleep(0.2)
    assert httpx.get(f"{url}/ready").status_code == 503
    assert "not-the-password" not in health


def test_a_foreign_host_header_is_refused(trained: Stack) -> None:
    """A foreign Host header gets 403 by `--allowed-hosts`, which prevents DNS rebinding."""
    url = f"{trained.mlflow}/api/2.0/mlflow/registered-models/search"
    assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 403


def test_setup_run_again_makes_nothing_and_renews_passwords(trained: Stack) -> None:
    """A second `setup` creates no user, and sets the password that was changed in `.env`."""
    search = f"{trained.mlflow}/api/2.0/mlflow/registered-models/search"
    usual = trained.compose.env["MLFLOW_READER_PASSWORD"]
    for password in ("another-password-of-the-reader", usual):
        setup = trained.compose.command("setup")
        done = trained.run("setup", *setup, MLFLOW_READER_PASSWORD=password)
        assert "criados agora: nenhum" in done.stdout, done.stdout
        assert httpx.get(search, auth=("reader", password)).status_code == 200


def test_a_backup_of_the_containers_comes_back(trained: Stack, proxies: list[str]) -> None:
    """A backup of database, bucket and store, restored elsewhere, yields the same scores."""
    asked = {"instances": [ROW]}
    before = httpx.post(f"{proxies[0]}/predict", json=asked, timeout=20).json()
    backups, dumps = trained.folder / "backups", trained.folder / "dumps"
    dumps.mkdir()
    own = {"DUMPS": str(dumps), "JOURNAL_DIR": str(trained.folder / "proxy1/journal")}
    backup = [*trained.compose.command("backup")[:-1], str(backups)]
    assert "run --rm dump" in trained.run("backup", *backup, **own).stdout
    host, port = trained.compose.addresses["postgres:5432"].split(":")
    script = trained.compose.command("dump")[-1].replace("$$", "$")
    script = script.replace("/var/lib/postgresql", str(dumps)).replace("-h postgres", f"-h {host}")
    at = {"PGPORT": port, "PATH": f"{programs()}:/usr/bin:/bin"}
    done = trained.run("dump", "sh", "-ec", script, **at)
    assert done.returncode == 0, done.stdout
    done = trained.run("backup", *backup, **own)
    assert done.returncode == 0, done.stdout
    (archive,) = backups.glob("backup-*.tar")

    again = trained.folder.parent / "again"
    copy_project(again)
    own = {"DUMPS": str(dumps), "JOURNAL_DIR": str(again / "journal")}
    compose = Compose(trained.compose.env, dict(trained.compose.addresses))
    there = Stack(again, compose, trained.s3)
    restore = [*compose.command("restore")[:-1], str(archive)]
    done = there.run("restore", *restore, **own)
    assert done.returncode == 1, done.stdout
    assert "s3://mlflow/artifacts" in done.stdout, "nothing is overwritten"
    empty_bucket(trained)
    done = there.run("restore", *restore, **own)
    assert done.returncode == 0, done.stdout
    assert list((again / "monitoring/inference_store").glob("*.parquet"))
    with ExitStack() as closing:
        closing.callback(there.close)
        password = compose.env["POSTGRES_PASSWORD"]
        database = closing.enter_context(postgres("mlflow", password))
        host, port = database.split(":")
        unpack = f"tar -xOf {archive} mlflow.dump | pg_restore -h {host} -U mlflow -d mlflow"
        done = there.run("dump", "sh", "-ec", unpack, **{**at, "PGPORT": port})
        assert done.returncode == 0, done.stdout
        here = find_free_port()
        old = compose.addresses["mlflow:5000"]
        compose.addresses |= {"postgres:5432": database, "mlflow:5000": f"127.0.0.1:{here}"}
        compose.addresses["--port=5000"] = f"--port={here}"
        there.mlflow = f"http://127.0.0.1:{here}"
        ini = again / "basic_auth.ini"
        ini.write_text(compose.fill((again / "docker/basic_auth.ini").read_text()))
        health = f"{there.mlflow}/health"
        server = compose.command("mlflow")
        there.start("mlflow", server, health, MLFLOW_AUTH_CONFIG_PATH=str(ini))
        assert old not in there.mlflow
        port = find_free_port()
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "serving", "--port", str(port)]
        folders = {"JOURNAL_DIR": str(again / "own"), "MODEL_CACHE": str(again / "cache")}
        there.start("datathon-api", command, f"{url}/ready", **folders)
        after = httpx.post(f"{url}/predict", json=asked, timeout=20).json()
    for name in ("model_version", "predictions"):
        assert after[name] == before[name]


def empty_bucket(stack: Stack) -> None:
    """Delete all of MLflow's artifacts."""
    keys = {"S3_ACCESS_KEY": "aws_access_key_id", "S3_SECRET_KEY": "aws_secret_access_key"}
    secrets = {theirs: stack.compose.env[ours] for ours, theirs in keys.items()}
    s3 = boto3.client("s3", endpoint_url=stack.s3, region_name="us-east-1", **secrets)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="mlflow"):
        for found in page.get("Contents", []):
            s3.delete_object(Bucket="mlflow", Key=found["Key"])
