"""Registered versions: lookup by release or alias, tags, and aliases."""

import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from difflib import SequenceMatcher
from itertools import islice
from typing import Any

from core.contract import names
from core.contract.derived import release_of
from core.contract.model import RELEASE, ModelContract
from core.contract.numbers import NumberError, read_share
from core.mlflow_client.client import FIRST_SECONDS, Client, configure_client, paged, reach
from core.mlflow_client.errors import (
    AliasMissing,
    CallRejected,
    ModelMissing,
    NotAServer,
    NotFound,
    RegistryUnreachable,
    UnknownVersion,
)
from core.registry import unity
from core.registry.files import stated_release
from core.registry.places import is_unity, registry_uri

_PAGE = 1000
_LOGGED_MODEL = re.compile(r"^models:/(m-[^/]+)$|/models/(m-[0-9a-f]+)/artifacts/?$")
"""The logged model in a version's source; in a separate registry, only the location of its files
contains it."""
_LISTED = 20
"""Maximum number of registered models' names in one message."""


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version: MLflow's number, the operator's release, tags and aliases.

    Attributes:
        name: the registered model's.
        number: MLflow's number; reused after a deletion.
        release: its tag's, else `v0.0.<number>`; included in the proxy's responses.
        run_id: the run that logged it; None where it names none.
        model_id: the MLflow model that it registers; None for one logged by MLflow 2.
        tags: all tags.
        created_ms: when it was registered, in milliseconds since 1970.
        aliases: those that pointed to it when it was read.
    """

    name: str
    number: int
    release: str
    run_id: str | None
    model_id: str | None
    tags: Mapping[str, str]
    created_ms: int
    aliases: tuple[str, ...] = field(default=(), compare=False)

    @property
    def uri(self) -> str:
        """Return the MLflow URI that pins this version by number."""
        return f"models:/{self.name}/{self.number}"

    @property
    def created(self) -> datetime:
        """Return when it was registered, UTC."""
        return datetime.fromtimestamp(self.created_ms / 1000, UTC)

    def threshold(self, contract: ModelContract) -> float:
        """Return the threshold that a proxy uses: the tag's if valid, else the contract's."""
        try:
            return read_share(self.tags[names.TAG_THRESHOLD])
        except (KeyError, NumberError):
            return contract.threshold

    def is_version_of(self, other: "Version") -> bool:
        """Return whether both are one version with the same description.

        Its number alone is not sufficient, since it is reused after a deletion.
        """
        mine, theirs = (
            (v.number, v.run_id, v.created_ms, v.tags.get(names.TAG_DESCRIPTION))
            for v in (self, other)
        )
        return mine == theirs

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Version":
        """Parse the output of `to_dict`.

        Raises:
            TypeError, KeyError: `data` is not such output.
        """
        return cls(**{**data, "aliases": tuple(data["aliases"])})


class Registry:
    """One registered model of one registry. Every call blocks, for a limited time.

    `uri` is the tracking server's address, `place` the registry's: the same unless another is
    given.
    """

    def __init__(
        self, name: str, uri: str, alias: str = names.CHAMPION, registry_uri: str = ""
    ) -> None:
        """Store the model's name, its servers, and the alias for `resolve`, without a request."""
        self.name, self.uri, self.alias = name, uri.rstrip("/"), alias
        self.client = Client(self.uri, registry_uri.rstrip("/"))
        self.place = self.client.place
        self._unity = is_unity(self.place)

    def resolve(self) -> Version:
        """Return the version that the alias points to, as `at_alias` does."""
        return self.at_alias(self.alias)

    def at_alias(self, alias: str) -> Version:
        """Return the version that an alias points to.

        Raises:
            ModelMissing, AliasMissing: the registry has no such model or alias.
            UnityName: in Unity Catalog, the model's name does not have three parts.
        """
        if self._unity:
            unity.check_name(self.name)
        try:
            return self._read(self.client.get_model_version_by_alias(self.name, alias))
        except NotFound as exc:
            if self._unity and self._known():
                raise AliasMissing(name=self.name, alias=alias) from exc
            raise ModelMissing(self.name, self._others()) from exc
        except CallRejected as exc:
            if exc.facts["mlflow_code"] == "INVALID_PARAMETER_VALUE":
                raise AliasMissing(name=self.name, alias=alias) from exc
            raise

    def check_name(self) -> None:
        """Check that this model is registered; an empty registry passes.

        Raises:
            ModelMissing: it is not; lists those that are.
        """
        if not self._known() and (others := self._others()):
            raise ModelMissing(self.name, others)

    def by_alias(self, alias: str) -> Version | None:
        """Return the version that an alias points to, or None.

        Read from the model's list of aliases: on a request for an alias of a model that does not
        exist yet, a server with users responds "forbidden".
        """
        number = self.aliases().get(alias)
        return None if number is None else self.find(number)

    def find(self, number: int) -> Version | None:
        """Return the version with a number, or None."""
        try:
            return self._read(self.client.get_model_version(self.name, str(number)))
        except NotFound:
            return None

    def by_release(self, release: str) -> Version:
        """Return the newest version of a release: tagged, stated by its contract, or `v0.0.<n>`.

        Raises:
            UnknownVersion: there is none; lists the known releases.
            ModelMissing: the model is not registered, but others are.
        """
        if not self._unity and RELEASE.fullmatch(release):
            tagged = self.versions(f"tags.{names.TAG_RELEASE} = '{release}'")
            if tagged:
                return tagged[0]
        everyone = self.versions()
        for version in everyone:
            if version.release == release or release == self._stated(version):
                return replace(version, release=release)
        self.check_name()
        known = ", ".join(version.release for version in everyone) or "–"
        raise UnknownVersion(model=self.name, wanted=release, known=known)

    def versions(self, filters: str | None = None, last: int | None = None) -> list[Version]:
        """Return versions, newest first; `filters` and `last` (how many) limit them at the server.

        `filters` is a condition of MLflow's search, for example on a tag; ignored in Unity Catalog.
        """
        aliases = self.aliases()
        if self._unity:
            found: Iterable[Any] = unity.newest_versions(self.client, self.name, last)
        else:
            wanted = f"name = '{self.name}'" + (f" and {filters}" if filters else "")
            search, most = self.client.search_model_versions, min(last or _PAGE, _PAGE)
            found = paged(lambda token: search(wanted, most, ["version_number DESC"], token))
        return [self._read(version, aliases) for version in islice(found, last)]

    def aliases(self) -> dict[str, int]:
        """Return alias → version number; empty when the model does not exist yet."""
        return {k: int(v) for model in self._known() for k, v in model.aliases.items()}

    def set_alias(self, alias: str, number: int | None) -> None:
        """Point an alias at a version number; None removes it, if it exists."""
        if number is not None:
            self.client.set_registered_model_alias(self.name, alias, str(number))
        elif alias in self.aliases():
            self.client.delete_registered_model_alias(self.name, alias)

    def set_tag(self, version: Version, key: str, value: str) -> None:
        """Set one tag of a version."""
        self.client.set_model_version_tag(self.name, str(version.number), self.tag(key), value)

    def delete_tag(self, version: Version, key: str) -> None:
        """Remove one tag of a version."""
        self.client.delete_model_version_tag(self.name, str(version.number), self.tag(key))

    def tag(self, key: str) -> str:
        """Return a tag's key as this registry stores it."""
        return unity.written(key) if self._unity else key

    def version_url(self, version: Version) -> str:
        """Return the address of the version's page."""
        if self._unity:
            return unity.page(version.name, version.number)
        return f"{self.place}/#/models/{version.name}/versions/{version.number}"

    def _known(self) -> list[Any]:
        """Return MLflow's record of this model; empty when it does not exist (yet)."""
        if self._unity:
            unity.check_name(self.name)
        with suppress(NotFound):
            return [self.client.get_registered_model(self.name)]
        return []

    def _others(self) -> str:
        """Return the names of registered models as one text, those most similar to this first."""
        most = None if self._unity else _PAGE
        models = self.client.search_registered_models(max_results=most)
        known = [model.name for model in models]
        known.sort(key=lambda name: -SequenceMatcher(None, self.name, name).ratio())
        shown = ", ".join(known[:_LISTED])
        return f"{shown}, …" if len(known) > _LISTED else shown

    def _read(self, found: Any, aliases: Mapping[str, int] | None = None) -> Version:
        """Convert MLflow's version; one without a number is not a response of MLflow."""
        if not str(found.version).isdecimal():
            raise RegistryUnreachable(self.place, "not_mlflow")
        number, tags = int(found.version), dict(found.tags)
        logged = _LOGGED_MODEL.search(str(found.source))
        if self._unity:
            tags = {unity.read(key): value for key, value in tags.items()}
        at = found.aliases if aliases is None else [a for a, n in aliases.items() if n == number]
        return Version(
            name=self.name,
            number=number,
            release=release_of(number, tags.get(names.TAG_RELEASE)),
            run_id=found.run_id or None,
            model_id=logged[1] or logged[2] if logged else None,
            tags=tags,
            created_ms=int(found.creation_timestamp),
            aliases=tuple(sorted(at)),
        )

    def _stated(self, version: Version) -> str | None:
        """Return the release in the contract of a version that has no release tag."""
        if names.TAG_RELEASE in version.tags:
            return None
        return stated_release(self.client, version.number, version.uri)


def open_registry(name: str | None = None) -> Registry:
    """Return the registry of the environment's server, for a command; check that it responds.

    `name` is the registered model's, by default that of `MODEL_NAME`.

    Raises:
        NotAServer, NotARegistry: the environment names no server.
        RegistryUnreachable: it does not respond; raised within seconds.
    """
    begun = time.monotonic()
    configure_client()
    uri = names.configure_mlflow_environment().rstrip("/")
    if not names.is_server(uri):
        # A local file, as `mlflow run` sets by default, or nothing.
        raise NotAServer(default=names.DEFAULT_TRACKING_URI)
    place = registry_uri()
    for each in dict.fromkeys((uri, place)):
        if names.is_server(each):
            reach(each)
    registry = Registry(name or names.model_name(), uri, registry_uri=place)
    registry.client.expect(FIRST_SECONDS - (time.monotonic() - begun))
    return registry
