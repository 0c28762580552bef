"""Settings of one proxy process, read from the environment once.

Each field is the environment variable of the same name; `.env.example` lists them for operators.
"""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.contract import names
from core.contract.numbers import read_number
from core.messages import N_, _
from core.registry.places import is_registry
from core.store import places
from serving.errors import SettingsError

PREFIX = re.compile("(?:/[A-Za-z0-9._~-]{1,64}){1,8}")
"""Pattern of a path prefix."""


def _text(read: Callable[[str], Any]) -> BeforeValidator:
    """Return a validator that parses a variable's text; a value set in code passes unchanged."""
    return BeforeValidator(lambda value: read(value) if isinstance(value, str) else value)


def _local(text: str) -> Path:
    place = places.store_place(text)
    if not isinstance(place, Path):
        raise ValueError
    return place


def _server(uri: str) -> str:
    if not names.is_server(uri):
        raise ValueError
    return uri


def _registry(uri: str) -> str:
    if uri and not is_registry(uri):
        raise ValueError
    return uri


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _model_names(text: str) -> list[str]:
    found = _words(text)
    if len(set(found)) < len(found) or any(set(name) & set("/:{}") for name in found):
        raise ValueError
    return found


def _digests(text: str) -> list[bytes]:
    return [hashlib.sha256(word.encode()).digest() for word in sorted(set(_words(text)))]


def _prefix(text: str) -> str:
    prefix = text.rstrip("/")
    if prefix and not PREFIX.fullmatch(prefix):
        raise ValueError
    return prefix


ClientName = Literal["key", "address", "none"]
_NUMBER = _text(read_number)
_SECONDS = N_("must lie between 0 (exclusive) and 3600 seconds")
_SHARE = N_("must be a number between 0 and 1")
Seconds = Annotated[float, _NUMBER, Field(gt=0, le=3600, description=_SECONDS)]
Share = Annotated[float, _NUMBER, Field(ge=0, le=1, description=_SHARE)]
Count = Annotated[int, Field(ge=1, description=N_("must be a whole number greater than zero"))]
Switch = Annotated[bool, Field(description=N_("must be true or false"))]


class Settings(BaseSettings):
    """Settings of an operator; a variable that is unset or empty takes its default.

    The `description` of a field completes the error message: what its variable must be.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    mlflow_tracking_uri: Annotated[str, AfterValidator(_server)] = Field(
        default=names.DEFAULT_TRACKING_URI,
        description=N_(
            "must be the address of an MLflow server, for example http://127.0.0.1:5000"
        ),
    )
    """MLflow server of the runs and artifacts, and of the registry unless that is set apart."""

    mlflow_registry_uri: Annotated[str, AfterValidator(_registry)] = Field(
        default="",
        description=N_("must be the address of an MLflow server, databricks-uc, or empty"),
    )
    """Registry outside the tracking server (also read from `REGISTRY_URI`); empty: none."""

    mlflow_public_url: str = ""
    """Address of MLflow for operators' browsers; empty: that of the tracking server."""

    model_name: str = names.DEFAULT_MODEL_NAME
    """Registered model to serve."""

    models: Annotated[tuple[str, ...], NoDecode, _text(_model_names)] = Field(
        default=(),
        description=N_("must be names of registered models, each once, separated by commas"),
    )
    """Registered models to serve, each under `/models/<name>`; the first one, instead of
    `MODEL_NAME`, also at the paths without prefix. Empty: `MODEL_NAME` alone."""

    model_alias: str = names.CHAMPION
    """Alias whose version is served and followed."""

    shadow_alias: str = ""
    """Alias whose version scores the same rows without answering; empty: none."""

    canary_alias: str = names.CANARY
    """Alias whose version answers the share of requests in its tag `canary_share`; `none`: no
    canary."""

    canary_stop: Switch = True
    """Stop a canary that is worse than tolerated, by an always-valid test."""

    canary_alpha: Share = 0.001
    """Upper bound on the probability that this proxy ever stops a canary within the tolerances."""

    canary_ratio: Annotated[float, _NUMBER] = Field(
        default=1.5, ge=1, le=100, description=N_("must lie between 1 and 100")
    )
    """Largest tolerated ratio of the canary's rate to the champion's: of errors, slow answers and
    flags (for flags also of the champion's rate to the canary's)."""

    canary_agreement: Share = 0.8
    """Smallest tolerated share of the canary's answers to which the champion gives the same
    label."""

    canary_slow_seconds: Seconds = 0.2
    """Latency from which an answer counts as slow, in seconds; 0.2 is the runbook's target."""

    keep_previous: Switch = True
    """Keep the previously served version in memory, so that a rollback loads nothing."""

    proxy_name: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._:-]{0,80}$",
        description=N_("must be of at most 80 letters, digits and the signs . _ : -"),
    )
    """Name under which the proxy reports its served version to MLflow; empty: no report. `python -m
    serving` uses the host's name and the port."""

    poll_seconds: Seconds = 1.0
    """Longest pause between two polls of the alias, in seconds."""

    threshold: Share | None = Field(default=None, description=_SHARE)
    """Override of every version's threshold, also after a flip; None: the version's own."""

    inference_store: Annotated[Path | str, _text(places.store_place)] = Field(
        default=Path(names.DEFAULT_INFERENCE_STORE),
        description=N_("must be a folder or s3://bucket/prefix, without access keys"),
    )
    """Folder of the captured Parquet files, or `s3://bucket/prefix`."""

    journal_dir: Annotated[Path, _text(_local)] = Field(
        default_factory=lambda given: places.journal_folder(given["inference_store"]),
        description=N_("must be a local folder"),
    )
    """Local folder of the journals that precede the Parquet files."""

    capture_flush_seconds: Seconds = 5.0
    """Longest time that a captured row stays in an open journal before conversion, in seconds."""

    capture_sync: Annotated[
        bool, _text(lambda text: {"always": True, "never": False}.get(text.lower()))
    ] = Field(default=False, description=N_("must be always or never"))
    """Call fdatasync before each answer (`CAPTURE_SYNC=always`), so that rows survive a power
    failure; else they survive only the end of the process."""

    capture_required: Switch = False
    """Answer 503 when a row cannot be captured; else answer, and count the row as lost."""

    compact_hour: Annotated[
        Annotated[int, Field(ge=0, le=23)] | None,
        _text(lambda text: None if text.lower() == "none" else text),
    ] = Field(default=3, description=N_("must be an hour from 0 to 23, or none"))
    """Hour of the local clock (`TZ`) of the daily compaction of past days' files, in a process of
    low priority; `none`: never, where another scheduler does it."""

    log_file: Path = Path("logs/app.log")
    """JSON log, one object per line."""

    log_client: ClientName = Field(default="key", description=N_("must be key, address or none"))
    """Client in the log: the first digits of the key's SHA-256, the address, or nothing."""

    max_instances: Count = 1000
    """Most instances in one request."""

    max_invocations_rows: Count = 50_000
    """Most rows in one request of `/invocations`, whose clients send whole frames."""

    max_invocations_bytes: Count = 16 * 2**20
    """Longest body of `/invocations`, in bytes, and largest decompressed size of a Parquet body."""

    unknown_fields: Literal["ignore", "refuse"] | None = Field(
        default=None, description=N_("must be ignore or refuse")
    )
    """Treatment of fields that the model does not have; None ignores them at `/invocations`, as
    MLflow's server does, and refuses them at `/predict`."""

    max_body_bytes: Count = 2 * 1024 * 1024
    """Longest request body, in bytes."""

    max_connections: Count = 1000
    """Most connections of a worker; above, the one that has been idle longest is closed."""

    max_pending_rows: Count = 10_000
    """Most rows that wait for the model in a worker; above, requests are answered 503 at once."""

    api_keys: Annotated[tuple[bytes, ...], NoDecode, _text(_digests)] = Field(
        default=(), repr=False
    )
    """Accepted keys, stored as their SHA-256 digests; without any the API is open."""

    pseudonym_key: str = Field(default="", repr=False)
    """Key of the pseudonyms; without it no entity id is stored, unless sent as a pseudonym."""

    trusted_types: Annotated[frozenset[str], NoDecode, _text(_words)] = frozenset()
    """Types that a model file may hold besides the project's (`core.contract.trusted_types`)."""

    max_model_bytes: Count = 1024 * 1024 * 1024
    """Largest size of a version's model file, in bytes, as it is and decompressed."""

    allow_pickle: Switch = False
    """Load pickled models and other flavours than scikit-learn, which runs the code they hold."""

    model_cache: Path = Path("var/model-cache")
    """Folder of the cached last good version, from which the proxy starts without MLflow."""

    levels_dir: Path = Field(
        default_factory=lambda given: given["model_cache"].parent / "service-levels"
    )
    """Folder of the persisted service levels, one file per day, for the trend at `/painel`;
    empty: beside the model cache."""

    @property
    def kept_levels(self) -> Path:
        """Return the folder of this model's service levels, since models may share `levels_dir`."""
        return self.levels_dir / self.model_name

    sheet_reader: str = ""
    """Reader of workbooks at `/lista`, as `package.module` or `package.module:object` (see
    `core.sheets`); empty: a flat table with the contract's columns."""

    max_sheet_bytes: Count = 16 * 2**20
    """Largest workbook, in bytes."""

    panel_group: str = ""
    """Input by whose values `/painel` groups the counts of scored and flagged; empty: none."""

    root_path: Annotated[str, _text(_prefix)] = Field(
        default="", description=N_("must be a path such as /risk, or empty")
    )
    """Path prefix under which a reverse proxy publishes this one; empty: none, or that of
    `X-Forwarded-Prefix`."""

    workers_dir: Path | None = None
    """Folder that the workers of one server share, for metrics and polls of the alias."""

    @property
    def canary(self) -> str:
        """Return the alias of the canary; empty without one, or beside an alias not `champion`."""
        wanted = self.canary_alias != "none" and self.model_alias == names.CHAMPION
        return self.canary_alias if wanted else ""

    def each_model(self) -> list["Settings"]:
        """Return the settings of each served model.

        The threshold, the reader of workbooks and the panel's group apply to the first one, which
        also compacts the store that all share.
        """
        first, *others = self.models or (self.model_name,)
        own = {"threshold": None, "sheet_reader": "", "panel_group": "", "compact_hour": None}
        found = [self.model_copy(update={"model_name": name, **own}) for name in others]
        return [self.model_copy(update={"model_name": first}), *found]

    @model_validator(mode="before")
    @classmethod
    def _blank_is_unset(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in given.items() if not isinstance(v, str) or v.strip()}

    @classmethod
    def from_env(cls) -> "Settings":
        """Read the settings from the environment.

        Raises:
            SettingsError: a variable is invalid; its text is not repeated, since it may be a
                secret.
        """
        try:
            return cls(mlflow_registry_uri=names.registry_uri())
        except ValidationError as exc:
            name = str(exc.errors(include_input=False, include_context=False)[0]["loc"][0])
        problem = cls.model_fields[name].description or N_("cannot be used")
        raise SettingsError(variable=name.upper(), problem=_(problem))
