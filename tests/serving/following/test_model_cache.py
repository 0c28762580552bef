"""The cache of the last verified version: start without MLflow, damage, concurrency."""

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from core.registry.runs import RunFacts
from core.registry.versions import Version
from serving.errors import CacheDamaged
from serving.following.cache import ModelCache, digest
from tests.live import Gate

ROW = {"temperature": 21.5, "pressure": 1003.25, "wear": 2}
FACTS = RunFacts({"test_recall": 0.8}, "2026-01-01T00:00:00+00:00")


def target(number: int, **tags: str) -> Version:
    """Return a registered version with these tags."""
    return Version("m", number, "v1.0.0", f"run-{number}", None, tags, 1_767_225_600_000)


def files(folder: Path, text: str) -> Path:
    """Write a version's files into the folder; return it."""
    (folder / "inner").mkdir(parents=True, exist_ok=True)
    (folder / "MLmodel").write_text(text)
    (folder / "inner" / "weights").write_bytes(text.encode() * 100)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> ModelCache:
    """Return an empty cache."""
    return ModelCache(tmp_path / "cache", "http://one", "machine/1 é", "champion")


def test_what_is_kept_comes_back(cache: ModelCache, tmp_path: Path) -> None:
    """Files, version and facts are restored; two versions are kept; new tags are stored."""
    with cache.opened() as kept:
        assert kept is None
    cache.keep(target(1), files(tmp_path / "a", "one"), FACTS)
    cache.keep(target(2, threshold="0.3"), files(tmp_path / "b", "two"), FACTS)
    cache.keep(target(3), files(tmp_path / "c", "three"), FACTS)
    cache.keep(target(2, threshold="0.3"), files(tmp_path / "b", "two"), FACTS)
    cache.remember(target(2, threshold="0.4"))
    cache.remember(target(1, threshold="0.9"))
    with cache.opened() as kept:
        assert kept is not None
        assert (kept.target, kept.facts) == (target(2, threshold="0.4"), FACTS)
        assert (kept.folder / "MLmodel").read_text() == "two"
        left = sorted(p.name[:2] for p in kept.folder.parent.iterdir() if p.is_dir())
        assert left == ["v2", "v3"]


def test_the_version_before_is_recalled_without_its_files(
    cache: ModelCache, tmp_path: Path
) -> None:
    """`recall` makes a kept version the current one, with new tags; False for an unknown one."""
    assert not cache.recall(target(1))
    cache.keep(target(1), files(tmp_path / "a", "one"), FACTS)
    cache.keep(target(2), files(tmp_path / "b", "two"), FACTS)
    assert not cache.recall(target(3))
    for number, text in ((1, "one"), (1, "one"), (2, "two"), (1, "one")):
        assert cache.recall(target(number, threshold="0.4"))
        with cache.opened() as kept:
            assert kept is not None
            assert kept.target == target(number, threshold="0.4")
            assert (kept.folder / "MLmodel").read_text() == text


def test_another_server_model_or_alias_has_its_own_copy(tmp_path: Path) -> None:
    """Caches of another server, model or alias are separate."""
    source = files(tmp_path / "a", "one")
    one = ("http://one", "machine", "champion")
    ModelCache(tmp_path / "cache", *one).keep(target(1), source, FACTS)
    others = [
        ("http://two", "machine", "champion"),
        ("http://one", "machine2", "champion"),
        ("http://one", "machine", "challenger"),
    ]
    for other in others:
        with ModelCache(tmp_path / "cache", *other).opened() as kept:
            assert kept is None


@pytest.mark.parametrize("damage", ["changed", "added", "removed", "gone"])
def test_files_that_changed_are_not_handed_out(
    cache: ModelCache, tmp_path: Path, damage: str
) -> None:
    """Changed, added or missing files raise; a new download repairs the cache."""
    source = files(tmp_path / "a", "one")
    cache.keep(target(1), source, FACTS)
    with cache.opened() as kept:
        assert kept is not None
        folder = kept.folder
    weights = folder / "inner" / "weights"
    if damage == "changed":
        weights.write_bytes(b"x" + weights.read_bytes()[1:])
    elif damage == "added":
        (folder / "more").touch()
    else:
        weights.unlink()
    if damage == "gone":
        (folder / "MLmodel").unlink()
        (folder / "inner").rmdir()
        folder.rmdir()
    with pytest.raises(CacheDamaged, match="não confere"), cache.opened():
        pass
    cache.keep(target(1), source, FACTS)
    with cache.opened() as kept:
        assert kept is not None
        assert digest(kept.folder) == digest(source)


def test_a_torn_record_counts_as_none(cache: ModelCache, tmp_path: Path) -> None:
    """An invalid record counts as an empty cache."""
    cache.keep(target(1), files(tmp_path / "a", "one"), FACTS)
    (record,) = (tmp_path / "cache").rglob("record.json")
    for text in ("", "{", "[]", "{}", json.dumps({"files": "x", "target": {}, "facts": {}})):
        record.write_text(text)
        with cache.opened() as kept:
            assert kept is None


def keep_many(root: str, name: str, source: str) -> None:
    """Cache two versions alternately, 40 times."""
    cache = ModelCache(Path(root), "u", "m", "a")
    for number in range(40):
        version = 1 + (number + len(name)) % 2
        cache.keep(target(version), Path(source) / str(version), FACTS)


def test_several_workers_share_one_copy(tmp_path: Path) -> None:
    """Readers beside three writing processes always see one whole version."""
    for number in (1, 2):
        files(tmp_path / "source" / str(number), f"version {number}")
    spawn = multiprocessing.get_context("fork")
    arguments = [(str(tmp_path / "c"), "x" * n, str(tmp_path / "source")) for n in (1, 2, 3)]
    workers = [spawn.Process(target=keep_many, args=a) for a in arguments]
    for worker in workers:
        worker.start()
    cache = ModelCache(tmp_path / "c", "u", "m", "a")
    running = True
    while running:
        # Read once more after the last has ended: then there is a version in any case.
        running = any(worker.is_alive() for worker in workers)
        with cache.opened() as kept:
            if kept is not None:
                assert (kept.folder / "MLmodel").read_text() == f"version {kept.target.number}"
    assert kept is not None
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0


def test_digest_tells_names_from_contents(tmp_path: Path) -> None:
    """The digest separates file names from contents."""
    for name, content in (("ab", "c"), ("a", "bc")):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(content)
    assert digest(tmp_path / "ab") != digest(tmp_path / "a")


def test_the_proxy_starts_without_mlflow_and_returns_to_it(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    start: Callable[..., Any],
    gate: Gate,
) -> None:
    """The cached version serves with its last threshold until the registry is reachable again.

    /health and /metadata state `cache` as the source meanwhile.
    """
    name, client = new_model(), MlflowClient()
    number = register_version(name, threshold=0.3)
    proxy = start(name, mlflow_tracking_uri=gate.uri).wait_ready()
    client.set_model_version_tag(name, str(number), "threshold", "0.7")
    proxy.wait_for(threshold_source="tag")
    expected = proxy.predict(ROW).json()["predictions"]
    gate.shut()
    proxy.wait_for(registry_reachable=False, model_source="registry")
    again = start(name, mlflow_tracking_uri=gate.uri).wait_ready()
    health = again.wait_for(model_source="cache")
    assert (health["status"], health["registry_reachable"]) == ("degraded", False)
    assert f"cópia local da versão {number}" in health["reasons"][0]
    assert again.http.get("/metadata").json()["model_source"] == "cache"
    answer = again.predict(ROW).json()
    assert (answer["predictions"], answer["threshold"]) == (expected, 0.7)
    gate.open()
    assert again.wait_for(model_source="registry", status="healthy")["registry_version"] == number
    assert again.predict(ROW).json()["predictions"] == expected


def test_a_damaged_copy_is_not_served(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    start: Callable[..., Any],
    gate: Gate,
    eventually: Callable[..., Any],
) -> None:
    """Without MLflow, a modified cache is not served; it is logged and /ready returns 503."""
    name = new_model()
    register_version(name)
    good = start(name, mlflow_tracking_uri=gate.uri).wait_ready()
    (model,) = good.settings.model_cache.rglob("model.skops")
    model.write_bytes(model.read_bytes() + b"\0")
    gate.shut()
    proxy = start(name, mlflow_tracking_uri=gate.uri)
    eventually(lambda: any("não confere" in line["message"] for line in proxy.log()))
    assert proxy.http.get("/ready").status_code == 503
    gate.open()
    assert proxy.wait_ready().wait_for(model_source="registry", status="healthy")


def test_a_cache_that_cannot_be_written_stops_nothing(
    register_version: Callable[..., int],
    new_model: Callable[[], str],
    start: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """An unwritable cache does not prevent serving; it is logged."""
    name = new_model()
    register_version(name)
    (tmp_path / "file").touch()
    proxy = start(name, model_cache=tmp_path / "file" / "cache").wait_ready()
    assert any("não pôde ser guardada" in line["message"] for line in proxy.log())
