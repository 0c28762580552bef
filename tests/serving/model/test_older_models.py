"""Models written by scikit-learn's previous two minor releases.

Before the locked release changes, add a folder of models written by it.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn

from core.mlflow_client.errors import VersionRefused
from core.registry.packages import load_pyfunc
from tests.plain_versions import read

OLDER = Path(__file__).parent / "older_models"
FOLDERS = sorted(OLDER.glob("*/*"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_model_of_an_older_release_answers_as_it_did_there(folder: Path, tmp_path: Path) -> None:
    """The proxy's loader and the jobs' pyfunc give the older release's outputs to 1e-12."""
    wrote = json.loads((folder / "answers.json").read_text("utf-8"))
    version = read(folder)
    body = json.dumps({"instances": wrote["rows"]}).encode()
    found = np.array(version.output(version.reader.read(body).rows))
    assert np.abs(found - wrote["answers"]).max() < 1e-12
    model = load_pyfunc(Path(shutil.copytree(folder, tmp_path / "model")))
    asked = np.array(model.predict(pd.DataFrame(wrote["rows"])))
    assert np.abs(asked - wrote["answers"]).max() < 1e-12


def test_the_previous_two_minors_are_there() -> None:
    """There are models of the two minor releases before the installed one."""
    major, minor = map(int, sklearn.__version__.split(".")[:2])
    assert {path.name for path in OLDER.iterdir()} == {f"{major}.{minor - back}" for back in (1, 2)}


def test_what_cannot_be_read_says_who_wrote_it(tmp_path: Path) -> None:
    """The error of an unreadable file names the writing and the installed release."""
    folder = Path(shutil.copytree(OLDER / "1.8" / "boosting", tmp_path / "model"))
    (folder / "model.skops").write_bytes(b"PK no archive")
    with pytest.raises(VersionRefused, match=f"1.8.0.*{sklearn.__version__}"):
        read(folder)
