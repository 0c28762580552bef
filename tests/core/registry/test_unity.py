"""Unity Catalog through MLflow's own client, against a small server that emulates it."""

from collections.abc import Iterator

import pytest

from core.contract import names
from core.mlflow_client.client import Client
from core.mlflow_client.errors import AliasMissing, ModelMissing, NotARegistry, UnityName
from core.registry.places import registry_uri
from core.registry.versions import Registry
from mlflow_project.describing.description import describe
from mlflow_project.versions.errors import Refused
from tests.core.registry.unity_server import UnityServer

NAME = "escola.producao.risco-defasagem"
TRACKING = "http://127.0.0.1:9"


@pytest.fixture
def unity(monkeypatch: pytest.MonkeyPatch) -> Iterator[UnityServer]:
    """Yield a Unity Catalog with three versions of a model, its credentials in the environment."""
    server = UnityServer()
    for number, release in ((2, "v1.1.0"), (10, "v2.0.0"), (1, "v1.0.0")):
        server.add(NAME, number, model_version=release)
    environ = {
        "DATABRICKS_HOST": server.address,
        "DATABRICKS_TOKEN": "a-token",
        "MLFLOW_REGISTRY_URI": "databricks-uc",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    yield server
    server.close()


@pytest.fixture
def registry(unity: UnityServer) -> Registry:
    """Return the registry of that model; its tracking server does not exist."""
    return Registry(NAME, TRACKING, registry_uri=registry_uri())


def test_aliases_are_set_read_and_removed_under_a_name_of_three_parts(
    unity: UnityServer, registry: Registry
) -> None:
    """Every call goes to Unity Catalog, with the token, and none to the tracking server."""
    registry.set_alias(names.CHAMPION, 10)
    registry.set_alias(names.PREVIOUS, 2)
    assert registry.aliases() == {"champion": 10, "previous": 2}
    served = registry.resolve()
    assert (served.name, served.number, served.release) == (NAME, 10, "v2.0.0")
    assert served.aliases == ("champion",)
    assert served.model_id == f"m-{10:032x}"
    assert served.uri == f"models:/{NAME}/10"
    registry.set_alias(names.PREVIOUS, None)
    registry.set_alias("never-set", None)
    assert registry.aliases() == {"champion": 10}
    assert registry.by_alias(names.PREVIOUS) is None
    assert unity.tokens == {"Bearer a-token"}


def test_versions_have_their_tags_and_order_although_its_search_knows_neither(
    unity: UnityServer, registry: Registry
) -> None:
    """Versions are listed newest first and found by release; their tags are set and deleted."""
    registry.set_alias(names.CHAMPION, 2)
    found = registry.versions()
    assert [(v.number, v.release) for v in found] == [(10, "v2.0.0"), (2, "v1.1.0"), (1, "v1.0.0")]
    assert [v.aliases for v in found] == [(), ("champion",), ()]
    assert [v.number for v in registry.versions(last=2)] == [10, 2]
    version = registry.by_release("v1.1.0")
    registry.set_tag(version, names.TAG_THRESHOLD, "0.4")
    assert unity.versions[NAME][2][names.TAG_THRESHOLD] == "0.4"
    registry.set_tag(version, "gate.recall", "failed")
    assert unity.versions[NAME][2]["gate__recall"] == "failed"
    tags = registry.by_release("v1.1.0").tags
    assert (tags[names.TAG_THRESHOLD], tags["gate.recall"]) == ("0.4", "failed")
    registry.delete_tag(version, "gate.recall")
    assert "gate.recall" not in registry.by_release("v1.1.0").tags


def test_what_is_not_there_is_said_as_for_any_registry(
    unity: UnityServer, registry: Registry
) -> None:
    """A missing alias and a missing model raise different errors."""
    with pytest.raises(AliasMissing):
        registry.resolve()
    assert registry.find(77) is None
    misspelt = Registry("escola.producao.risco", TRACKING, registry_uri="databricks-uc")
    with pytest.raises(ModelMissing, match=NAME):
        misspelt.resolve()
    assert misspelt.aliases() == {}


def test_a_name_without_three_parts_is_refused_in_a_sentence(unity: UnityServer) -> None:
    """It is rejected without a request: MLflow would use catalog and schema of a Spark session."""
    plain = Registry("risco-defasagem", TRACKING, registry_uri="databricks-uc")
    for ask in (plain.resolve, plain.aliases, plain.versions):
        with pytest.raises(UnityName, match=r"catálogo\.esquema\.modelo"):
            ask()
    assert unity.asked == []


def test_a_description_is_refused_where_no_file_can_follow_it(
    unity: UnityServer, registry: Registry
) -> None:
    """Files of a version are a copy made at registration, so a description is rejected."""
    with pytest.raises(Refused, match="Unity Catalog"):
        describe(registry, "v1.0.0", {"horizon": 1}, "known now")
    assert unity.asked == []


def test_the_page_of_a_version(unity: UnityServer, registry: Registry) -> None:
    """The page of a version is the one in Databricks."""
    page = registry.version_url(registry.by_release("v2.0.0"))
    place = "explore/data/models/escola/producao/risco-defasagem/version/10"
    assert page == f"{unity.address}/{place}"


@pytest.mark.parametrize("place", ["databricks", "uc:http://127.0.0.1:8080", "sqlite:///x.db"])
def test_other_registries_are_refused(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Databricks' old workspace registry, the open Unity Catalog and files raise NotARegistry."""
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", place)
    with pytest.raises(NotARegistry):
        registry_uri()


def test_both_names_of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """`MLFLOW_REGISTRY_URI` takes precedence over `REGISTRY_URI`."""
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    assert registry_uri() == ""
    monkeypatch.setenv("REGISTRY_URI", "http://registry:5000/")
    assert registry_uri() == "http://registry:5000"
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "databricks-uc://profile")
    assert registry_uri() == "databricks-uc://profile"
    assert not Client("http://a", "").is_split and Client("http://a", "http://b").is_split
