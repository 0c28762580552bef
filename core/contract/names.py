"""Names shared between packages: environment variables, aliases, tags, artifacts."""

import os
from urllib.parse import urlsplit

DEFAULT_TRACKING_URI = "http://127.0.0.1:5000"
DEFAULT_MODEL_NAME = "risco-defasagem"
DEFAULT_INFERENCE_STORE = "monitoring/inference_store"

CHAMPION = "champion"
"""Alias of the served version."""
CHALLENGER = "challenger"
"""Alias of the version trained last."""
PREVIOUS = "previous"
"""Alias of the version that was `champion` before the last flip; always set before `champion`."""
CANARY = "canary"
"""Alias of a version that serves a share of the requests in place of `champion`."""

TAG_RELEASE = "model_version"
"""Version tag: the operator's release, for example `v1.1.0` (alias names cannot hold dots)."""
TAG_THRESHOLD = "threshold"
"""Version tag: a threshold set after training; it overrides the contract's."""
TAG_CANARY_SHARE = "canary_share"
"""Version tag: percentage of the requests that it serves while the alias `canary` names it."""
TAG_CANARY_BEGUN = "canary_begun"
"""Version tag: when `registry canary start` ran (UTC, ISO 8601); each start resets the counts."""
TAG_BASELINE_RUN_ID = "baseline_run_id"
"""Version tag: the MLflow run that holds this version's baseline."""
TAG_CONTRACT_CHANGE = "contract_change"
"""Version tag: `accepted` lets proxies serve it although the change breaks clients of the version
served now; `registry promote --accept-contract-change` and every rollback set it."""
CONTRACT_CHANGE_ACCEPTED = "accepted"
TAG_DESCRIPTION = "description_digest"
"""Version tag: digest of the description among its artifacts that completes its contract."""
TAG_DRIFT_STATUS = "drift_status"
"""Version tag: GREEN, YELLOW or RED of the last conclusive drift report; NO_DATA or INCONCLUSIVE
only where there has been none yet."""
TAG_DRIFT_LAST_LOOK = "drift_last_look"
"""Version tag: the status of the last drift report, NO_DATA and INCONCLUSIVE included."""
TAG_PERFORMANCE_STATUS = "performance_status"
"""Version tag: OK, DEGRADED or NO_DATA of the last performance report."""

TAG_NOTIFIED = "notified_escalation"
"""Version tag: the escalation last sent as a notification; another is sent when it changes."""

METADATA_CONTRACT = "contract"
"""Key of the `ModelContract` in the model's immutable MLflow metadata."""

ARTIFACT_REFERENCE = "reference/reference.parquet"
"""Model artifact of a version: its training rows, with one column per feature, the out-of-fold
`score`, and `period`, the year that the row describes."""
ARTIFACT_EVALUATION = "evaluation/test_scores.parquet"
"""Model artifact of a version: `row` (digest), `target`, `score`, `flagged`, `persistence` and
groups of its test rows."""
ARTIFACT_TRAINING_ROWS = "evaluation/training_rows.parquet"
"""Model artifact of a version: `row` (digest) and reference year of every row that it was fitted
on, and the version's score of the row."""
YEAR_CHANGE_ERROR = "year_change_error"
"""Metrics `year_change_error_<name>` of a version's source run, for recall, precision, f2 and
positive_rate: observed minus expected from calibrated scores when the year last changed."""
ARTIFACT_YEAR_CHANGE = "evaluation/year_change_errors.json"
"""Model artifact of a version: the same numbers by name; empty where no year changed."""
ARTIFACT_BASELINE = "baseline/baseline.json"
"""Artifact of the run named by `TAG_BASELINE_RUN_ID`."""

JOB_DRIFT, JOB_PERFORMANCE = "drift", "performance"
"""A report's job: the value of `TAG_JOB` and the artifact folder that holds its HTML."""
JOB_REHEARSAL = "rehearsal"
"""The same for a rehearsal, which `registry promote` searches for."""
TAG_JOB = "job"
"""Run tag: the monitoring job that created the run."""
TAG_STATUS = "status"
"""Run tag: the status of a report."""
TAG_ESCALATION = "escalation"
"""Run tag: NONE, L1, L2 or L3 (runbook §6)."""
TAG_REGISTRY_VERSION = "registry_version"
"""Run tag of monitoring's runs: the number of the version they are about."""

LEDGER_PROMOTE, LEDGER_ROLLBACK = "promote", "rollback"
LEDGER_THRESHOLD, LEDGER_UNRECORDED = "threshold", "unrecorded"
LEDGER_CONFLICT, LEDGER_DESCRIBE = "conflict", "describe"
LEDGER_CANARY_START, LEDGER_CANARY_STOP = "canary-start", "canary-stop"
LEDGER_NOTICED = (LEDGER_UNRECORDED, LEDGER_CONFLICT)
"""Changes of `champion` detected by a later command; their time, author and origin are unknown."""
LEDGER_FLIPS = (LEDGER_PROMOTE, LEDGER_ROLLBACK, *LEDGER_NOTICED)
"""Values of the ledger's tag `action` that changed `champion`; other tags are `before`, `after`,
`reason`, `version` and `mlflow.user`."""
LEDGER_ORIGIN = "origin"
"""Run tag of an entry that was imported with a bundle: it concerns another server's aliases."""


def ledger_experiment(model: str) -> str:
    """Return the experiment that holds a model's flips and threshold changes."""
    return f"{model}-ledger"


def serving_experiment(model: str) -> str:
    """Return the experiment in which each proxy has a run that records what it serves."""
    return f"{model}-serving"


def monitoring_experiment(model: str) -> str:
    """Return the experiment that holds a model's reports."""
    return f"{model}-monitoring"


def configure_mlflow_environment() -> str:
    """Set this project's MLflow defaults where the environment has none; return the tracking URI.

    Call it before `mlflow` is imported. MLflow's own default URI is a local file; runs logged there
    keep absolute paths that no server can resolve. Telemetry and MLflow's console output are off
    unless the operator enables them; the commands print their own results.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_TRACKING_URI
    os.environ["MLFLOW_TRACKING_URI"] = uri
    return uri


def registry_uri() -> str:
    """Return the address of a separate registry; empty where the tracking server is the registry.

    Read from `MLFLOW_REGISTRY_URI`, or from `REGISTRY_URI` where that is empty.
    """
    found = os.environ.get("MLFLOW_REGISTRY_URI") or os.environ.get("REGISTRY_URI") or ""
    return found.strip().rstrip("/")


def is_server(uri: str) -> bool:
    """Return whether an address is one of a server: http or https, a host, an optional port."""
    try:
        parts = urlsplit(uri)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
        return known and parts.port != 0 and not any(letter.isspace() for letter in uri)
    except ValueError:  # invalid IPv6 address or port
        return False


def model_name() -> str:
    """Return the registered model's name: `MODEL_NAME`, or the project's default."""
    return os.environ.get("MODEL_NAME") or DEFAULT_MODEL_NAME
