"""The workers of one server share each query of the alias."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.mlflow_client.errors import AliasMissing, ModelMissing, RegistryError, RegistryUnreachable
from core.registry.versions import Registry, Version
from serving.following.shared_lookup import SharedLook

TARGET = Version("machine", 7, "v1.0.0", "run", "m-1", {"threshold": "0.4"}, 1_767_323_045_000)


class Counting(Registry):
    """A registry without a server that counts its queries."""

    def __init__(self, outcome: Version | RegistryError = TARGET) -> None:
        """Store the version to return or the error to raise."""
        super().__init__("machine", "http://127.0.0.1:9")
        self.outcome, self.asked = outcome, 0

    def resolve(self) -> Version:
        """Count the query; return the version or raise the error."""
        self.asked += 1
        if isinstance(self.outcome, RegistryError):
            raise self.outcome
        return self.outcome


def test_whoever_comes_first_asks_and_the_others_read(tmp_path: Path) -> None:
    """Repeated concurrent look-ups of eight workers cost one query of the registry."""
    registry = Counting()
    looks = [SharedLook(registry, tmp_path, 60) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda look: look.resolve(), looks * 3))
    assert found == [TARGET] * 24
    assert registry.asked == 1


def test_an_old_look_is_made_again(tmp_path: Path) -> None:
    """A result older than the interval is queried again."""
    registry = Counting()
    look = SharedLook(registry, tmp_path, 0)
    assert [look.resolve(), look.resolve()] == [TARGET, TARGET]
    assert registry.asked == 2


@pytest.mark.parametrize(
    "error",
    [
        ModelMissing("machine"),
        AliasMissing(name="machine", alias="champion"),
        RegistryUnreachable("http://127.0.0.1:9", "refused"),
    ],
)
def test_what_went_wrong_is_shared_too(tmp_path: Path, error: RegistryError) -> None:
    """A worker that reads the shared result raises the same error with the same text."""
    registry = Counting(error)
    for _ in range(3):
        with pytest.raises(type(error)) as raised:
            SharedLook(registry, tmp_path, 60).resolve()
        assert str(raised.value) == str(error)
    assert registry.asked == 1


def test_an_alias_that_may_be_missing_is_asked_for_less_often(tmp_path: Path) -> None:
    """The result that an alias is missing has a longer validity of its own."""
    registry = Counting(AliasMissing(name="machine", alias="champion"))
    look = SharedLook(registry, tmp_path, 0, missing=60)
    for _ in range(3):
        with pytest.raises(AliasMissing):
            look.resolve()
    assert registry.asked == 1


def test_aliases_do_not_mix(tmp_path: Path) -> None:
    """Each alias has its own shared result."""
    first, second = Counting(), Counting(AliasMissing(name="machine", alias="challenger"))
    second.alias = "challenger"
    assert SharedLook(first, tmp_path, 60).resolve() == TARGET
    with pytest.raises(AliasMissing):
        SharedLook(second, tmp_path, 60).resolve()


def test_a_torn_file_or_a_lost_folder_stops_nobody(tmp_path: Path) -> None:
    """A truncated result is queried again; without the folder each call queries the registry."""
    SharedLook(Counting(), tmp_path, 60).resolve()
    (path,) = tmp_path.glob("alias-*.look")
    path.write_text('{"at": 1')
    registry = Counting()
    look = SharedLook(registry, tmp_path, 60)
    assert [look.resolve(), look.resolve()] == [TARGET, TARGET]
    assert registry.asked == 1
    gone = SharedLook(registry, tmp_path / "gone", 60)
    assert [gone.resolve(), gone.resolve()] == [TARGET, TARGET]
    assert registry.asked == 3


def test_credentials_in_the_address_are_not_told() -> None:
    """The error's text omits credentials, since /health shows it without a key."""
    told = str(RegistryUnreachable("http://ana:segredo@mlflow:5000/a", "failed", status=500))
    assert "http://mlflow:5000/a" in told
    assert "segredo" not in told
