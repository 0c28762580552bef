"""Settings of one proxy process, read from the environment once.

`.env.example` lists the same variables for operators.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from core.contract import names
from core.store import places
from core.store import schema as store
from serving.errors import SettingsError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator can set. Each field is the environment variable of the same name."""

    mlflow_tracking_uri: str = names.DEFAULT_TRACKING_URI
    """MLflow server that holds the registry and the artifacts."""

    mlflow_public_url: str = ""
    """Address under which operators' browsers find MLflow; empty: the same."""

    model_name: str = names.DEFAULT_MODEL_NAME
    """Registered model to serve."""

    model_alias: str = names.CHAMPION
    """Alias whose version is served and followed."""

    shadow_alias: str = ""
    """Alias whose version scores the same rows beside the answers; empty: none."""

    poll_seconds: float = 1.0
    """Pause between two readings of the alias, in seconds."""

    threshold: float | None = None
    """Overrides the threshold of every version, flips included; None follows the version."""

    inference_store: Path | str = Path(names.DEFAULT_INFERENCE_STORE)
    """Folder of the captured Parquet files, or `s3://bucket/prefix`."""

    journal_dir: Path = Path(names.DEFAULT_INFERENCE_STORE) / store.JOURNAL_FOLDER
    """Local folder of the journals that precede the Parquet files."""

    capture_flush_seconds: float = 5.0
    """Longest time that a captured row stays in a journal before it becomes Parquet, in seconds."""

    capture_sync: bool = False
    """Wait for the disk before each answer (`CAPTURE_SYNC=always`), so that rows survive a power
    cut; else they survive the process."""

    capture_required: bool = False
    """Answer 503 when a row cannot be captured; else answer, and count the row as lost."""

    log_file: Path = Path("logs/app.log")
    """JSON log, one object a line."""

    max_instances: int = 1000
    """Most instances in one request."""

    max_body_bytes: int = 2 * 1024 * 1024
    """Longest request body, in bytes."""

    api_key_digests: tuple[bytes, ...] = field(default=(), repr=False)
    """SHA-256 of each accepted key of `API_KEYS`; none leaves the API open."""

    pseudonym_key: str = field(default="", repr=False)
    """Key of the pseudonyms; without it no identity is stored."""

    trusted_types: frozenset[str] = frozenset()
    """Types that a model file may hold besides this proxy's own list (`serving.model.loading`)."""

    allow_pickle: bool = False
    """Load pickled models and other flavours than scikit-learn, which runs the code they hold."""

    model_cache: Path = Path("var/model-cache")
    """Folder of the last good version, from which the proxy starts while MLflow is away."""

    workers_dir: Path | None = None
    """Where the workers of one server meet, for metrics and looks at the alias."""

    def __post_init__(self) -> None:
        """Refuse values that no proxy could run with.

        Raises:
            SettingsError: names the variable and what it may be.
        """
        if not self.model_name or not self.model_alias:
            raise SettingsError("MODEL_NAME", "não pode ser vazio")
        for name in ("poll_seconds", "capture_flush_seconds"):
            if not 0 < getattr(self, name) <= 3600:
                raise SettingsError(name.upper(), "deve estar entre 0 (exclusive) e 3600 segundos")
        for name in ("max_instances", "max_body_bytes"):
            if getattr(self, name) < 1:
                raise SettingsError(name.upper(), "deve ser um inteiro maior que zero")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise SettingsError("THRESHOLD", "deve ser um número entre 0 e 1")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings; a variable that is unset or empty takes its default.

        Raises:
            SettingsError: a variable cannot be read as what it should be.
        """
        env = _Environment(os.environ if environ is None else environ)
        captures = env.read("INFERENCE_STORE", places.store_place, cls.default("inference_store"))
        return cls(
            mlflow_tracking_uri=env.read("MLFLOW_TRACKING_URI", str, names.DEFAULT_TRACKING_URI),
            mlflow_public_url=env.read("MLFLOW_PUBLIC_URL", str, ""),
            model_name=env.read("MODEL_NAME", str, names.DEFAULT_MODEL_NAME),
            model_alias=env.read("MODEL_ALIAS", str, names.CHAMPION),
            shadow_alias=env.read("SHADOW_ALIAS", str, ""),
            poll_seconds=env.read("POLL_SECONDS", _number, cls.default("poll_seconds")),
            threshold=env.read("THRESHOLD", _number, None),
            inference_store=captures,
            journal_dir=env.read("JOURNAL_DIR", _local, places.journal_folder(captures)),
            capture_flush_seconds=env.read(
                "CAPTURE_FLUSH_SECONDS", _number, cls.default("capture_flush_seconds")
            ),
            capture_sync=env.read("CAPTURE_SYNC", _always, False),
            capture_required=env.read("CAPTURE_REQUIRED", _switch, False),
            log_file=env.read("LOG_FILE", Path, cls.default("log_file")),
            max_instances=env.read("MAX_INSTANCES", int, cls.default("max_instances")),
            max_body_bytes=env.read("MAX_BODY_BYTES", int, cls.default("max_body_bytes")),
            api_key_digests=env.read("API_KEYS", _digests, ()),
            pseudonym_key=env.read("PSEUDONYM_KEY", str, ""),
            trusted_types=env.read("TRUSTED_TYPES", _words, frozenset()),
            allow_pickle=env.read("ALLOW_PICKLE", _switch, False),
            model_cache=env.read("MODEL_CACHE", Path, cls.default("model_cache")),
            workers_dir=env.read("WORKERS_DIR", Path, None),
        )

    @classmethod
    def default(cls, name: str) -> object:
        """Return the default of one field."""
        return cls.__dataclass_fields__[name].default


@dataclass(frozen=True, slots=True)
class _Environment:
    """Variables by name; an empty one counts as unset."""

    variables: Mapping[str, str]

    def read(self, name: str, convert: Callable[[str], T], default: object) -> T:
        """Return the variable converted, or the default.

        Raises:
            SettingsError: the text cannot be converted; the text itself is not repeated, since it
                may be a secret.
        """
        text = self.variables.get(name, "").strip()
        if not text:
            return default  # type: ignore[return-value]
        try:
            return convert(text)
        except ValueError as exc:
            kinds: dict[Any, str] = {
                int: "um inteiro",
                _switch: "true ou false",
                _always: "always ou never",
                places.store_place: "um diretório ou s3://bucket/prefixo, sem chaves de acesso",
                _local: "um diretório local",
            }
            kind = kinds.get(convert, "um número")
            raise SettingsError(name, f"deve ser {kind}") from exc


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _switch(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError
    return text.lower() in ("true", "1")


def _always(text: str) -> bool:
    if text.lower() not in ("always", "never"):
        raise ValueError
    return text.lower() == "always"


def _local(text: str) -> Path:
    place = places.store_place(text)
    if not isinstance(place, Path):
        raise ValueError
    return place


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split(",") if word.strip())


def _digests(text: str) -> tuple[bytes, ...]:
    return tuple(hashlib.sha256(word.encode()).digest() for word in sorted(_words(text)))
