"""Settings come from the environment, once, and say what is wrong with it."""

import hashlib
from pathlib import Path

import pytest

from serving.config.settings import Settings
from serving.errors import SettingsError


def test_unset_and_empty_variables_take_the_defaults() -> None:
    """An empty line of a copied .env changes nothing."""
    assert Settings.from_env({"THRESHOLD": "", "API_KEYS": " "}) == Settings()


def test_every_variable_is_read() -> None:
    """Each variable reaches its field, and keys only as digests."""
    settings = Settings.from_env(
        {
            "MLFLOW_TRACKING_URI": "http://mlflow:5000",
            "MODEL_NAME": "m",
            "MODEL_ALIAS": "a",
            "POLL_SECONDS": "2.5",
            "THRESHOLD": "0,05",
            "INFERENCE_STORE": "/s",
            "CAPTURE_FLUSH_SECONDS": "9",
            "LOG_FILE": "/l.log",
            "MAX_INSTANCES": "7",
            "MAX_BODY_BYTES": "99",
            "API_KEYS": "one, two",
            "PSEUDONYM_KEY": "k",
            "TRUSTED_TYPES": "a.B, c.D",
        }
    )
    digests = {hashlib.sha256(key).digest() for key in (b"one", b"two")}
    assert set(settings.api_key_digests) == digests
    assert settings.threshold == 0.05
    assert settings.journal_dir == Path("/s/journal")
    assert settings.trusted_types == {"a.B", "c.D"}
    assert (settings.model_name, settings.model_alias, settings.poll_seconds) == ("m", "a", 2.5)
    assert (settings.max_instances, settings.max_body_bytes) == (7, 99)
    assert settings.log_file == Path("/l.log")
    assert settings.capture_flush_seconds == 9


def test_journal_folder_can_be_elsewhere() -> None:
    """Journals are local even where the store is not."""
    assert Settings.from_env({"JOURNAL_DIR": "/j"}).journal_dir == Path("/j")
    settings = Settings.from_env({"INFERENCE_STORE": "s3://bucket/pre/fix/"})
    assert settings.inference_store == "s3://bucket/pre/fix"
    assert settings.journal_dir == Path("var/journal/bucket-pre-fix")
    moved = Settings.from_env({"INFERENCE_STORE": "s3://bucket/x", "JOURNAL_DIR": "/j"})
    assert moved.journal_dir == Path("/j")
    folder = Settings.from_env({"INFERENCE_STORE": "file:///srv/store"})
    assert folder.inference_store == Path("/srv/store")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("THRESHOLD", "1.5"),
        ("THRESHOLD", "half"),
        ("THRESHOLD", "nan"),
        ("POLL_SECONDS", "0"),
        ("CAPTURE_FLUSH_SECONDS", "-1"),
        ("MAX_INSTANCES", "0"),
        ("MAX_INSTANCES", "many"),
        ("MAX_BODY_BYTES", "1.5"),
        ("JOURNAL_DIR", "s3://bucket/journal"),
        ("INFERENCE_STORE", "gs://bucket/x"),
        ("INFERENCE_STORE", "s3://key:secret@bucket/x"),
        ("INFERENCE_STORE", "s3://bucket/x?endpoint_override=y"),
    ],
)
def test_a_bad_value_names_its_variable(name: str, value: str) -> None:
    """The error names the variable, so that it can be found."""
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({name: value})


def test_secrets_are_not_shown() -> None:
    """Neither keys nor the pseudonym key appear in the settings' text."""
    text = repr(Settings.from_env({"API_KEYS": "hush-hush", "PSEUDONYM_KEY": "very-secret"}))
    assert "hush" not in text
    assert "secret" not in text


def test_env_example_lists_every_variable() -> None:
    """What operators read and what the proxy reads are the same variables."""
    lines = (Path(__file__).parents[3] / ".env.example").read_text("utf-8").splitlines()
    listed = {line.split("=")[0] for line in lines if "=" in line and not line.startswith("#")}
    fields = {name.upper() for name in Settings.__dataclass_fields__}
    assert fields - {"API_KEY_DIGESTS"} | {"API_KEYS"} <= listed
