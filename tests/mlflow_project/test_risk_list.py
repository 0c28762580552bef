"""Errors of `python -m mlflow_project.risk_list`: one line, and no list is written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data.synthetic import generate_workbook, write_workbook
from mlflow_project.lists import own_proxy
from mlflow_project.risk_list import main


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    """Return the path of a small synthetic workbook."""
    write_workbook(generate_workbook(30, 1), tmp_path / "pede.xlsx")
    return tmp_path / "pede.xlsx"


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Run the command; return the exit code and the only line on stderr."""
    code = main([*words])
    (line,) = capsys.readouterr().err.splitlines()
    return code, line


def test_what_is_no_list_and_no_workbook_is_said(
    workbook: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong suffix, a missing file or a year without a sheet gives exit code 2 and one line."""
    source = ("--source", str(workbook))
    code, line = refused(capsys, *source, "--output", str(tmp_path / "lista.pdf"))
    assert (code, "xlsx" in line) == (2, True)
    output = ("--output", str(tmp_path / "lista.xlsx"))
    code, line = refused(capsys, "--source", str(tmp_path / "outra.xlsx"), *output)
    assert (code, "outra.xlsx" in line) == (2, True)
    code, line = refused(capsys, *source, *output, "--year", "2031")
    assert (code, "2031" in line) == (2, True)
    assert not (tmp_path / "lista.xlsx").exists()


def test_an_api_that_is_not_there_is_named(
    workbook: Path,
    tmp_path: Path,
    free_port: Callable[[], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An unreachable API ends with exit code 1 and a line with its address; nothing is written."""
    url = f"http://127.0.0.1:{free_port()}"
    output = tmp_path / "lista.csv"
    code, line = refused(capsys, "--source", str(workbook), "--output", str(output), "--url", url)
    assert (code, url in line, output.exists()) == (1, True, False)


@pytest.mark.server
def test_without_an_address_and_a_registry_it_ends_soon(
    workbook: Path,
    tmp_path: Path,
    free_port: Callable[[], int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without --url and registry, the temporary proxy's reason is reported after `LOOK_SECONDS`."""
    monkeypatch.setattr(own_proxy, "LOOK_SECONDS", 1.0)
    for name, value in {
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}",
        "INFERENCE_STORE": str(tmp_path / "store"),
        "MODEL_CACHE": str(tmp_path / "cache"),
        "LOG_FILE": str(tmp_path / "app.log"),
    }.items():
        monkeypatch.setenv(name, value)
    output = tmp_path / "lista.xlsx"
    code, line = refused(capsys, "--source", str(workbook), "--output", str(output))
    assert (code, output.exists()) == (1, False)
    assert "nenhuma versão" in line and "MLflow" in line
