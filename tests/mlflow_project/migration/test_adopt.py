"""Adoption of an old joblib file with its JSON files: registered and served, or refused."""

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from core.contract import names
from core.registry.packages import read_contract
from core.registry.versions import Registry
from mlflow_project.flips import promotion
from mlflow_project.flips.ledger import Ledger
from mlflow_project.migration.old_files import read_old_files, year_free
from mlflow_project.migration.renaming import rename_inputs
from mlflow_project.registry import main
from mlflow_project.versions.errors import Refused
from serving.config.settings import Settings
from serving.model.loading import load_version
from tests.live import ROOT

COLUMNS = ("fase_2023", "idade_2023", "iaa_2023", "media_indicadores")


def old_rows(rows: int = 300, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Return synthetic rows under the old names, with missing values, and outcomes."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.uniform(0, 10, (rows, len(COLUMNS))), columns=list(COLUMNS))
    risk = frame["idade_2023"] - frame["fase_2023"] - 0.3 * frame["iaa_2023"]
    target = (risk + rng.normal(0, 1, rows) > -1).astype(int).to_numpy()
    frame.loc[rng.random(rows) < 0.1, "iaa_2023"] = np.nan
    return frame, target


def by_names(final: Any) -> Pipeline:
    """Return the old service's pipeline: columns by name, imputed and scaled, then a classifier."""
    numeric = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = ColumnTransformer([("num", numeric, list(COLUMNS))], remainder="drop")
    return Pipeline([("preprocessor", columns), ("model", final)])


@pytest.fixture
def old(tmp_path: Path) -> Callable[..., list[str]]:
    """Return a function that writes the three files and returns the `adopt` command for them."""

    def write(model: Any, metadata: Any = None, signature: Any = None) -> list[str]:
        folder = tmp_path / "artifacts"
        folder.mkdir(exist_ok=True)
        joblib.dump(model, folder / "model_v1.joblib")
        metadata = metadata or {
            "model_version": "v1.1.0",
            "expected_features": sorted(COLUMNS),
            "threshold_policy": {"objective": "max_f2", "threshold_value": 0.040221},
            "metrics": {"recall": 0.91, "brier_score": 0.11},
        }
        signature = signature or {
            "input_schema": dict.fromkeys(sorted(COLUMNS), "float64"),
            "output_schema": {"risk_score": "float", "risk_label": "int", "model_version": "str"},
            "example_request": {"fase_2023": 5.0},
        }
        (folder / "model_metadata_v1.json").write_text(json.dumps(metadata))
        (folder / "model_signature_v1.json").write_text(json.dumps(signature))
        return [
            *("adopt", "--model", str(folder / "model_v1.joblib")),
            *("--metadata", str(folder / "model_metadata_v1.json")),
            *("--signature", str(folder / "model_signature_v1.json")),
        ]

    return write


def test_without_consent_the_pickle_is_not_read(
    registry: Registry, old: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --trust-pickle the file is refused with the reason, and not unpickled."""
    trap = Path("trap-that-must-not-exist")

    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
            return (open, (str(trap), "w"))

    assert main(old(Trap())) == 1
    told = capsys.readouterr().err
    assert "executar qualquer programa" in told
    assert "--trust-pickle" in told
    assert not trap.exists()
    assert registry.versions() == []


@pytest.mark.parametrize(
    "final",
    [
        LogisticRegression(max_iter=1000),
        CalibratedClassifierCV(RandomForestClassifier(20, max_depth=4, random_state=0), cv=3),
        HistGradientBoostingClassifier(max_iter=20, random_state=0),
    ],
    ids=["logistic", "calibrated-forest", "boosting"],
)
def test_an_old_pipeline_is_served_with_its_own_scores(
    registry: Registry,
    old: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
    final: Any,
) -> None:
    """It is stored as skops with year-free names, and the proxy gives equal scores."""
    frame, target = old_rows()
    model = by_names(final).fit(frame, target)
    assert main([*old(model), "--trust-pickle"]) == 0
    told = capsys.readouterr().out
    assert "fase_2023 → fase" in told
    assert "skops" in told
    version = registry.by_release("v1.1.0")
    contract = read_contract(registry, version)
    assert contract.feature_names == ("fase", "idade", "iaa", "media_indicadores")
    assert all(f.nullable for f in contract.features)
    assert (contract.threshold, contract.score_name) == (0.040221, "risk_score")
    assert version.aliases == ()
    run = registry.client.get_run(version.run_id)
    assert run.data.metrics == {"reported_recall": 0.91, "reported_brier_score": 0.11}
    assert [e.action for e in Ledger(registry).entries()] == ["adopt"]

    promotion.promote(registry, "v1.1.0", "moved in")
    serving = Registry(registry.name, registry.uri)
    served = load_version(serving, serving.resolve(), Settings(), lambda *_: None)
    rows = old_rows(40, seed=1)[0]
    body = json.dumps({"instances": json.loads(rows.to_json(orient="records"))}).encode()
    scores = served.score(served.reader.read(body).rows)  # instances with the old names
    exact = pd.DataFrame(json.loads(body)["instances"], columns=list(COLUMNS)).astype(float)
    np.testing.assert_allclose(scores, model.predict_proba(exact)[:, 1], atol=1e-9)


def test_a_file_of_another_scikit_learn_is_told_as_such(
    registry: Registry, old: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing module names both scikit-learn versions if they differ, and PYTHONPATH if equal."""
    frame, target = old_rows()
    command = [*old(by_names(LogisticRegression()).fit(frame, target)), "--trust-pickle"]
    file = Path(command[2])
    gone = file.read_bytes().replace(
        b"sklearn.linear_model._logistic", b"sklearn.linear_model._logistix"
    )
    file.write_bytes(gone)
    assert main(command) == 1
    assert "PYTHONPATH" in capsys.readouterr().err
    here = sklearn.__version__.encode()
    older = b"0" + here[1:]
    file.write_bytes(gone.replace(here, older))
    assert main(command) == 1
    told = capsys.readouterr().err
    assert older.decode() in told
    assert here.decode() in told
    assert "PYTHONPATH" not in told
    assert registry.versions() == []


def test_a_model_without_names_and_one_in_a_dictionary(
    registry: Registry, old: Callable[..., list[str]]
) -> None:
    """A model fitted on an array takes columns in signature order, and no null."""
    frame, target = old_rows()
    model = LogisticRegression().fit(frame.fillna(0.0).to_numpy(), target)
    signature = {"inputs": [{"name": name, "type": "double"} for name in COLUMNS]}
    metadata = {"version": "2", "threshold": 0.3}
    assert main([*old({"model": model}, metadata, signature), "--trust-pickle"]) == 0
    contract = read_contract(registry, registry.by_release("v2.0.0"))
    assert contract.feature_names[0] == "fase"
    assert not any(feature.nullable for feature in contract.features)


def test_text_columns_need_known_values_or_an_example(
    registry: Registry,
    old: Callable[..., list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A text column needs known values or an example; without one it is refused by name."""
    frame, target = old_rows()
    frame = frame.assign(pedra_2023=np.where(frame["idade_2023"] > 5, "Ágata", "Quartzo"))
    columns = ColumnTransformer(
        [
            ("num", SimpleImputer(), list(COLUMNS)),
            ("cat", OneHotEncoder(handle_unknown="ignore"), ["pedra_2023"]),
        ]
    )
    model = Pipeline([("columns", columns), ("model", LogisticRegression(max_iter=1000))])
    schema = {**dict.fromkeys(COLUMNS, "float64"), "pedra_2023": "object"}
    command = old(model.fit(frame, target), None, {"input_schema": schema})
    assert main([*command, "--trust-pickle"]) == 1
    assert "pedra" in capsys.readouterr().err
    example = {**dict.fromkeys(COLUMNS, 5.0), "pedra_2023": "Quartzo"}
    (tmp_path / "example.json").write_text(json.dumps(example))
    done = main([*command, "--trust-pickle", "--example", str(tmp_path / "example.json")])
    assert done == 0
    contract = read_contract(registry, registry.by_release("v1.1.0"))
    assert contract.features[-1].type == "string"


def test_what_skops_cannot_hold_needs_another_consent(
    registry: Registry, old: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A function in the pipeline needs --keep-pickle, and ALLOW_PICKLE in the proxy."""
    frame, target = old_rows()
    model = make_pipeline(SimpleImputer(), FunctionTransformer(copy.copy), LogisticRegression())
    command = [*old(model.fit(frame.to_numpy(), target)), "--trust-pickle"]
    assert main(command) == 1
    told = capsys.readouterr().err
    assert "copy.copy" in told
    assert "--keep-pickle" in told
    assert main([*command, "--keep-pickle"]) == 0
    assert "ALLOW_PICKLE=true" in capsys.readouterr().out
    promotion.promote(registry, "v1.1.0", "moved in")
    serving = Registry(registry.name, registry.uri)
    with pytest.raises(Exception, match="ALLOW_PICKLE"):
        load_version(serving, serving.resolve(), Settings(), lambda *_: None)
    allowed = Settings(allow_pickle=True)
    assert load_version(serving, serving.resolve(), allowed, lambda *_: None).number == 1


@pytest.mark.parametrize(
    ("metadata", "signature", "options", "said"),
    [
        ({"threshold": 0.3}, None, [], "--version"),
        ({"model_version": "v1.0.0"}, None, [], "--threshold"),
        ({"model_version": "v1.0.0", "threshold": 0.3}, {"note": "none"}, [], "input_schema"),
        (None, {"input_schema": {"fase_2023": "float64"}}, [], "idade_2023"),
        (None, {"input_schema": dict.fromkeys(COLUMNS, "complex128")}, [], "complex128"),
        (None, None, ["--version", "1.2"], "v1.2.0"),
        (None, None, ["--threshold", "40"], "40"),
    ],
)
def test_what_the_files_do_not_tell_is_asked_for(
    registry: Registry,
    old: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
    metadata: Any,
    signature: Any,
    options: list[str],
    said: str,
) -> None:
    """Missing or invalid facts end with one line that names them; nothing is registered."""
    frame, target = old_rows()
    command = old(by_names(LogisticRegression()).fit(frame, target), metadata, signature)
    assert main([*command, "--trust-pickle", *options]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert registry.versions() == []


def test_a_taken_release_is_refused(
    registry: Registry, old: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Adopting the same release twice is refused, and no version is added."""
    frame, target = old_rows()
    command = [*old(by_names(LogisticRegression()).fit(frame, target)), "--trust-pickle"]
    assert main(command) == 0
    assert main(command) == 1
    assert "já existe" in capsys.readouterr().err
    assert len(registry.versions()) == 1


def test_years_leave_a_name_only_where_it_stays_unique() -> None:
    """`ida_2022` and `ida_2023` keep their years, as does a change between two years."""
    given = ["fase_2023", "ida_2022", "ida_2023", "delta_ida_2022_2023", "iaa_2023_missing", "ano"]
    assert year_free(given) == {
        "fase": "fase_2023",
        "ida_2022": "ida_2022",
        "ida_2023": "ida_2023",
        "delta_ida_2022_2023": "delta_ida_2022_2023",
        "iaa_2023_missing": "iaa_2023_missing",
        "ano": "ano",
    }


def test_renaming_changes_the_names_and_nothing_else() -> None:
    """The renamed pipeline refuses the old names and gives equal scores under the new ones."""
    frame, target = old_rows()
    model = by_names(RandomForestClassifier(10, random_state=0)).fit(frame, target)
    renamed = copy.deepcopy(model)
    mapping = {name: name.removesuffix("_2023") for name in COLUMNS}
    rename_inputs(renamed, mapping)
    after = renamed.predict_proba(frame.rename(columns=mapping))
    np.testing.assert_array_equal(after, model.predict_proba(frame))
    with pytest.raises(ValueError, match="columns are missing"):
        renamed.predict_proba(frame)


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ({"features": ["a_2023", "b"]}, ["a double", "b double"]),
        ({"input_schema": {"a": "int64", "b": {"dtype": "bool"}}}, ["a double", "b boolean"]),
        ({"inputs": '[{"name": "a", "type": "double"}]'}, ["a double"]),
        (
            {"schema": {"properties": {"a": {"type": "string", "enum": ["x"]}}}},
            ["a string ('x',)"],
        ),
        (
            {"columns": [{"name": "a", "type": "number", "min": 0, "maximum": 9, "unit": "pts"}]},
            ["a double 0.0..9.0 pts"],
        ),
    ],
)
def test_spellings_of_a_signature(tmp_path: Path, signature: Any, expected: list[str]) -> None:
    """Signatures as lists, mappings, nested JSON and JSON schema are read."""
    (tmp_path / "m.json").write_text('{"model_version": 3}')
    (tmp_path / "s.json").write_text(json.dumps(signature))
    found = read_old_files(tmp_path / "m.json", tmp_path / "s.json")
    shown = [
        f"{f.name} {f.type}"
        + (f" {f.values}" if f.values else "")
        + (f" {f.min}..{f.max} {f.unit}" if f.min is not None else "")
        for f in found.features
    ]
    assert shown == expected
    assert found.release == "v3.0.0"


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    """A missing or invalid JSON file is refused by name, with the error's position if known."""
    (tmp_path / "m.json").write_text("{")
    with pytest.raises(Refused, match=r"m\.json não é JSON a partir da linha 1, coluna 2\.$"):
        read_old_files(tmp_path / "m.json", tmp_path / "m.json")
    with pytest.raises(Refused, match=r"n\.json"):
        read_old_files(tmp_path / "n.json", tmp_path / "m.json")
    (tmp_path / "m.json").write_text('{"age": 1, "age": 2}')
    with pytest.raises(Refused, match=r"m\.json: a chave age aparece duas vezes"):
        read_old_files(tmp_path / "m.json", tmp_path / "m.json")
    (tmp_path / "m.json").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(Refused, match=r"m\.json não é JSON\.$"):
        read_old_files(tmp_path / "m.json", tmp_path / "m.json")
    (tmp_path / "m.json").write_text("{}")
    (tmp_path / "s.json").write_text('{"inputs": "age, income"}')
    with pytest.raises(Refused, match=r"s\.json não é JSON"):
        read_old_files(tmp_path / "m.json", tmp_path / "s.json")


@pytest.mark.slow
def test_the_worked_example_of_the_migration_guide(registry: Registry, tmp_path: Path) -> None:
    """The JSON files and commands of docs/migrating.md work as written, on an old joblib file."""
    guide = (ROOT / "docs/migrating.md").read_text(encoding="utf-8")
    folder = tmp_path / "artifacts"
    folder.mkdir()
    files = re.findall(r"<!-- (\S+\.json) -->\n```json\n(.*?)```", guide, re.DOTALL)
    assert [name for name, _ in files] == ["model_metadata_v1.json", "model_signature_v1.json"]
    for name, text in files:
        (folder / name).write_text(text, encoding="utf-8")
    frame, target = old_rows()
    frame = frame[["fase_2023", "iaa_2023", "idade_2023"]]
    model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(frame, target)
    joblib.dump(model, folder / "model_v1.joblib")
    frame.rename(columns=lambda name: name[:-5]).to_parquet(tmp_path / "rows.parquet")

    (commands,) = re.findall(r"```bash\n(.*?)```", guide, re.DOTALL)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", commands],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "dá os mesmos scores" in done.stdout
    champion = registry.by_alias(names.CHAMPION)
    assert champion is not None
    assert champion.release == "v1.1.0"
    assert champion.tags[names.TAG_BASELINE_RUN_ID]
    assert read_contract(registry, champion).threshold == 0.040221
