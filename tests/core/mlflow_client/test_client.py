"""Every call to MLflow ends within its deadline and reports the cause of a server's failure."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from core.mlflow_client import client
from core.mlflow_client.client import CALL_SECONDS, REACH_SECONDS, Client, reach
from core.mlflow_client.deadline import DeadlineError, within
from core.mlflow_client.errors import (
    AliasMissing,
    ModelMissing,
    NotAServer,
    NotFound,
    RegistryUnreachable,
    UnknownVersion,
)
from core.registry.versions import Registry, open_registry
from tests.live import ROOT, clean_environment, find_free_port
from tests.wrong_servers import Serve, answering, dripping, hanging, resetting, well

SLACK = 2.0
"""Tolerance for a busy machine, in seconds."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the client's deadlines to one second; tests of commands keep the real ones."""
    assert CALL_SECONDS <= 10 and 2 * REACH_SECONDS <= 10
    monkeypatch.setattr(client, "CALL_SECONDS", 1.0)
    monkeypatch.setattr(client, "REACH_SECONDS", 1.0)


def cause_of(uri: str) -> RegistryUnreachable:
    """Return the error that resolving an alias at this address raises."""
    with pytest.raises(RegistryUnreachable) as raised:
        Registry("m", uri).resolve()
    return raised.value


@pytest.mark.parametrize(
    ("answer", "cause", "word"),
    [
        (answering(429, Retry_After="3600"), "limited", "429"),
        (answering(503, b"<html>", Retry_After="3600"), "unavailable", "503"),
        (answering(502), "unavailable", "502"),
        (answering(500, b'{"error_code": "INTERNAL_ERROR", "message": "x"}'), "failed", "500"),
        (answering(401, b"You are not authenticated"), "unauthorized", "MLFLOW_TRACKING_USERNAME"),
        (answering(403, b"Permission denied"), "forbidden", "MLFLOW_TRACKING_USERNAME"),
        (answering(404, b"<html>"), "no_endpoint", "404"),
        (answering(200, b"<html>login</html>"), "not_mlflow", "MLflow"),
        (answering(200, b"{}"), "not_mlflow", "MLflow"),
        (answering(200, b'{"model_version": {"name": 1}}'), "not_mlflow", "MLflow"),
        (answering(302, Location="https://sso.example/login"), "redirect", "302"),
        (resetting, "reset", ""),
    ],
)
def test_what_is_wrong_with_a_server_is_told_apart(
    serve: Serve, answer: Callable[[Any], None], cause: str, word: str
) -> None:
    """Each kind of failure has its own cause and text, and is raised within a few seconds."""
    server = serve(answer)
    begun = time.monotonic()
    error = cause_of(server.uri)
    assert error.cause == cause
    assert word in error.reason
    assert server.uri in str(error)
    assert time.monotonic() - begun < 3 + SLACK


def test_an_address_without_a_server_is_told_apart() -> None:
    """A refused connection and an unknown host name have different causes."""
    port = find_free_port()
    assert cause_of(f"http://127.0.0.1:{port}").cause == "refused"
    assert cause_of("http://no-such-host.invalid:5000").cause == "unknown_host"


def test_plain_http_behind_https_is_told(serve: Serve) -> None:
    """Plain HTTP behind an `https:` URI has the cause `tls`."""
    server = serve(answering(200))
    assert cause_of(server.uri.replace("http:", "https:")).cause == "tls"


@pytest.mark.parametrize("answer", [hanging, dripping])
def test_a_server_that_hangs_or_drips_is_given_up(
    serve: Serve, answer: Callable[[Any], None], impatient: None
) -> None:
    """One deadline limits the whole call; slowly arriving bytes do not extend it."""
    server = serve(answer)
    begun = time.monotonic()
    assert cause_of(server.uri).cause == "timeout"
    assert time.monotonic() - begun < client.CALL_SECONDS + SLACK


def test_a_first_answer_is_waited_for_less_than_others(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first call has a shorter deadline; after any response, also a 404, the usual one."""
    monkeypatch.setattr(client, "_LEAST_SECONDS", 0.5)
    no = answering(404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}')
    answers = iter([no])

    def slow(handler: Any) -> None:
        time.sleep(1.5)
        no(handler)

    first = Client(serve(slow).uri)
    first.prepare()
    first.expect(0.5)
    with pytest.raises(RegistryUnreachable):
        first.get_run("0" * 32)
    later = Client(serve(lambda handler: next(answers, slow)(handler)).uri)
    later.expect(0.5)
    for _ in range(2):
        with pytest.raises(NotFound):
            later.get_run("0" * 32)


def test_a_passing_failure_is_tried_again(serve: Serve) -> None:
    """A read is retried after 503 responses until it succeeds."""
    answers = iter([answering(503), answering(503), answering(503)])
    alias = b'{"model_version": {"name": "m", "version": "7", "creation_timestamp": 1}}'
    server = serve(lambda handler: next(answers, answering(200, alias))(handler))
    assert Registry("m", server.uri).resolve().number == 7


def test_a_change_that_may_have_happened_is_not_repeated(serve: Serve) -> None:
    """A write whose connection was reset is not retried; a read is, three attempts in all."""
    server = serve(resetting)
    client = Client(server.uri)
    client.prepare()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(RegistryUnreachable):
            client.create_run("0")
        assert server.asked == 1
        with pytest.raises(RegistryUnreachable):
            client.get_run("0" * 32)
        assert server.asked == 4


def test_hanging_work_is_bounded_in_number() -> None:
    """At most eight threads hang at once; no further work is started beside them."""
    for _ in range(8):
        with pytest.raises(DeadlineError):
            within(0.01, lambda: time.sleep(0.8))
    begun = []
    with pytest.raises(DeadlineError):
        within(0.05, lambda: begun.append(1))
    assert not begun
    assert within(5, lambda: "again") == "again"


def test_reaching_a_server_needs_no_mlflow(serve: Serve, impatient: None) -> None:
    """`reach` has a cause for hanging servers, wrong content, busy gateways and redirects."""
    begun = time.monotonic()
    for answer, cause in (
        (hanging, "timeout"),
        (dripping, "timeout"),
        (answering(200, b"<html>login</html>"), "not_mlflow"),
        (answering(503, Retry_After="3600"), "unavailable"),
        (answering(301, Location="http://elsewhere/"), "redirect"),
    ):
        with pytest.raises(RegistryUnreachable) as raised:
            reach(serve(answer).uri)
        assert raised.value.cause == cause
    assert time.monotonic() - begun < 2 * client.REACH_SECONDS + SLACK


def test_a_local_file_is_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A local database is rejected: artifact paths logged there are unknown to any server."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    with pytest.raises(NotAServer, match="export MLFLOW_TRACKING_URI"):
        open_registry()


@pytest.mark.parametrize(
    "uri", ["nonsense", "http://", "http://a:b", "http://a b:1", "http://[::1"]
)
def test_an_address_that_cannot_be_one_is_said_before_anything_is_asked(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A malformed URI raises NotAServer, not an error of MLflow or of the URL parser."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(NotAServer, match="export MLFLOW_TRACKING_URI"):
        open_registry()


def test_a_misspelt_model_is_told_from_one_without_versions(mlflow_server: str) -> None:
    """An unknown model raises ModelMissing with existing names; one without versions does not."""
    there = Registry("there-is-this-one", mlflow_server)
    there.client.create_registered_model(there.name)
    there.check_name()
    for number in range(25):  # more names than one message lists
        there.client.create_registered_model(f"another-{number}")
    misspelt = Registry("there-is-this-on", mlflow_server)
    for ask in (
        misspelt.check_name,
        misspelt.resolve,
        lambda: misspelt.by_release("v1.0.0"),
    ):
        with pytest.raises(ModelMissing, match=r"MODEL_NAME.*there-is-this-one"):
            ask()
    with pytest.raises(UnknownVersion):
        there.by_release("v1.0.0")


def test_an_empty_database_is_no_failure(mlflow_server: str) -> None:
    """A missing model, alias and run raise different errors, none of them a server failure."""
    registry = Registry("nobody-knows-it", mlflow_server)
    with pytest.raises(ModelMissing, match="nobody-knows-it"):
        registry.resolve()
    assert registry.versions() == []
    assert registry.aliases() == {}
    with pytest.raises(NotFound):
        registry.client.get_run("0" * 32)
    registry.client.create_registered_model("nobody-knows-it")
    with pytest.raises(AliasMissing, match="champion"):
        registry.resolve()


@pytest.mark.parametrize("kind", ["dead", "hanging", "dripping", "busy", "well"])
def test_a_rollback_says_within_ten_seconds_that_the_server_is_gone(
    serve: Serve, kind: str
) -> None:
    """The rollback command, run as a process, ends within its deadline with a one-line error.

    Also where `/health` reports success and every other request hangs.
    """
    busy = answering(429, Retry_After="3600")
    wrong = {"hanging": hanging, "dripping": dripping, "busy": busy, "well": well}
    uri = serve(wrong[kind]).uri if kind in wrong else f"http://127.0.0.1:{find_free_port()}"
    command = [sys.executable, "-m", "mlflow_project.registry", "rollback", "--reason", "x"]
    begun = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**clean_environment(), "MLFLOW_TRACKING_URI": uri, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert time.monotonic() - begun < CALL_SECONDS
    assert done.returncode == 1
    assert uri in done.stderr
    assert len(done.stderr.splitlines()) == 1
