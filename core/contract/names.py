"""Names that two packages must spell alike: environment, aliases, tags, artifacts."""

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
"""Alias of what `champion` was before the last flip; always set before `champion`."""
CANARY = "canary"
"""Alias of a version that answers a share of the requests in place of `champion`."""

TAG_RELEASE = "model_version"
"""Version tag: the operator's release, for example `v1.1.0` (alias names cannot hold dots)."""
TAG_THRESHOLD = "threshold"
"""Version tag: a threshold set after training; it wins over the contract's."""
TAG_CANARY_SHARE = "canary_share"
"""Version tag: percent of the requests that it answers while the alias `canary` names it."""
TAG_CANARY_BEGUN = "canary_begun"
"""Version tag: when `registry canary start` began that (UTC, ISO 8601); each start counts anew."""
TAG_BASELINE_RUN_ID = "baseline_run_id"
"""Version tag: the MLflow run that holds this version's baseline."""
TAG_CONTRACT_CHANGE = "contract_change"
"""Version tag: `accepted` lets proxies serve it although clients of the version that they serve
now would break; `registry promote --accept-contract-change` and every rollback set it."""
CONTRACT_CHANGE_ACCEPTED = "accepted"
TAG_DESCRIPTION = "description_digest"
"""Version tag: digest of the description among its artifacts that completes its contract."""
TAG_DRIFT_STATUS = "drift_status"
"""Version tag: GREEN, YELLOW or RED of the last drift report that could tell; NO_DATA or
INCONCLUSIVE only where none could yet."""
TAG_DRIFT_LAST_LOOK = "drift_last_look"
"""Version tag: the status of the last drift report, NO_DATA and INCONCLUSIVE included."""
TAG_PERFORMANCE_STATUS = "performance_status"
"""Version tag: OK, DEGRADED or NO_DATA of the last performance report."""

TAG_NOTIFIED = "notified_escalation"
"""Version tag: the escalation that people were last told of; a message goes out when it changes."""

METADATA_CONTRACT = "contract"
"""Key of the `ModelContract` in the model's immutable MLflow metadata."""

ARTIFACT_REFERENCE = "reference/reference.parquet"
"""Among a version's model artifacts: its training rows, each feature a column, `score` by fits
that had not seen the row, and `period`, the year that it is about."""
ARTIFACT_EVALUATION = "evaluation/test_scores.parquet"
"""Among a version's model artifacts: `row` (digest), `target`, `score`, `flagged`, `persistence`
and groups of the rows that it was tested on."""
ARTIFACT_TRAINING_ROWS = "evaluation/training_rows.parquet"
"""Among a version's model artifacts: `row` (digest) and reference year of every row that it was
fitted on, and the score that it gives it."""
YEAR_CHANGE_ERROR = "year_change_error"
"""Metrics `year_change_error_<name>` of a version's source run, for recall, precision, f2 and
positive_rate: what came true minus what calibrated scores promised when the year last changed."""
ARTIFACT_YEAR_CHANGE = "evaluation/year_change_errors.json"
"""The same numbers by name, among a version's own files; empty where no year changed."""
ARTIFACT_BASELINE = "baseline/baseline.json"
"""Artifact of the run named by `TAG_BASELINE_RUN_ID`."""

JOB_DRIFT, JOB_PERFORMANCE = "drift", "performance"
"""A report's job: the value of `TAG_JOB` and the artifact folder that holds its HTML."""
JOB_REHEARSAL = "rehearsal"
"""Likewise of a rehearsal, which `registry promote` looks for."""
TAG_JOB = "job"
"""Run tag: which job of monitoring made the run."""
TAG_STATUS = "status"
"""Run tag: the verdict of a report."""
TAG_ESCALATION = "escalation"
"""Run tag: NONE, L1, L2 or L3 (runbook §6)."""
TAG_REGISTRY_VERSION = "registry_version"
"""Run tag of monitoring's runs: the number of the version they are about."""

LEDGER_PROMOTE, LEDGER_ROLLBACK = "promote", "rollback"
LEDGER_THRESHOLD, LEDGER_UNRECORDED = "threshold", "unrecorded"
LEDGER_CONFLICT, LEDGER_DESCRIBE = "conflict", "describe"
LEDGER_CANARY_START, LEDGER_CANARY_STOP = "canary-start", "canary-stop"
LEDGER_NOTICED = (LEDGER_UNRECORDED, LEDGER_CONFLICT)
"""Moves of `champion` that a later command found: nobody knows when, by whom, or from what."""
LEDGER_FLIPS = (LEDGER_PROMOTE, LEDGER_ROLLBACK, *LEDGER_NOTICED)
"""Values of the ledger's tag `action` that moved `champion`; the other tags are `before`, `after`,
`reason`, `version` and `mlflow.user`."""
LEDGER_ORIGIN = "origin"
"""Run tag of an entry that came with a bundle: it tells of another server's aliases."""


def ledger_experiment(model: str) -> str:
    """Return the experiment that holds a model's flips and threshold changes."""
    return f"{model}-ledger"


def serving_experiment(model: str) -> str:
    """Return the experiment in which each proxy has a run that says what it serves."""
    return f"{model}-serving"


def monitoring_experiment(model: str) -> str:
    """Return the experiment that holds a model's reports."""
    return f"{model}-monitoring"


def configure_mlflow_environment() -> str:
    """Set this project's MLflow defaults where the environment has none; return the tracking URI.

    Call it before `mlflow` is imported. MLflow's own default URI is a local file; runs logged there
    keep absolute paths that no server can follow. Telemetry is off unless the operator asks for it,
    and MLflow's own chatter too: our commands say what they did.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_TRACKING_URI
    os.environ["MLFLOW_TRACKING_URI"] = uri
    return uri


def registry_uri() -> str:
    """Return the address of a registry of its own; empty where the tracking server registers.

    It is MLflow's own variable that says it, or `REGISTRY_URI` where that is empty.
    """
    found = os.environ.get("MLFLOW_REGISTRY_URI") or os.environ.get("REGISTRY_URI") or ""
    return found.strip().rstrip("/")


def is_server(uri: str) -> bool:
    """Return whether an address could be that of a server: http or https, a host, a port if any."""
    try:
        parts = urlsplit(uri)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
        return known and parts.port != 0 and not any(letter.isspace() for letter in uri)
    except ValueError:  # no IPv6 address, or no port
        return False


def model_name() -> str:
    """Return the registered model's name: `MODEL_NAME`, or the project's own."""
    return os.environ.get("MODEL_NAME") or DEFAULT_MODEL_NAME
