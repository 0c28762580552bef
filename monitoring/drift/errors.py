"""Errors of a baseline, or of a table that is compared with one.

ProjectError
├── BaselineError   a baseline that cannot be made or read
└── TableError     a table whose columns do not fit the operation
"""

from core.errors import ProjectError


class BaselineError(ProjectError):
    """A baseline that cannot be made or read."""

    code = "baseline"


class TableError(ProjectError):
    """A table whose columns do not fit the operation; no value is quoted."""

    code = "column"
