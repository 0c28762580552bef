"""Transfer of a version between live MLflow servers, with all its related data."""

import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import mlflow
import pytest

from core.contract import names
from core.registry.packages import read_contract
from core.registry.versions import Registry, open_registry
from mlflow_project.flips import promotion
from mlflow_project.flips.ledger import Ledger
from mlflow_project.migration.bundle import MANIFEST
from mlflow_project.registry import main
from serving.config.settings import Settings
from serving.model.loading import load_version
from tests.live import ROOT, find_free_port, run_here, stop, wait_for
from tests.mlflow_servers import running_mlflow

MODEL = "moved"


@pytest.fixture(scope="module")
def other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a second, empty MLflow server."""
    with running_mlflow(tmp_path_factory.mktemp("other-mlflow")) as uri:
        yield uri


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Registry]]:
    """Yield a function that selects the server for our commands and returns its registry."""
    before = mlflow.get_tracking_uri()

    def use(uri: str) -> Registry:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        monkeypatch.setenv("MODEL_NAME", MODEL)
        mlflow.set_tracking_uri(uri)
        return open_registry()

    yield use
    mlflow.set_tracking_uri(before)


def run(*command: str, **extra: str) -> str:
    """Run one of our commands in a subprocess; return its output."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **extra}
    done = subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def bundle(
    mlflow_server: str,
    register_version: Callable[..., int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Export a promoted version with verdict, baseline and changed threshold; return the bundle."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_NAME", MODEL)
        register_version(MODEL, "v1.0.0", alias=None, rows=200)
        judged = {"gate": "passed", "gate.recall": "passed: 0.800 (>= 0.75)"}
        register_version(MODEL, "v1.1.0", alias=None, seed=1, tags=judged, rows=200)
        registry = open_registry()
        run_here(["monitoring.build_baseline", "--model_version", "v1.1.0"])
        promotion.promote(registry, "v1.0.0", "first")
        promotion.promote(registry, "v1.1.0", "better")
        promotion.set_threshold(registry, "v1.1.0", 0.35, "more recall")
        version = registry.by_release("v1.1.0")
        registry.set_tag(version, names.TAG_DRIFT_STATUS, "RED")
        file = tmp_path_factory.mktemp("bundle") / "bundle.zip"
        assert main(["export", "v1.1.0", str(file)]) == 0
        return file


def test_everything_that_hangs_on_a_version_arrives(
    bundle: Path,
    mlflow_server: str,
    other_server: str,
    on: Callable[[str], Registry],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Contract, signature, run, baseline, tags and ledger are equal, and the proxy loads it."""
    source = on(mlflow_server)
    sent = source.by_release("v1.1.0")
    contract = read_contract(source, sent)
    first = source.client.get_run(sent.run_id)
    signature = mlflow.models.get_model_info(sent.uri).signature
    digest = sha256(zipfile.ZipFile(bundle).read(MANIFEST)).hexdigest()

    target = on(other_server)
    assert main(["import", str(bundle), "--sha256", "0" * 64]) == 1
    assert target.versions() == []
    assert main(["import", str(bundle), "--sha256", digest]) == 0
    assert digest in capsys.readouterr().out
    got = target.by_release("v1.1.0")
    assert (got.number, got.aliases) == (1, ())
    assert read_contract(target, got) == contract
    assert mlflow.models.get_model_info(got.uri).signature == signature
    got_run = target.client.get_run(got.run_id)
    assert got_run.data.params == first.data.params
    assert got_run.data.metrics == first.data.metrics
    assert got_run.info.start_time == first.info.start_time
    assert got_run.info.status == "FINISHED"
    assert [m.model_id for m in got_run.outputs.model_outputs]
    listed = target.client.list_artifacts(got.run_id, "reference")
    assert [item.path for item in listed] == [names.ARTIFACT_REFERENCE]
    moved = ("model_version", "threshold", "gate", "gate.recall")
    assert {k: got.tags[k] for k in moved} == {k: sent.tags[k] for k in moved}
    # The drift status was observed on the other server and does not hold here.
    assert names.TAG_DRIFT_STATUS not in got.tags
    baselines = []
    for registry, version in ((source, sent), (target, got)):
        run_id = version.tags[names.TAG_BASELINE_RUN_ID]
        on(registry.uri)
        baselines.append(mlflow.artifacts.load_dict(f"runs:/{run_id}/{names.ARTIFACT_BASELINE}"))
    assert baselines[0] == baselines[1]

    assert main(["history"]) == 0
    told = capsys.readouterr().out.splitlines()[2:]
    assert ["promote (na origem)" in line for line in told] == [True, False, False]
    assert told[0].split("(na origem)")[1].split()[:2] == ["v1.0.0", "v1.1.0"]
    assert "more recall" in told[1]
    assert "import" in told[2]
    assert target.aliases() == {}  # the other server's entries move no alias here

    promotion.promote(target, "v1.1.0", "moved here")
    assert Ledger(target).flips()[-1].before == ""
    served = Registry(MODEL, other_server)
    loaded = load_version(served, served.resolve(), Settings(), lambda *_: None)
    assert loaded.contract == contract


def test_importing_again_changes_nothing(
    bundle: Path,
    other_server: str,
    on: Callable[[str], Registry],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Importing the same bundle again reports it as identical; no version or entry is added."""
    target = on(other_server)
    main(["import", str(bundle)])
    before = [version.number for version in target.versions()]
    entries = len(Ledger(target).entries())
    capsys.readouterr()
    assert main(["import", str(bundle)]) == 0
    assert "idêntica" in capsys.readouterr().out
    assert [version.number for version in target.versions()] == before
    assert len(Ledger(target).entries()) == entries


def test_another_model_under_the_same_release_is_refused(
    bundle: Path,
    mlflow_server: str,
    on: Callable[[str], Registry],
    register_version: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A release that exists with another model is refused, and no version is added."""
    on(mlflow_server)
    monkeypatch.setenv("MODEL_NAME", "taken")
    register_version("taken", "v1.1.0", alias=None, seed=3, rows=120)
    assert main(["import", str(bundle)]) == 1
    assert "já existe aqui (nº 1) e é outro modelo" in capsys.readouterr().err
    assert len(open_registry().versions()) == 1


def with_files(bundle: Path, target: Path, changed: dict[str, bytes]) -> Path:
    """Write a forged bundle, whose manifest matches the changed files; return its path."""
    parts = parts_of(bundle) | changed
    manifest = json.loads(parts[MANIFEST])
    for name, content in changed.items():
        stated = {"bytes": len(content), "sha256": sha256(content).hexdigest()}
        manifest["files"][name] = stated
    return with_parts(target, parts | {MANIFEST: json.dumps(manifest).encode()})


def with_parts(target: Path, parts: dict[str, bytes]) -> Path:
    """Write a bundle of these parts; return its path."""
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target


def parts_of(bundle: Path) -> dict[str, bytes]:
    """Return the parts of a bundle by name."""
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


class Touch:
    """An object whose pickle creates a file when it is read."""

    def __init__(self, path: Path) -> None:
        """Store the path to create."""
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        """Create the file on loading."""
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"serialization_format: skops", b"serialization_format: pickle", "está em pickle"),
        (b"loader_module: mlflow.sklearn", b"loader_module: evil.module", "outro carregador"),
        (b"    model_path: model.skops", b"    model_path: other.pkl", "dois arquivos"),
        (b"    code: null", b"    code: code", "código próprio"),
        (b"    - numpy.dtype", b"    - builtins.eval", "tipos fora da lista"),
    ],
)
def test_a_forged_model_is_refused_before_it_is_loaded(
    bundle: Path,
    other_server: str,
    on: Callable[[str], Registry],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    old: bytes,
    new: bytes,
    said: str,
) -> None:
    """A model that would run code needs --trust-pickle, although all digests match."""
    on(other_server)
    described = zipfile.ZipFile(bundle).read("model/MLmodel")
    assert old in described
    trap = tmp_path / "trap"
    changed = {"model/MLmodel": described.replace(old, new)}
    if "pickle" in said:
        changed["model/model.skops"] = pickle.dumps(Touch(trap))
    forged = with_files(bundle, tmp_path / "forged.zip", changed)
    capsys.readouterr()
    assert main(["import", str(forged)]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert "--trust-pickle" in error
    assert not trap.exists()


def test_a_damaged_bundle_is_refused_by_the_command(
    bundle: Path,
    other_server: str,
    on: Callable[[str], Registry],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A damaged bundle ends with exit code 1 and a line naming the file; nothing is registered."""
    on(other_server)
    parts = parts_of(bundle)
    parts["model/MLmodel"] = parts["model/MLmodel"].replace(b"v1.1.0", b"v1.1.1")
    damaged = with_parts(tmp_path / "damaged.zip", parts)
    before = len(open_registry().versions())
    assert main(["import", str(damaged)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "model/MLmodel está danificado" in line
    assert len(open_registry().versions()) == before


@pytest.mark.parametrize("number", ["seven", None, [1]])
def test_a_manifest_whose_number_is_none_is_refused(
    bundle: Path,
    other_server: str,
    on: Callable[[str], Registry],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    number: object,
) -> None:
    """An invalid version number in the manifest ends with exit code 1 and one line."""
    on(other_server)
    parts = parts_of(bundle)
    manifest = json.loads(parts[MANIFEST])
    manifest["version"]["number"] = number
    parts[MANIFEST] = json.dumps(manifest).encode()
    changed = with_parts(tmp_path / "changed.zip", parts)
    assert main(["import", str(changed)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "changed.zip" in line
    assert "não descreve uma versão" in line


def test_export_accepts_both_ways_of_naming_the_version(
    bundle: Path,
    mlflow_server: str,
    on: Callable[[str], Registry],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`--model_version` is accepted too; an existing or missing output file is refused."""
    on(mlflow_server)
    file = tmp_path / "b.zip"
    assert main(["export", "--model_version", "v1.0.0", str(file)]) == 0
    assert file.exists()
    assert main(["export", "v1.0.0", str(file)]) == 1
    assert "já existe" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["export", "v1.0.0"])


@pytest.mark.slow
def test_an_imported_version_is_served_and_watched(
    bundle: Path, other_server: str, on: Callable[[str], Registry], tmp_path: Path
) -> None:
    """A live proxy serves it at the exported threshold; the drift report finds its baseline."""
    target = on(other_server)
    main(["import", str(bundle)])
    if names.CHAMPION not in target.aliases():
        promotion.promote(target, "v1.1.0", "moved here")
    contract = read_contract(target, target.by_release("v1.1.0"))
    assert contract.example is not None
    port = find_free_port()
    places = {
        "INFERENCE_STORE": str(tmp_path / "store"),
        "LOG_FILE": str(tmp_path / "app.log"),
        "CAPTURE_FLUSH_SECONDS": "1",
        "PYTHONPATH": str(ROOT),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "serving", "--port", str(port)],
        cwd=tmp_path,
        env={**os.environ, **places},
        start_new_session=True,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/ready", 90, process)
        body = {"instances": [dict(contract.example.instance)] * 50}
        answer = httpx.post(f"http://127.0.0.1:{port}/predict", json=body, timeout=30).json()
    finally:
        stop(process)
    assert answer["model_version"] == "v1.1.0"
    assert answer["threshold"] == 0.35
    first = answer["predictions"][0]
    assert first["failure_score"] == pytest.approx(contract.example.score, abs=1e-9)
    report = ("-m", "monitoring.drift_report", "--model_version", "v1.1.0", "--last_n_days", "1")
    told = run(*report, "--output", str(tmp_path / "reports"), **places)
    assert "RED" in told  # fifty copies of one row are drift
