"""Settings of one proxy process, read from the environment once.

Each field is the environment variable of the same name; `.env.example` lists them for operators.
"""

import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.contract import names
from core.contract.numbers import read_number
from core.messages import N_, _
from core.registry.places import is_registry
from core.store import places
from serving.errors import SettingsError

PREFIX = re.compile("(?:/[A-Za-z0-9._~-]{1,64}){1,8}")
"""What a path prefix may be."""


class _Must(str):
    """What a variable must be, for people; it stands in the type of the field."""

    __slots__ = ()


def _number(value: Any) -> Any:
    return read_number(value) if isinstance(value, str) else value


def _place(value: Any) -> Any:
    return places.store_place(value) if isinstance(value, str) else value


def _local(value: Any) -> Any:
    place = _place(value)
    if not isinstance(place, Path):
        raise ValueError
    return place


def _server(value: Any) -> Any:
    if isinstance(value, str) and not names.is_server(value.strip()):
        raise ValueError
    return value


def _registry(value: Any) -> Any:
    if isinstance(value, str) and value and not is_registry(value.strip()):
        raise ValueError
    return value


def _always(value: Any) -> Any:
    return {"always": True, "never": False}.get(value.lower()) if isinstance(value, str) else value


def _hour(value: Any) -> Any:
    return None if isinstance(value, str) and value.lower() == "none" else value


def _words(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return frozenset(word.strip() for word in value.split(",") if word.strip())


def _model_names(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = tuple(word.strip() for word in value.split(",") if word.strip())
    if len(set(found)) < len(found) or any(set(name) & set("/:{}") for name in found):
        raise ValueError
    return found


def _digests(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(hashlib.sha256(word.encode()).digest() for word in sorted(_words(value)))


def _prefix(value: Any) -> Any:
    prefix = value.rstrip("/") if isinstance(value, str) else value
    if prefix and not PREFIX.fullmatch(prefix):
        raise ValueError
    return prefix


ClientName = Literal["key", "address", "none"]
Seconds = Annotated[
    float,
    BeforeValidator(_number),
    Field(gt=0, le=3600),
    _Must(N_("must lie between 0 (exclusive) and 3600 seconds")),
]
Share = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1), _Must(N_("must be a whole number greater than zero"))]
Switch = Annotated[bool, _Must(N_("must be true or false"))]


NO_CANARY = "none"


class Settings(BaseSettings):
    """What an operator can set. A variable that is unset or empty takes its default."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    mlflow_tracking_uri: Annotated[
        str,
        BeforeValidator(_server),
        _Must(N_("must be the address of an MLflow server, for example http://127.0.0.1:5000")),
    ] = names.DEFAULT_TRACKING_URI
    """MLflow server that holds the runs and the artifacts, and the registry unless another does."""

    mlflow_registry_uri: Annotated[
        str,
        BeforeValidator(_registry),
        _Must(N_("must be the address of an MLflow server, databricks-uc, or empty")),
    ] = ""
    """Registry beside the tracking server (`REGISTRY_URI` is another name of it); empty: none."""

    mlflow_public_url: str = ""
    """Address under which operators' browsers find MLflow; empty: the same."""

    model_name: str = names.DEFAULT_MODEL_NAME
    """Registered model to serve."""

    models: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(_model_names),
        _Must(N_("must be names of registered models, each once, separated by commas")),
    ] = ()
    """Registered models to serve, each under `/models/<name>`; the first one, in the place of
    `MODEL_NAME`, at the usual paths too. Empty: that one alone."""

    model_alias: str = names.CHAMPION
    """Alias whose version is served and followed."""

    shadow_alias: str = ""
    """Alias whose version scores the same rows beside the answers; empty: none."""

    canary_alias: str = names.CANARY
    """Alias whose version answers the share that its tag `canary_share` says; `none`: there is no
    such."""

    canary_stop: Switch = True
    """Stop a canary that is worse than tolerated, by an always-valid test."""

    canary_alpha: Annotated[Share, _Must(N_("must be a number between 0 and 1"))] = 0.001
    """Greatest probability that this proxy ever stops a canary that is as good as tolerated."""

    canary_ratio: Annotated[
        float,
        BeforeValidator(_number),
        Field(ge=1, le=100),
        _Must(N_("must lie between 1 and 100")),
    ] = 1.5
    """How many times the champion's rate a canary's may be: errors, slow answers, flags (of these
    also the champion's of the canary's)."""

    canary_agreement: Annotated[Share, _Must(N_("must be a number between 0 and 1"))] = 0.8
    """Least share of the canary's answers to which the champion gives the same label."""

    canary_slow_seconds: Seconds = 0.2
    """Time from which an answer is slow; 0.2 is the runbook's target."""

    keep_previous: Switch = True
    """Keep the version that was served before in memory, so that a rollback loads nothing."""

    proxy_name: Annotated[
        str, _Must(N_("must be of at most 80 letters, digits and the signs . _ : -"))
    ] = Field(default="", pattern=r"^[A-Za-z0-9._:-]{0,80}$")
    """Name under which the proxy reports to MLflow what it serves; empty: no report. `python -m
    serving` takes the host's name and the port."""

    poll_seconds: Seconds = 1.0
    """Longest pause between two readings of the alias, in seconds."""

    threshold: Annotated[Share | None, _Must(N_("must be a number between 0 and 1"))] = None
    """Overrides the threshold of every version, flips included; None follows the version."""

    inference_store: Annotated[
        Path | str,
        BeforeValidator(_place),
        _Must(N_("must be a folder or s3://bucket/prefix, without access keys")),
    ] = Path(names.DEFAULT_INFERENCE_STORE)
    """Folder of the captured Parquet files, or `s3://bucket/prefix`."""

    journal_dir: Annotated[Path, BeforeValidator(_local), _Must(N_("must be a local folder"))] = (
        Field(default_factory=lambda given: places.journal_folder(given["inference_store"]))
    )
    """Local folder of the journals that precede the Parquet files."""

    capture_flush_seconds: Seconds = 5.0
    """Longest time that a captured row stays in a journal before it becomes Parquet, in seconds."""

    capture_sync: Annotated[
        bool, BeforeValidator(_always), _Must(N_("must be always or never"))
    ] = False
    """Wait for the disk before each answer (`CAPTURE_SYNC=always`), so that rows survive a power
    cut; else they survive the process."""

    capture_required: Switch = False
    """Answer 503 when a row cannot be captured; else answer, and count the row as lost."""

    compact_hour: Annotated[
        Annotated[int, Field(ge=0, le=23)] | None,
        BeforeValidator(_hour),
        _Must(N_("must be an hour from 0 to 23, or none")),
    ] = 3
    """Hour of the local clock (`TZ`) in which the small files of past days become one, in a process
    of low priority; `none`: never, where something else does it."""

    log_file: Path = Path("logs/app.log")
    """JSON log, one object a line."""

    log_client: Annotated[ClientName, _Must(N_("must be key, address or none"))] = "key"
    """Who asked, in the log: the first digits of the key's SHA-256, the address, or nothing."""

    max_instances: Count = 1000
    """Most instances in one request."""

    max_invocations_rows: Count = 50_000
    """Most rows in one request of `/invocations`, whose clients send whole frames."""

    max_invocations_bytes: Count = 16 * 2**20
    """Longest body of `/invocations`, in bytes, and what a Parquet body may unpack to."""

    unknown_fields: Annotated[
        Literal["ignore", "refuse"] | None, _Must(N_("must be ignore or refuse"))
    ] = None
    """What becomes of fields that the model does not have; None ignores them at `/invocations`, as
    MLflow's server does, and refuses them at `/predict`."""

    max_body_bytes: Count = 2 * 1024 * 1024
    """Longest request body, in bytes."""

    max_connections: Count = 1000
    """Most connections of a worker; beyond, the one that has been idle longest is closed."""

    max_pending_rows: Count = 10_000
    """Rows that wait for the model in a worker; beyond, requests are answered 503 at once."""

    api_keys: Annotated[tuple[bytes, ...], NoDecode, BeforeValidator(_digests)] = Field(
        default=(), repr=False
    )
    """Accepted keys, kept as their SHA-256 digests; none leaves the API open."""

    pseudonym_key: str = Field(default="", repr=False)
    """Key of the pseudonyms; without it no identity is stored."""

    trusted_types: Annotated[frozenset[str], NoDecode, BeforeValidator(_words)] = frozenset()
    """Types that a model file may hold besides this proxy's own list (`serving.model.loading`)."""

    max_model_bytes: Count = 1024 * 1024 * 1024
    """Most bytes that a version's model file may have, or unpack to."""

    allow_pickle: Switch = False
    """Load pickled models and other flavours than scikit-learn, which runs the code they hold."""

    model_cache: Path = Path("var/model-cache")
    """Folder of the last good version, from which the proxy starts while MLflow is away."""

    levels_dir: Path = Field(
        default_factory=lambda given: given["model_cache"].parent / "service-levels"
    )
    """Folder where service levels outlive the server, a file a day, for the trend at `/painel`;
    empty: beside the model cache."""

    @property
    def kept_levels(self) -> Path:
        """Return where this model's service levels are kept: servers of several may share."""
        return self.levels_dir / self.model_name

    sheet_reader: str = ""
    """What reads workbooks at `/lista`, as `package.module` or `package.module:object` (see
    `core.sheets`); empty: a flat table with the contract's columns."""

    max_sheet_bytes: Count = 16 * 2**20
    """Longest workbook, in bytes."""

    panel_group: str = ""
    """Input by whose values `/painel` counts what was scored and flagged; empty: none."""

    root_path: Annotated[
        str, BeforeValidator(_prefix), _Must(N_("must be a path such as /risk, or empty"))
    ] = ""
    """Path prefix under which a reverse proxy publishes this one; empty: none, or the one that
    `X-Forwarded-Prefix` tells of."""

    workers_dir: Path | None = None
    """Where the workers of one server meet, for metrics and looks at the alias."""

    @property
    def canary(self) -> str:
        """Return the alias of the canary; none beside another alias than `champion`."""
        wanted = self.canary_alias != NO_CANARY and self.model_alias == names.CHAMPION
        return self.canary_alias if wanted else ""

    @property
    def predict_leaves_out(self) -> bool:
        """Tell whether `/predict` leaves out fields that the model does not have."""
        return self.unknown_fields == "ignore"

    @property
    def invocations_leave_out(self) -> bool:
        """Tell whether `/invocations` leaves them out."""
        return self.unknown_fields != "refuse"

    def each_model(self) -> list["Settings"]:
        """Return the settings of each model that is served.

        The threshold, the reader of workbooks and the panel's group are about the first one, which
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
        """Read the settings.

        Raises:
            SettingsError: a variable cannot be used; its text is not repeated, since it may be a
                secret.
        """
        try:
            return cls(mlflow_registry_uri=names.registry_uri())
        except ValidationError as exc:
            name = str(exc.errors(include_input=False, include_context=False)[0]["loc"][0])
        said = [m for m in cls.model_fields[name].metadata if isinstance(m, _Must)]
        problem = said[0] if said else N_("cannot be used")
        raise SettingsError(variable=name.upper(), problem=_(problem))
