"""Settings from environment variables: defaults, parsing, and error messages."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.config.settings import Settings
from serving.errors import SettingsError

Read = Callable[..., Settings]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    """Return a function that reads the settings from an environment of these variables only."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)

    def settings(**variables: str) -> Settings:
        for name, text in variables.items():
            monkeypatch.setenv(name, text)
        return Settings.from_env()

    return settings


def test_unset_and_empty_variables_take_the_defaults(read: Read) -> None:
    """An empty or blank variable, as in a copied .env, has the default."""
    plain = read()
    assert plain.threshold is None
    assert plain.journal_dir == Path("monitoring/inference_store/journal")
    assert read(THRESHOLD="", API_KEYS=" ", MODEL_NAME=" ", MAX_INSTANCES="") == plain


def test_every_variable_is_read(read: Read) -> None:
    """Each variable reaches its field, and keys only as digests."""
    settings = read(
        MLFLOW_TRACKING_URI="http://mlflow:5000",
        MODEL_NAME="m",
        MODEL_ALIAS="a",
        POLL_SECONDS="2.5",
        THRESHOLD="0,05",
        INFERENCE_STORE="/s",
        CAPTURE_FLUSH_SECONDS=" 9 ",
        CAPTURE_SYNC="Always",
        ALLOW_PICKLE="1",
        LOG_FILE="/l.log",
        MAX_INSTANCES="7",
        MAX_BODY_BYTES="99",
        API_KEYS="one, two",
        PSEUDONYM_KEY="k",
        TRUSTED_TYPES="a.B, c.D",
    )
    assert set(settings.api_keys) == {hashlib.sha256(key).digest() for key in (b"one", b"two")}
    assert settings.threshold == 0.05
    assert settings.journal_dir == Path("/s/journal")
    assert settings.trusted_types == {"a.B", "c.D"}
    assert (settings.model_name, settings.model_alias, settings.poll_seconds) == ("m", "a", 2.5)
    assert (settings.max_instances, settings.max_body_bytes) == (7, 99)
    assert settings.log_file == Path("/l.log")
    assert settings.capture_flush_seconds == 9
    assert (settings.capture_sync, settings.capture_required, settings.allow_pickle) == (
        *(True, False, True),
    )


def test_the_quiet_hour_can_be_none(read: Read) -> None:
    """COMPACT_HOUR is 3 by default, `none` disables it; of several models only the first has it."""
    assert read().compact_hour == 3
    assert read(COMPACT_HOUR="0").compact_hour == 0
    assert read(COMPACT_HOUR="None").compact_hour is None
    assert [one.compact_hour for one in read(COMPACT_HOUR="4", MODELS="a,b").each_model()] == [
        *(4, None),
    ]


def test_journal_folder_can_be_elsewhere(read: Read) -> None:
    """JOURNAL_DIR overrides the default, which is a local folder even for a store on S3."""
    settings = read(INFERENCE_STORE="s3://bucket/pre/fix/")
    assert settings.inference_store == "s3://bucket/pre/fix"
    assert settings.journal_dir == Path("var/journal/bucket-pre-fix")
    assert read(JOURNAL_DIR="/j").journal_dir == Path("/j")
    folder = read(INFERENCE_STORE="file:///srv/store")
    assert folder.inference_store == Path("/srv/store")


@pytest.mark.parametrize(
    ("name", "value", "must"),
    [
        ("THRESHOLD", "1.5", "deve ser um número entre 0 e 1"),
        ("THRESHOLD", "half", "deve ser um número"),
        ("THRESHOLD", "nan", "deve ser um número"),
        ("THRESHOLD", "0_0", "deve ser um número"),
        ("THRESHOLD", "1e-400", "deve ser um número"),
        ("MLFLOW_TRACKING_URI", "nonsense", "deve ser o endereço de um servidor MLflow"),
        ("MLFLOW_TRACKING_URI", "ftp://secret@host", "deve ser o endereço de um servidor MLflow"),
        ("POLL_SECONDS", "0", "deve estar entre 0 (exclusive) e 3600 segundos"),
        ("CAPTURE_FLUSH_SECONDS", "-1", "3600 segundos"),
        ("CAPTURE_SYNC", "yes", "deve ser always ou never"),
        ("ALLOW_PICKLE", "maybe", "deve ser true ou false"),
        ("MAX_INSTANCES", "0", "deve ser um inteiro maior que zero"),
        ("MAX_INSTANCES", "many", "deve ser um inteiro"),
        ("MAX_BODY_BYTES", "1.5", "deve ser um inteiro"),
        ("COMPACT_HOUR", "24", "deve ser uma hora de 0 a 23, ou none"),
        ("COMPACT_HOUR", "3h", "deve ser uma hora"),
        ("JOURNAL_DIR", "s3://bucket/journal", "deve ser uma pasta local"),
        ("INFERENCE_STORE", "gs://bucket/x", "deve ser uma pasta ou s3://bucket/prefixo"),
        ("INFERENCE_STORE", "s3://key:secret@bucket/x", "sem chaves de acesso"),
        ("INFERENCE_STORE", "s3://bucket/x?endpoint_override=y", "sem chaves de acesso"),
    ],
)
def test_a_bad_value_names_its_variable(read: Read, name: str, value: str, must: str) -> None:
    """The error is one line with the variable and the allowed values, without the given value."""
    with pytest.raises(SettingsError) as raised:
        read(**{name: value})
    text = str(raised.value)
    assert text.startswith(f"configuração inválida: {name} ")
    assert must in text
    assert "\n" not in text
    assert "secret" not in text


def test_settings_are_frozen_and_know_their_names() -> None:
    """Assigning to a field raises, and so does an unknown field name."""
    with pytest.raises(ValueError, match="frozen"):
        Settings().model_name = "other"
    with pytest.raises(ValueError, match="modelname"):
        Settings(modelname="other")


def test_secrets_are_not_shown(read: Read) -> None:
    """Neither the API keys nor the pseudonym key appear in the settings' repr."""
    text = repr(read(API_KEYS="hush-hush", PSEUDONYM_KEY="very-secret"))
    assert "hush" not in text
    assert "secret" not in text


def test_env_example_lists_every_variable() -> None:
    """Every settings variable is listed in .env.example."""
    lines = (Path(__file__).parents[3] / ".env.example").read_text("utf-8").splitlines()
    listed = {line.split("=")[0] for line in lines if "=" in line and not line.startswith("#")}
    assert {name.upper() for name in Settings.model_fields} <= listed


def test_a_registry_of_its_own_has_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLFLOW_REGISTRY_URI overrides REGISTRY_URI; an unsupported URI is refused by name."""
    assert Settings.from_env().mlflow_registry_uri == ""
    monkeypatch.setenv("REGISTRY_URI", "http://registry:5000/")
    assert Settings.from_env().mlflow_registry_uri == "http://registry:5000"
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "databricks-uc")
    assert Settings.from_env().mlflow_registry_uri == "databricks-uc"
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "sqlite:///registry.db")
    with pytest.raises(SettingsError, match=r"MLFLOW_REGISTRY_URI.*databricks-uc"):
        Settings.from_env()
