"""Errors of a job's access to the registry, and of writing its reports.

ProjectError
├── NoBaselineError   a version without a baseline
├── ScoringError      a version that cannot score rows
└── OutputError       a report that cannot be written
"""

from core.errors import ProjectError
from core.messages import N_


class NoBaselineError(ProjectError):
    """A version whose baseline was never built or was deleted; names the command to build one."""

    code = "no_baseline"
    message = N_(
        "Version {version} has no baseline (it was never built). Build it with: "
        "python -m monitoring.build_baseline --model_version {version}"
    )
    gone = N_(
        "Version {version} has no baseline (the run {run_id} no longer has it). Build it with: "
        "python -m monitoring.build_baseline --model_version {version}"
    )


class ScoringError(ProjectError):
    """A model that fails on rows; `kind` is the exception's type, as its text may quote them."""

    code = "scoring"
    message = N_("Version {version} does not score the rows: {kind}")


class OutputError(ProjectError):
    """A report cannot be written."""

    code = "output"
    message = N_("The report cannot be written to {folder}: {reason}.")
