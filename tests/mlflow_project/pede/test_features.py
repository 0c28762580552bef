"""The table of inputs is their only list: a new row adds a feature everywhere."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.contract.model import Feature
from data.headers import HEADERS
from mlflow_project.pede.columns import TITLES, plain
from mlflow_project.pede.features import INPUTS, Input, once
from tests.live import ROOT

NEW = '    _grade("avaliadores", 3.0, "Número de avaliadores", "Nº Av"),\n'
USE = """
import json, sys
from pathlib import Path
from data.synthetic import generate_workbook, write_workbook
from mlflow_project.dataset.risk import build_contract
from mlflow_project.make_dataset import make_dataset
from mlflow_project.pede import read_list
import pandas as pd

book, output = Path(sys.argv[1]) / "pede.xlsx", Path(sys.argv[1]) / "d.parquet"
write_workbook(generate_workbook(40, 1), book)
make_dataset(book, output, None)
contract = build_contract("v1.0.0", 0.5, {}, 0.5)
values = pd.read_parquet(output)["avaliadores"]
print(json.dumps({
    "contract": contract.feature_names[-1],
    "example": contract.example.instance["avaliadores"],
    "dataset": sorted(set(values)),
    "list": sorted({row["avaliadores"] for row in read_list(book).rows}),
}))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with a copy of the project's code."""
    for package in ("core", "data", "mlflow_project"):
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("*.parquet")
        )
    return tmp_path


def add_row(project: Path, row: str) -> None:
    """Add a line at the end of the table of inputs."""
    path = project / "mlflow_project" / "pede" / "features.py"
    text = path.read_text("utf-8")
    end = text.index(")\n# fmt: on")
    path.write_text(text[:end] + row + text[end:], "utf-8")


def run(project: Path) -> subprocess.CompletedProcess[str]:
    """Run `USE` (workbook, dataset, contract, list) with the copied code; return its result."""
    return subprocess.run(
        [sys.executable, "-c", USE, str(project)],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_one_row_adds_a_feature(project: Path) -> None:
    """A new row adds the feature to dataset, contract, example and list."""
    add_row(project, NEW)
    done = run(project)
    assert done.returncode == 0, done.stderr
    values = [2.0, 3.0, 4.0]
    assert json.loads(done.stdout) == {
        "contract": "avaliadores",
        "example": 3.0,
        "dataset": values,
        "list": values,
    }


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ('    _grade("ieg", 3.0, "x", "Nº Av"),\n', "input twice: ieg"),
        ('    _grade("novo", 3.0, "x", "IEG"),\n', "header twice: ieg"),
        ('    _grade("novo", 30.0, "x", "Nº Av"),\n', "example 30.0 is not in its range"),
        ('    _grade("novo", 3.0, "x"),\n', "'novo' needs either headers or a computation"),
    ],
)
def test_a_row_that_cannot_be_used_is_one_sentence_at_import(
    project: Path, row: str, sentence: str
) -> None:
    """An invalid row in the table fails at import, and the last line of stderr says why."""
    add_row(project, row)
    done = run(project)
    assert done.returncode == 1
    assert sentence in done.stderr.splitlines()[-1]


def test_rows_are_checked() -> None:
    """An input with both headers and a computation is refused."""
    feature = Feature("x", "double", "", 0, 1)
    with pytest.raises(ValueError, match="needs either"):
        Input(feature, 0.5, ("X",), computed=lambda year: year["ano"])
    assert once(["a", "b"], "input") == ("a", "b")


@pytest.mark.parametrize(
    "row", [row for row in INPUTS if not row.computed], ids=lambda row: row.feature.name
)
def test_the_synthetic_workbook_has_every_input(row: Input) -> None:
    """An input read from a column needs one in the generator's newest sheet (data/headers.py)."""
    known = {plain(header) for header in HEADERS[max(HEADERS)]}
    wanted = [plain(header) for header in TITLES[row.feature.name]]
    assert known & set(wanted), (
        f"no column of data/headers.py is named like the input {row.feature.name}: add one of "
        f"{row.headers} there and its cells in data/layout.py"
    )
