"""Errors of a drill whose server is not available."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.drill import main


@pytest.mark.parametrize("drill", ["erros", "normal"])
def test_without_a_server_it_is_one_line(
    drill: str, tmp_path: Path, free_port: Callable[[], int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a server a drill prints one line: the address, and the command to start it."""
    url = f"http://127.0.0.1:{free_port()}"
    assert main([drill, "--url", url, "--rows", str(tmp_path / "rows.parquet")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert url in line
    assert "make up" in line


def test_another_server_is_no_api(mlflow_server: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With MLflow's port in place of the API's a drill prints one line with the HTTP status."""
    assert main(["normal", "--url", mlflow_server, "--rows", "rows.parquet"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "HTTP 404" in line
